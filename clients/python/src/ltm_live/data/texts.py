"""A text that grows in a state: a list of chunks while it grows, and one text in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..problems import LtmError


def text_of(value: Any) -> str:
    """The text so far, of a member that a text stream writes.

    >>> text_of({"chunks": ["Harbours ", "are "]}), text_of("Harbours are safe.")
    ('Harbours are ', 'Harbours are safe.')
    """
    return value if isinstance(value, str) else "".join(value["chunks"])


class GrowingText:
    """What was written, and what of it is not sent yet."""

    def __init__(self, path: str) -> None:
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is not a JSON Pointer, such as /messages/0/content")
        self._path = path
        self._parts: list[str] = []
        self._unsent: list[str] = []
        self._begun = False
        self.ended = False
        self.failure: LtmError | None = None

    def write(self, more: str) -> None:
        """Adds to the text."""
        if self.failure is not None:
            raise self.failure
        if self.ended:
            raise ValueError("this text has ended")
        if more:
            self._parts.append(more)
            self._unsent.append(more)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._parts)

    def chunk(self) -> list[dict[str, Any]] | None:
        """The patch that sends what is not sent yet; None if there is nothing."""
        if not self._unsent or self.ended:
            return None
        chunk, self._unsent = "".join(self._unsent), []
        begun, self._begun = self._begun, True
        if begun:
            return [{"op": "add", "path": f"{self._path}/chunks/-", "value": chunk}]
        return [{"op": "add", "path": self._path, "value": {"chunks": [chunk]}}]

    def end(self) -> list[dict[str, Any]]:
        """The patch that completes the text."""
        return [{"op": "replace" if self._begun else "add", "path": self._path, "value": self.text}]


class Pace:
    """Spreads sends over time."""

    def __init__(self, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every, self._clock = every, clock
        self._last: float | None = None

    def pause(self) -> float:
        """The seconds until the next send is due."""
        return 0.0 if self._last is None else max(0.0, self._last + self._every - self._clock())

    def sent(self) -> None:
        """Something was sent just now."""
        self._last = self._clock()
