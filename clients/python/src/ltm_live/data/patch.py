"""JSON Patch (RFC 6902). Every part that a patch does not touch is the same object in the result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ..problems import LtmError

T = TypeVar("T")

_INDEX = re.compile(r"0|[1-9][0-9]*")
_BAD_ESCAPE = re.compile(r"~(?![01])")
_MISSING: Any = object()


class PatchError(LtmError):
    """A patch does not apply to a value. `operation` is the index of the operation that failed."""

    def __init__(self, operation: int, reason: str) -> None:
        super().__init__(f"operation {operation}: {reason}")
        self.operation = operation


class _Refused(Exception):
    pass


def apply_patch(value: T, patch: Iterable[Mapping[str, Any]]) -> T:
    """Applies a JSON Patch and returns the result. `value` does not change.

    >>> apply_patch({"todo": ["plan", "write"]}, [{"op": "remove", "path": "/todo/0"}])
    {'todo': ['write']}
    """
    draft = _Draft(value)
    for index, operation in enumerate(patch):
        try:
            draft.apply(operation)
        except _Refused as refused:
            raise PatchError(index, str(refused)) from None
    return draft.root  # type: ignore[no-any-return]


def pointer(keys: Iterable[str | int]) -> str:
    """The JSON Pointer (RFC 6901) of these keys.

    >>> pointer(["messages", 3, "a/b"])
    '/messages/3/a~1b'
    """
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: `True` is not `1`, and the order of members does not matter."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same_json(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)


def _keys(path: Any) -> list[str]:
    if not isinstance(path, str) or (path and path[0] != "/") or _BAD_ESCAPE.search(path):
        raise _Refused(f"{path!r} is not a JSON Pointer")
    return [key.replace("~1", "/").replace("~0", "~") for key in path.split("/")[1:]]


def _index(key: str, end: int) -> int:
    if not _INDEX.fullmatch(key) or int(key) >= end:
        raise _Refused(f"nothing is at {key!r}")
    return int(key)


def _child(container: Any, key: str) -> Any:
    if isinstance(container, list):
        return container[_index(key, len(container))]
    if isinstance(container, dict) and key in container:
        return container[key]
    raise _Refused(f"nothing is at {key!r}")


class _Draft:
    """A value that changes by copies: only containers that the draft made itself are changed in place."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._own: dict[int, Any] = {}

    def apply(self, operation: Mapping[str, Any]) -> None:
        op, keys = operation.get("op"), _keys(operation.get("path"))
        value = operation.get("value", _MISSING)
        if op in ("add", "replace", "test") and value is _MISSING:
            raise _Refused("`value` is missing")
        if op == "add":
            self._add(keys, value)
        elif op == "replace":
            self._replace(keys, value)
        elif op == "remove":
            self._remove(keys)
        elif op == "test":
            if not same_json(self._get(keys), value):
                raise _Refused("the test fails")
        elif op == "copy":
            self._add(keys, self._shared(self._get(_keys(operation.get("from")))))
        elif op == "move":
            self._move(_keys(operation.get("from")), keys)
        else:
            raise _Refused(f"unknown operation {op!r}")

    def _move(self, source: list[str], target: list[str]) -> None:
        if source == target:
            self._get(source)
        elif target[: len(source)] == source:
            raise _Refused("a value cannot move into itself")
        else:
            self._add(target, self._remove(source))

    def _get(self, keys: list[str]) -> Any:
        value = self.root
        for key in keys:
            value = _child(value, key)
        return value

    def _shared(self, value: Any) -> Any:
        """Marks a value that will be in two places, so that a change of one does not change the other."""
        if isinstance(value, (dict, list)) and self._own.pop(id(value), None) is not None:
            for part in value.values() if isinstance(value, dict) else value:
                self._shared(part)
        return value

    def _owned(self, value: Any) -> Any:
        if not isinstance(value, (dict, list)):
            raise _Refused("the path leads into a value without members")
        if id(value) not in self._own:
            value = value.copy()
            self._own[id(value)] = value
        return value

    def _parent(self, keys: list[str]) -> Any:
        """The container of the value at these keys, safe to change."""
        container = self.root = self._owned(self.root)
        for key in keys[:-1]:
            part = self._owned(_child(container, key))
            container[int(key) if isinstance(container, list) else key] = part
            container = part
        return container

    def _add(self, keys: list[str], value: Any) -> None:
        if not keys:
            self.root = value
            return
        container, key = self._parent(keys), keys[-1]
        if isinstance(container, list):
            container.insert(len(container) if key == "-" else _index(key, len(container) + 1), value)
        else:
            container[key] = value

    def _replace(self, keys: list[str], value: Any) -> None:
        if not keys:
            self.root = value
            return
        container = self._parent(keys)
        _child(container, keys[-1])
        container[int(keys[-1]) if isinstance(container, list) else keys[-1]] = value

    def _remove(self, keys: list[str]) -> Any:
        if not keys:
            whole, self.root = self.root, None
            return whole
        container = self._parent(keys)
        removed = _child(container, keys[-1])
        del container[int(keys[-1]) if isinstance(container, list) else keys[-1]]
        return removed
