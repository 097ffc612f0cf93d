"""Streams a text into a state, in a task of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from ..data.texts import GrowingText, Pace
from ..problems import LtmError

if TYPE_CHECKING:
    from .ltm import AsyncLtm


class AsyncTextStream:
    """A text that grows, such as the tokens of a model. `AsyncLtm.text` returns it."""

    def __init__(self, ltm: AsyncLtm, path: str, every: float, reason: str, item: Any) -> None:
        self._ltm = ltm
        self._text = GrowingText(path)
        self._pace = Pace(every)
        self._reason, self._item = reason, item
        self._ending, self._is_complete = asyncio.Lock(), False
        self._sending: asyncio.Task[None] | None = None

    def write(self, more: str) -> None:
        """Adds to the text. It is sent in the background."""
        self._text.write(more)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def end(self) -> str:
        """Completes the text and returns it. Raises what failed since the beginning. A second call changes nothing."""
        self._text.ended = True
        if self._sending is not None:
            await self._sending
        if self._text.failure is not None:
            raise self._text.failure
        async with self._ending:
            if not self._is_complete:
                await self._complete()
        return self._text.text

    async def _complete(self) -> None:
        try:
            await self._ltm.append(self._reason, patch=self._text.end(), item=self._item)
            self._is_complete = True
        except LtmError as error:
            self._text.failure = error
            raise

    async def _send(self) -> None:
        try:
            while True:
                # What is written during the pause goes into the same chunk.
                if not self._text.ended:
                    await asyncio.sleep(self._pace.pause())
                patch = self._text.chunk()
                if patch is None:
                    return
                await self._ltm.append(self._reason, patch=patch, item=self._item)
                self._pace.sent()
        except LtmError as error:
            self._text.failure = error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()
