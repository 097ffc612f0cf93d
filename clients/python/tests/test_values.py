"""How Python values become JSON, and patches."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import doctest
import enum
import importlib
import json
import pkgutil
import random
import uuid
from collections import OrderedDict, deque, namedtuple
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy
import pydantic
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from repository import ROOT

import ltm_live
from ltm_live import NotJson, PatchError, apply_patch, diff, to_json
from ltm_live.data.difference import is_takeable
from ltm_live.data.patch import same_json

SUITE = ROOT / "tests" / "data" / "json-patch-suite"


class Mood(enum.Enum):
    BUSY = "busy"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "a repr"

    __str__ = __repr__


@dataclasses.dataclass
class Task:
    name: str
    due: datetime.date


class Agent(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    task: Task
    tags: set[str]
    when: datetime.datetime
    link: pydantic.AnyUrl = pydantic.AnyUrl("http://a.example/")

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def many(self) -> int:
        return len(self.tags)


Point = namedtuple("Point", "x y")
WHEN = datetime.datetime(2026, 11, 29, 12, 30, tzinfo=datetime.timezone.utc)
ID = uuid.UUID("7b0c7e0e-6a4d-4b5e-9d7e-0d3c5f3f1a11")

CASES: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (2**70, 2**70),
    (1.5, 1.5),
    ("ü€𝄞", "ü€𝄞"),
    (Text("x"), "x"),
    (Mood.BUSY, "busy"),
    (Level.HIGH, 3),
    ({Mood.BUSY: 1, 3: 2, True: 3, None: 4, ID: 5}, {"busy": 1, "3": 2, "true": 3, "null": 4, str(ID): 5}),
    (OrderedDict(a=1), {"a": 1}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    ((1, [2]), [1, [2]]),
    (deque([1]), [1]),
    ({"a": 1}.keys(), ["a"]),
    ({"b", "a"}, ["a", "b"]),
    (frozenset({(2, 1), (1, 2)}), [[1, 2], [2, 1]]),
    (Point(1, 2), {"x": 1, "y": 2}),
    (Task("plan", datetime.date(2026, 11, 29)), {"name": "plan", "due": "2026-11-29"}),
    (WHEN, "2026-11-29T12:30:00+00:00"),
    (datetime.time(12, 30), "12:30:00"),
    (datetime.timedelta(minutes=1.5), 90.0),
    (ID, str(ID)),
    (decimal.Decimal("1.10"), "1.10"),
    (PurePosixPath("/a/b"), "/a/b"),
    (b"hi", "aGk="),
    (bytearray(b"hi"), "aGk="),
    (ValueError("no"), {"type": "ValueError", "message": "no"}),
    (numpy.float64(1.5), 1.5),
    (numpy.float32(0.5), 0.5),
    (numpy.int64(3), 3),
    (numpy.bool_(True), True),
    (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (
        Agent(task=Task("plan", datetime.date(2026, 1, 1)), tags={"b", "a"}, when=WHEN, more=b"hi"),  # type: ignore[call-arg]
        {
            "task": {"name": "plan", "due": "2026-01-01"},
            "tags": ["a", "b"],
            "when": "2026-11-29T12:30:00+00:00",
            "link": "http://a.example/",
            "more": "aGk=",
            "many": 2,
        },
    ),
    (HumanMessage("hello", id="1"), {"type": "human", "content": "hello", "id": "1"}),
    (
        AIMessage("", tool_calls=[{"name": "search", "args": {"q": "bears"}, "id": "call-1"}]),
        {
            "type": "ai",
            "content": "",
            "tool_calls": [{"name": "search", "args": {"q": "bears"}, "id": "call-1", "type": "tool_call"}],
        },
    ),
    (
        ToolMessage("found", tool_call_id="call-1", artifact={1}),
        {"type": "tool", "content": "found", "tool_call_id": "call-1", "artifact": [1], "status": "success"},
    ),
]


@pytest.mark.parametrize(("value", "expected"), CASES, ids=lambda value: type(value).__name__)
def test_a_value_becomes_json_by_the_table(value: Any, expected: Any) -> None:
    converted = to_json({"value": value})["value"]
    assert same_json(converted, expected), converted
    assert json.loads(json.dumps(converted, allow_nan=False)) == converted
    assert "a repr" not in json.dumps(converted)


class Loop(dict[str, Any]):
    pass


LOOP: dict[str, Any] = {}
LOOP["self"] = [LOOP]
DEEP: Any = 1
for _ in range(600):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"a": [1, {"b/c": float("nan")}]}, "/a/1/b~1c", "nan is not JSON"),
        ([float("inf")], "/0", "inf is not JSON"),
        ({"x": numpy.array([1.0, numpy.nan])}, "/x/1", "nan is not JSON"),
        ({"when": SimpleNamespace()}, "/when", "types.SimpleNamespace has no form"),
        ([print], "/0", "has no form"),
        ([Task], "/0", "the class Task"),
        ([(n for n in "a")], "/0", "generator has no form"),
        ({(1, 2): 3}, "", "cannot be the key"),
        ({1: "a", "1": "b"}, "/1", "two keys"),
        (LOOP, "/self/0", "contains itself"),
        (["\ud800"], "/0", "lone surrogate"),
        ({"\ud800": 1}, "/\ud800", "lone surrogate"),
    ],
)
def test_what_has_no_form_in_json_is_refused_with_its_path(value: Any, path: str, reason: str) -> None:
    with pytest.raises(NotJson) as refused:
        to_json(value)
    assert refused.value.path == path
    assert reason in str(refused.value)


def test_what_is_too_deep_is_refused() -> None:
    with pytest.raises(NotJson, match="levels"):
        to_json(DEEP)


def test_default_converts_other_objects_and_its_result_is_converted_too() -> None:
    assert to_json([SimpleNamespace(a={1})], default=vars) == [{"a": [1]}]


class Lazy:
    """An object whose value is not there."""

    __attrs_attrs__ = (SimpleNamespace(name="value"),)

    @property
    def value(self) -> int:
        raise AttributeError("it is not loaded")


class Changing(dict[str, int]):
    """A dictionary that another thread changes."""

    def items(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


@pytest.mark.parametrize(
    ("value", "cause"), [(SimpleNamespace(), TypeError), (Lazy(), AttributeError), (Changing(), RuntimeError)]
)
def test_a_conversion_that_raises_an_exception_refuses_the_value(value: Any, cause: type[Exception]) -> None:
    def default(value: Any) -> Any:
        raise TypeError("I do not know it")

    with pytest.raises(NotJson) as refused:
        to_json({"a": [value]}, default)
    assert refused.value.path == "/a/0"
    assert type(refused.value.__cause__) is cause
    assert str(refused.value) == f"/a/0: {cause.__name__}: {refused.value.__cause__}"


def test_the_same_object_may_be_in_two_places() -> None:
    shared = {"a": 1}
    assert to_json([shared, shared]) == [{"a": 1}, {"a": 1}]


def cases() -> list[dict[str, Any]]:
    found = [case for name in ("spec_tests.json", "tests.json") for case in json.loads((SUITE / name).read_text())]
    return [case for case in found if "patch" in case and not case.get("disabled")]


def test_the_public_suite_of_patches_passes() -> None:
    assert len(cases()) > 90
    for case in cases():
        document, patch = case["doc"], case["patch"]
        before = copy.deepcopy((document, patch))
        if "error" in case:
            with pytest.raises(PatchError):
                apply_patch(document, patch)
        else:
            result = apply_patch(document, patch)
            assert same_json(result, case.get("expected", result)), case
        assert (document, patch) == before


def test_what_was_given_as_a_value_is_not_changed_by_what_comes_later() -> None:
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": "/a", "value": {"n": 1}},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "replace", "path": "/a/n", "value": 2},
        {"op": "copy", "from": "/a", "path": "/c"},
        {"op": "replace", "path": "/a/n", "value": 3},
        {"op": "add", "path": "/c/more", "value": []},
    ]
    before = copy.deepcopy(patch)
    assert apply_patch({}, patch) == {"a": {"n": 3}, "b": {"n": 1}, "c": {"n": 2, "more": []}}
    assert patch == before


def some_json(chance: random.Random, depth: int = 3) -> Any:
    kind = chance.randrange(7 if depth else 5)
    if kind == 5:
        return [some_json(chance, depth - 1) for _ in range(chance.randrange(5))]
    if kind == 6:
        keys = chance.sample(["a", "b", "", "~", "/", "0", "é", "__proto__"], chance.randrange(5))
        return {key: some_json(chance, depth - 1) for key in keys}
    return chance.choice([None, True, False, 0, 1, 1.0, "", "x", "y"])


def test_a_difference_leads_from_one_value_to_the_other() -> None:
    chance = random.Random(1)
    for _ in range(5000):
        before, after = some_json(chance), some_json(chance)
        patch = diff(before, after)
        result = apply_patch(before, patch)
        assert json.dumps(result, sort_keys=True) == json.dumps(after, sort_keys=True)
        assert is_takeable(patch) or "__proto__" in json.dumps(patch)
        assert diff(after, copy.deepcopy(after)) == []


def test_a_difference_in_a_long_list_names_only_what_changed() -> None:
    before = [{"n": n} for n in range(1000)]
    assert diff(before, [*before, {"n": -1}]) == [{"op": "add", "path": "/1000", "value": {"n": -1}}]
    assert diff(before, before[:500] + before[501:]) == [{"op": "remove", "path": "/500"}]
    assert diff(before, [{"n": -1}, *before]) == [{"op": "add", "path": "/0", "value": {"n": -1}}]


def test_the_examples_in_the_documentation_of_the_code_are_right() -> None:
    tried = 0
    for module in pkgutil.walk_packages(ltm_live.__path__, "ltm_live."):
        try:
            imported = importlib.import_module(module.name)
        except ModuleNotFoundError:
            # The others need no framework, or one that is installed.
            assert module.name.startswith(("ltm_live.flou.", "ltm_live.hooks."))
            continue
        result = doctest.testmod(imported)
        assert result.failed == 0, module.name
        tried += result.attempted
    assert tried >= 6
