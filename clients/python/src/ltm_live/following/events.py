"""Server-Sent Events (HTML, section 9.2): from bytes to events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One event: its name and its data."""

    name: str
    data: str


class EventDecoder:
    """Makes events of the bytes of a stream, however they are cut."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._name = ""
        self._data: list[str] = []
        self._after_return = False

    def feed(self, part: bytes) -> list[Event]:
        """The events that are complete with these bytes."""
        if self._after_return and part.startswith(b"\n"):
            part = part[1:]
            self._after_return = not part and self._after_return
        if part:
            self._after_return = part.endswith(b"\r")
        if b"\n" not in part and b"\r" not in part:
            self._parts.append(part)
            return []
        lines = (b"".join(self._parts) + part).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._parts = [lines.pop()]
        return [event for line in lines if (event := self._line(line.decode(errors="replace")))]

    def _line(self, line: str) -> Event | None:
        if not line:
            event = Event(self._name or "message", "\n".join(self._data)) if self._data else None
            self._name, self._data = "", []
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        return None
