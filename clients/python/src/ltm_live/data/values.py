"""How a Python value becomes JSON. There is one conversion, and it never writes a `repr`.

| value | JSON |
| --- | --- |
| `None`, `bool`, `int`, `float`, `str` | as it is. NaN and Infinity are refused: they are not JSON |
| `dict` and other mappings | an object. A key that is not text becomes the text of its JSON: `"3"`, `"true"` |
| `list`, `tuple`, `deque`, iterators of a mapping | an array |
| `set`, `frozenset` | an array, sorted by the JSON text of its elements |
| named tuple, dataclass, `attrs` class | an object with its fields |
| pydantic model | an object with its fields, each converted by this table |
| LangChain message | an object with `type`, `content`, and its other members that are not empty |
| `Enum` | its value |
| `datetime`, `date`, `time` | ISO 8601 |
| `timedelta` | seconds |
| `UUID`, `Decimal`, `Path`, pydantic URL, IP address | its text |
| `bytes`, `bytearray`, `memoryview` | base64 |
| numpy scalar, numpy array, other arrays with `dtype` and `tolist` | a number, nested arrays |
| exception | an object with `type` and `message` |

Any other object is refused, with the path to it, unless `default` converts it. So is a value whose conversion raises an
exception, which is the cause of the `NotJson`.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import json
import math
import pathlib
import uuid
from collections import deque
from collections.abc import Callable, ItemsView, KeysView, Mapping, ValuesView
from typing import Any, cast

from ..problems import NotJson
from .patch import pointer

#: Converts an object that the conversion does not know to one that it knows.
Default = Callable[[Any], Any]

_TEXTS = (
    uuid.UUID,
    decimal.Decimal,
    pathlib.PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)
_LISTS = (list, tuple, deque, KeysView, ValuesView, ItemsView)


def to_json(value: Any, default: Default | None = None) -> Any:
    """Converts a value to JSON, as the table above says. Raises `NotJson` with the path if that is impossible.

    >>> import datetime
    >>> to_json({"when": datetime.date(2026, 11, 29), "tags": {"b", "a"}, 3: b"hi"})
    {'when': '2026-11-29', 'tags': ['a', 'b'], '3': 'aGk='}
    >>> to_json({"scores": [1.0, float("nan")]})
    Traceback (most recent call last):
    ltm_live.problems.NotJson: /scores/1: nan is not JSON; send None or a text
    """
    try:
        return _Conversion(default).of(value)
    except RecursionError:
        raise NotJson("", "it has more levels than Python can follow") from None


def to_text(value: Any, default: Default | None = None) -> bytes:
    """The JSON text of a value, in UTF-8."""
    return json.dumps(to_json(value, default), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


class _Conversion:
    def __init__(self, default: Default | None) -> None:
        self._default = default
        self._path: list[str | int] = []
        self._within: set[int] = set()

    def of(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is int:
            return value
        if kind is str:
            return self._text(value)
        if kind is float:
            return self._float(value)
        if isinstance(value, enum.Enum):
            return self.of(value.value)
        if isinstance(value, (bool, int, float, str)):
            return self._number_or_text(value)
        if id(value) in self._within:
            raise self._refused(f"a {kind.__name__} contains itself")
        self._within.add(id(value))
        try:
            return self._container(value)
        except (NotJson, RecursionError):
            raise
        except Exception as error:
            # Code of the caller has failed, such as `default` or a property. Hooks rely on `NotJson`.
            raise self._refused(f"{type(error).__name__}: {error}") from error
        finally:
            self._within.discard(id(value))

    def _container(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._object(value)
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            return self._object(cast(Any, value)._asdict())
        if isinstance(value, _LISTS):
            return self._list(value)
        if isinstance(value, (set, frozenset)):
            return sorted(self._list(value), key=lambda item: json.dumps(item, sort_keys=True))
        return self._scalar(value)

    def _scalar(self, value: Any) -> Any:
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return value.isoformat()
        if isinstance(value, datetime.timedelta):
            return value.total_seconds()
        if isinstance(value, _TEXTS):
            return str(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return base64.b64encode(value).decode()
        if isinstance(value, type):
            raise self._refused(f"the class {value.__qualname__} is no value")
        if dataclasses.is_dataclass(value):
            return self._object({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
        if hasattr(value, "__attrs_attrs__"):
            return self._object({field.name: getattr(value, field.name) for field in value.__attrs_attrs__})
        if isinstance(value, BaseException):
            return self._object({"type": type(value).__name__, "message": str(value)})
        return self._of_a_library(value)

    def _of_a_library(self, value: Any) -> Any:
        """Objects of libraries are known by what they have: this package imports none of them."""
        if hasattr(value, "model_dump") and hasattr(type(value), "model_fields"):
            return self._model(value)
        if hasattr(value, "dtype") and hasattr(value, "tolist"):
            # A numpy scalar is no array, and `tolist` makes a number of it.
            return self.of(value.tolist())
        if type(value).__module__.partition(".")[0] in ("pydantic", "pydantic_core") and hasattr(value, "scheme"):
            return str(value)
        if self._default is not None:
            return self.of(self._default(value))
        kind = type(value)
        raise self._refused(
            f"a {kind.__module__}.{kind.__qualname__} has no form in JSON; convert it, or pass `default`"
        )

    def _model(self, value: Any) -> Any:
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        if set(fields) == {"root"}:
            return self.of(fields["root"])
        fields |= getattr(value, "model_extra", None) or {}
        fields |= {name: getattr(value, name) for name in getattr(type(value), "model_computed_fields", {})}
        if {"content", "type", "additional_kwargs", "response_metadata"} <= fields.keys():
            first = {"type": fields.pop("type"), "content": fields.pop("content")}
            fields = first | {name: part for name, part in fields.items() if part not in (None, "", [], {}, False)}
        return self._object(fields)

    def _object(self, members: Mapping[Any, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, part in members.items():
            name = key if type(key) is str else self._key(key)
            self._path.append(name)
            if name in result:
                raise self._refused("two keys have this text")
            self._text(name)
            result[name] = self.of(part)
            self._path.pop()
        return result

    def _key(self, key: Any) -> str:
        text = self.of(key)
        if isinstance(text, (dict, list)):
            raise self._refused(f"a {type(key).__name__} cannot be the key of an object")
        return text if isinstance(text, str) else json.dumps(text)

    def _list(self, items: Any) -> list[Any]:
        result: list[Any] = []
        for index, part in enumerate(items):
            self._path.append(index)
            result.append(self.of(part))
            self._path.pop()
        return result

    def _number_or_text(self, value: bool | int | float | str) -> Any:
        if isinstance(value, str):
            return self._text(str.__str__(value))
        return self._float(float(value)) if isinstance(value, float) else int(value)

    def _float(self, value: float) -> float:
        if not math.isfinite(value):
            raise self._refused(f"{value} is not JSON; send None or a text")
        return value

    def _text(self, value: str) -> str:
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise self._refused("the text has a lone surrogate, which is not Unicode") from None
        return value

    def _refused(self, reason: str) -> NotJson:
        return NotJson(pointer(self._path), reason)
