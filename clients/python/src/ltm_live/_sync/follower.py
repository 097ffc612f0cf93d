"""Follows an LTM across disconnects, as an iterator of views."""

# Written by scripts/halves.py from the file of this name in _async. Change that one.

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import Self

from ..following.events import Event
from ..following.subscription import Ended, Misfit, Start, Status, Subscription
from ..following.view import View
from ..problems import LtmError, NoAnswer
from ..sending.calls import Address
from ..sending.retry import Backoff
from .transport import Bell, Stream, Transport


class Follower(Iterator[View]):
    """An LTM that the client follows: an iterator that gives a `View` after each change.

    The follower reconnects until the LTM is deleted, until you close it, or until the services refuse it for good; then
    it raises the `Problem`.
    """

    def __init__(self, transport: Transport, ltm: Address, after: Start | None, backoff: Backoff) -> None:
        self._transport = transport
        self._subscription = Subscription(ltm, after, backoff, transport.renews)
        self._stream: Stream | None = None
        self._pause = 0.0
        self._bell = Bell()

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

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> View:
        subscription = self._subscription
        while not subscription.over:
            try:
                event = self._event()
                view = subscription.take(event) if event else None
            except (LtmError, Ended, Misfit) as error:
                view = self._lost(error)
            if view is not None and not (subscription.over and not view.deleted):
                return view
        self._drop()
        raise StopIteration

    def _event(self) -> Event | None:
        stream = self._stream or self._open()
        if stream is None:
            return None
        event = stream.next()
        if event is None:
            raise NoAnswer("the connection was lost")
        return event

    def _open(self) -> Stream | None:
        """Connects after the pause. Returns None if nothing follows any more."""
        self._bell.wait(self._pause)
        if self._subscription.over:
            return None
        stream = self._stream = self._transport.stream(self._subscription.path())
        if stream.over:
            self._subscription.become("deleted")
        # `close` may have run while it connected, and found no stream to close.
        if self._subscription.over:
            self._drop()
            return None
        self._subscription.opened()
        return stream

    def _lost(self, error: Exception) -> View | None:
        """Prepares the next connection. Returns a view if the LTM was deleted."""
        self._drop()
        if self._subscription.over:
            return None
        self._pause = self._subscription.lost(error)
        return self._subscription.view if self._subscription.over else None

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def close(self) -> None:
        """Stops following. An iteration that waits for a view ends."""
        self._subscription.become("closed")
        self._bell.ring()
        self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
