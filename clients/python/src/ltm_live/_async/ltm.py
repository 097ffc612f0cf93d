"""One LTM: everything that can be written to it and read of it."""

from __future__ import annotations

import time as clock
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

from ..data.values import Default, to_json
from ..following.subscription import Start
from ..problems import DeadlineExceeded
from ..sending import calls
from ..sending.calls import Address, Call, Conditions
from ..sending.retry import Backoff
from ..wire import (
    Appended,
    AppendedBatch,
    Copied,
    Deleted,
    Document,
    NewSnapshot,
    Recorded,
    RollbacksPage,
    RolledBack,
    Row,
    Snapshot,
    SnapshotsPage,
    State,
    StateAt,
)
from .follower import AsyncFollower
from .step import AsyncStep
from .text import AsyncTextStream
from .transport import AsyncBell, AsyncTransport

T = TypeVar("T")

#: The longest wait of one call, in seconds: shorter than the time-outs of proxies.
_LONGEST_WAIT = 30.0
#: The shortest time from one look to the next: an API that stops answers at once.
_SHORTEST_WAIT = 1.0


class AsyncLtm:
    """One LTM. `AsyncClient.create`, `AsyncClient.ltm` and `AsyncClient.by_key` return it.

    Writes take these arguments, too:

    - `if_match`: the cursor that the LTM must have. If it has another one, the API writes nothing, and the call raises
      `CursorMismatch`.
    - `idempotency_key`: the call lands once under this key. Default: a random one, which survives the retries of this
      call. Pass a key if your program must repeat the call after a crash.
    - `deadline`: seconds for all attempts together. Default: that of the client.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        address: Address,
        id: int | None = None,
        cursor: str | None = None,
        created: bool | None = None,
    ) -> None:
        self._transport = transport
        self._producer = transport.settings.producer
        self._known: tuple[str, State] | None = None
        #: Where the LTM is.
        self.address = address
        self._id = id
        #: The cursor that `create` returned.
        self.cursor = cursor
        #: Whether `create` made the LTM; False if its key was there already, None if `create` was not called.
        self.created = created

    @property
    def id(self) -> int:
        """The id. An LTM that is known by its key only has none here: see `document`."""
        if self._id is None:
            raise AttributeError("this LTM is known by its key; `document` and `state` return its id")
        return self._id

    @property
    def default(self) -> Default | None:
        """The function of the client that converts objects to JSON."""
        return self._producer.default

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address.path}>"

    async def append(
        self,
        reason: str,
        *,
        patch: Any = None,
        merge: Any = None,
        state: Any = None,
        item: Any = None,
        execute_queue: list[Any] | None = None,
        transitions_queue: list[Any] | None = None,
        time: Any = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> Appended:
        """Appends a snapshot: a step, and its change as `patch` (RFC 6902), `merge` (RFC 7396) or the whole `state`."""
        snapshot = calls.snapshot(
            reason,
            self.default,
            patch=patch,
            merge=merge,
            state=state,
            item=item,
            execute_queue=execute_queue,
            transitions_queue=transitions_queue,
            time=time,
        )
        return await self._write(
            self._producer.append(self.address, snapshot, Conditions(if_match, idempotency_key, deadline))
        )

    async def append_batch(
        self,
        snapshots: Iterable[NewSnapshot],
        *,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> AppendedBatch:
        """Appends several snapshots: all of them, one after the other, or none."""
        conditions = Conditions(if_match, idempotency_key, deadline)
        return await self._write(self._producer.append_batch(self.address, snapshots, conditions))

    async def record_error(
        self,
        id: Any = None,
        *,
        reason: str | None = None,
        item: Any = None,
        retries: list[Any] | None = None,
        retrying: bool | None = None,
        success: bool | None = None,
        time: Any = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> Recorded:
        """Records an error, or what became of it: a report with a known id changes the members that it names."""
        report = {"id": id, "reason": reason, "item": item, "retries": retries, "retrying": retrying}
        report |= {"success": success, "time": time}
        conditions = Conditions(if_match, idempotency_key, deadline)
        return await self._write(self._producer.record_error(self.address, report, conditions))

    async def rollback(
        self,
        index: int,
        *,
        replay: bool = False,
        time: Any = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> RolledBack:
        """Goes back to a snapshot. With `replay` it is dropped, too: the engine is about to take it again."""
        target = {"snapshot": {"index": index, "replay": replay}, "time": time}
        conditions = Conditions(if_match, idempotency_key, deadline)
        return await self._write(self._producer.rollback(self.address, target, conditions))

    async def undo(
        self,
        rollback: int,
        *,
        time: Any = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> RolledBack:
        """Undoes a rollback, named by its index among all rollbacks of the LTM, from 0."""
        target = {"rollback": {"index": rollback}, "time": time}
        conditions = Conditions(if_match, idempotency_key, deadline)
        return await self._write(self._producer.rollback(self.address, target, conditions))

    async def copy(
        self,
        *,
        until: str | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> AsyncLtm:
        """Copies the LTM to the playground, with its history, up to the cursor `until` if you pass it."""
        conditions = Conditions(if_match, idempotency_key, deadline)
        copied: Copied = await self._transport.send(self._producer.copy(self.address, until, conditions))
        id = copied["copy_id"]
        return AsyncLtm(self._transport, Address.of(id), id, copied["cursor"], True)

    async def delete(
        self,
        *,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        deadline: float | None = None,
    ) -> Deleted:
        """Deletes the LTM. Its id is never used again."""
        return await self._write(self._producer.delete(self.address, Conditions(if_match, idempotency_key, deadline)))

    async def document(self, *, rollbacks: bool = False, from_rollback: int | None = None) -> Document:
        """The document: state, history, errors, and the cursor to follow from.

        With `rollbacks` it also has a page of the histories that rollbacks removed, from `from_rollback` on.
        """
        return await self._transport.send(calls.document(self.address, rollbacks, from_rollback))

    async def rollbacks(self, start: int = 0, *, limit: int = 100) -> RollbacksPage:
        """One page of the rollbacks, without the histories that they removed."""
        return await self._transport.send(calls.rollbacks(self.address, start, limit))

    async def state(self, index: int | None = None, *, rollback: int | None = None) -> StateAt:
        """The state: the current one, or the one after a snapshot, also in the history that a rollback removed."""
        return await self._transport.send(calls.state(self.address, index, rollback))

    async def snapshots(self, start: int = 0, *, limit: int = 100, rollback: int | None = None) -> SnapshotsPage:
        """One page of the history."""
        return await self._transport.send(calls.snapshots(self.address, start, limit, rollback))

    async def history(self, start: int = 0, *, rollback: int | None = None) -> AsyncIterator[Snapshot]:
        """The history, page by page."""
        while True:
            page = await self.snapshots(start, limit=1000, rollback=rollback)
            for snapshot in page["snapshots"]:
                yield snapshot
            start = max(start, page["first_index"]) + len(page["snapshots"])
            if not page["snapshots"] or start >= page["snapshots_count"]:
                return

    async def wait(self, *statuses: str, after: str | None = None, timeout: float | None = None) -> Row:
        """Waits until the LTM has one of these statuses, or has left the cursor `after`. Returns its row of the list.

        Raises `DeadlineExceeded` after `timeout` seconds. The API looks at the LTM a few times per second, so it may
        miss a status that lasts a shorter time.
        """
        end = None if timeout is None else clock.monotonic() + timeout
        while True:
            left = _LONGEST_WAIT if end is None else min(_LONGEST_WAIT, end - clock.monotonic())
            if left <= 0:
                raise DeadlineExceeded(f"the LTM did not get the status {', '.join(statuses)} within {timeout} s")
            begun = clock.monotonic()
            row: Row | None = await self._transport.send(calls.wait(self.address, statuses, after, left))
            if row is not None:
                return row
            await AsyncBell().wait(max(0.0, min(left, _SHORTEST_WAIT) - (clock.monotonic() - begun)))

    def follow(self, after: Start | None = None, *, backoff: Backoff | None = None) -> AsyncFollower:
        """Follows the LTM: an iterator that gives a `View` after each change, across disconnects.

        It begins with the current state, or after a view, a state, a document, or `"0"` (the beginning of the log).
        """
        return AsyncFollower(self._transport, self.address, after, backoff or Backoff(0.2, 10.0))

    def step(
        self,
        reason: str,
        *,
        item: Any = None,
        execute_queue: list[Any] | None = None,
        transitions_queue: list[Any] | None = None,
        exclusive: bool = True,
        idempotency_key: str | None = None,
    ) -> AsyncStep:
        """A step as a block, which gets the state and changes it: the difference is appended at the end of the block.

        If the block raises an exception, no step is appended; the exception is recorded as an error and continues.
        If another program has written since the block began, the end of the block raises `CursorMismatch`. With
        `exclusive=False` the difference is applied to the state that it meets, or refused.
        """
        members = {"item": item, "execute_queue": execute_queue, "transitions_queue": transitions_queue}
        return AsyncStep(self, reason, exclusive, members, idempotency_key)

    def text(self, path: str, *, every: float = 0.05, reason: str = "tokens", item: Any = None) -> AsyncTextStream:
        """Streams a text to the member of the state at `path`, such as the tokens of a model.

        While the text grows it is `{"chunks": […]}`, because JSON Patch cannot append to a text; in the end it is one
        text. What is written within `every` seconds goes into one chunk.
        """
        return AsyncTextStream(self, path, every, reason, item)

    async def known(self) -> tuple[str, State]:
        """The cursor and the state that the next step begins with."""
        if self._known is None:
            now = await self.state()
            self._known = (now["cursor"], now["state"])
        return self._known

    def know(self, cursor: str, state: State) -> None:
        """Keeps the state after an own step, so that the next step need not ask for it."""
        self._known = (cursor, state)

    async def _write(self, call: Call[T]) -> T:
        self._known = None
        return await self._transport.send(call)

    def converted(self, value: Any) -> Any:
        """The JSON of a value, as the client converts it."""
        return to_json(value, self.default)
