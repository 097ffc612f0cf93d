"""Follows an LTM across disconnects, as an iterator of views."""

from __future__ import annotations

from collections.abc import AsyncIterator

from typing_extensions import Self

from ..following.events import Event
from ..following.subscription import Ended, Misfit, Start, Status, Subscription
from ..following.view import View
from ..problems import LtmError, NoAnswer
from ..sending.calls import Address
from ..sending.retry import Backoff
from .transport import AsyncBell, AsyncStream, AsyncTransport


class AsyncFollower(AsyncIterator[View]):
    """An LTM that the client follows: an iterator that gives a `View` after each change.

    The follower reconnects until the LTM is deleted, until you close it, or until the services refuse it for good; then
    it raises the `Problem`.
    """

    def __init__(self, transport: AsyncTransport, ltm: Address, after: Start | None, backoff: Backoff) -> None:
        self._transport = transport
        self._subscription = Subscription(ltm, after, backoff, transport.renews)
        self._stream: AsyncStream | None = None
        self._pause = 0.0
        self._bell = AsyncBell()

    @property
    def view(self) -> View | None:
        """The latest view; None until the first one has arrived."""
        return self._subscription.view

    @property
    def status(self) -> Status:
        """The status of the connection: `connecting`, `live`, `reconnecting`, `deleted`, `failed` or `closed`."""
        return self._subscription.status

    @property
    def error(self) -> LtmError | None:
        """Why the follower is not live."""
        return self._subscription.error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> View:
        subscription = self._subscription
        while not subscription.over:
            try:
                event = await self._event()
                view = subscription.take(event) if event else None
            except (LtmError, Ended, Misfit) as error:
                view = await self._lost(error)
            if view is not None and not (subscription.over and not view.deleted):
                return view
        await self._drop()
        raise StopAsyncIteration

    async def _event(self) -> Event | None:
        stream = self._stream or await self._open()
        if stream is None:
            return None
        event = await stream.next()
        if event is None:
            raise NoAnswer("the connection was lost")
        return event

    async def _open(self) -> AsyncStream | None:
        """Connects after the pause. Returns None if nothing follows any more."""
        await self._bell.wait(self._pause)
        if self._subscription.over:
            return None
        stream = self._stream = await self._transport.stream(self._subscription.path())
        if stream.over:
            self._subscription.become("deleted")
        # `close` may have run while it connected, and found no stream to close.
        if self._subscription.over:
            await self._drop()
            return None
        self._subscription.opened()
        return stream

    async def _lost(self, error: Exception) -> View | None:
        """Prepares the next connection. Returns a view if the LTM was deleted."""
        await self._drop()
        if self._subscription.over:
            return None
        self._pause = self._subscription.lost(error)
        return self._subscription.view if self._subscription.over else None

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def close(self) -> None:
        """Stops following. An iteration that waits for a view ends."""
        self._subscription.become("closed")
        self._bell.ring()
        await self._drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
