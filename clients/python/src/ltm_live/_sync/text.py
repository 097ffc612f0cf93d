"""Streams a text into a state, in a thread of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from ..data.texts import GrowingText, Pace
from ..problems import LtmError

if TYPE_CHECKING:
    from .ltm import Ltm


class TextStream:
    """A text that grows, such as the tokens of a model. `Ltm.text` returns it."""

    def __init__(self, ltm: Ltm, path: str, every: float, reason: str, item: Any) -> None:
        self._ltm = ltm
        self._text = GrowingText(path)
        self._pace = Pace(every)
        self._reason, self._item = reason, item
        self._ending, self._is_complete = threading.Lock(), False
        self._changed = threading.Condition()
        self._sender: threading.Thread | None = None

    def write(self, more: str) -> None:
        """Adds to the text. It is sent in the background."""
        with self._changed:
            self._text.write(more)
            if self._sender is None:
                self._sender = threading.Thread(target=self._send, name="ltm-live text", daemon=True)
                self._sender.start()
            self._changed.notify()

    def end(self) -> str:
        """Completes the text and returns it. Raises what failed since the beginning. A second call changes nothing."""
        with self._changed:
            self._text.ended = True
            self._changed.notify()
        if self._sender is not None:
            self._sender.join()
        if self._text.failure is not None:
            raise self._text.failure
        with self._ending:
            if not self._is_complete:
                self._complete()
        return self._text.text

    def _complete(self) -> None:
        try:
            self._ltm.append(self._reason, patch=self._text.end(), item=self._item)
            self._is_complete = True
        except LtmError as error:
            self._text.failure = error
            raise

    def _send(self) -> None:
        try:
            while patch := self._chunk():
                self._ltm.append(self._reason, patch=patch, item=self._item)
                self._pace.sent()
        except LtmError as error:
            self._text.failure = error

    def _chunk(self) -> list[dict[str, Any]] | None:
        """The next chunk, as soon as it is due; None when the text has ended."""
        with self._changed:
            # What is written during the pause goes into the same chunk.
            while not self._text.ended and (pause := self._pace.pause()) > 0:
                self._changed.wait(pause)
            while not self._text.ended:
                if patch := self._text.chunk():
                    return patch
                self._changed.wait()
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
