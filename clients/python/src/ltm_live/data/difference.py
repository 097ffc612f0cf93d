"""The JSON Patch from one value to another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, cast

from ..wire import Patch
from .patch import pointer, same_json


def diff(before: Any, after: Any) -> Patch:
    """The JSON Patch from `before` to `after`. It names the parts that differ, and nothing else.

    >>> diff({"n": 1, "done": ["plan"]}, {"n": 2, "done": ["plan", "write"]})
    [{'op': 'replace', 'path': '/n', 'value': 2}, {'op': 'add', 'path': '/done/1', 'value': 'write'}]
    """
    return cast(Patch, list(_operations(before, after, [])))


def is_takeable(patch: Patch) -> bool:
    """Whether the API takes the paths of a patch. It rejects those that clients in JavaScript reject."""
    return not any(_is_rejected(operation["path"]) for operation in patch)


def _is_rejected(path: str) -> bool:
    keys = path.split("/")[1:]
    return "__proto__" in keys or ("constructor", "prototype") in itertools.pairwise(keys)


def _is_same(one: Any, other: Any) -> bool:
    # The API keeps the text of a number: 1 and 1.0 differ.
    return one is other or (type(one) is type(other) and same_json(one, other) and repr(one) == repr(other))


def _operations(before: Any, after: Any, at: list[str | int]) -> Iterator[dict[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _in_object(before, after, at)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _in_list(before, after, at)
    elif type(before) is not type(after) or before != after:
        yield {"op": "replace", "path": pointer(at), "value": after}


def _in_object(before: dict[str, Any], after: dict[str, Any], at: list[str | int]) -> Iterator[dict[str, Any]]:
    for key in before:
        if key not in after:
            yield {"op": "remove", "path": pointer([*at, key])}
    for key, value in after.items():
        if key in before:
            yield from _operations(before[key], value, [*at, key])
        else:
            yield {"op": "add", "path": pointer([*at, key]), "value": value}


def _in_list(before: list[Any], after: list[Any], at: list[str | int]) -> Iterator[dict[str, Any]]:
    shorter = min(len(before), len(after))
    head = 0
    while head < shorter and _is_same(before[head], after[head]):
        head += 1
    tail = 0
    while tail < shorter - head and _is_same(before[-1 - tail], after[-1 - tail]):
        tail += 1
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    both = min(len(old), len(new))
    for offset in range(both):
        yield from _operations(old[offset], new[offset], [*at, head + offset])
    for offset in range(len(old) - 1, both - 1, -1):
        yield {"op": "remove", "path": pointer([*at, head + offset])}
    for offset in range(both, len(new)):
        yield {"op": "add", "path": pointer([*at, head + offset]), "value": new[offset]}
