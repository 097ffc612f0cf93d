"""A producer that writes in a thread of its own, so that a slow service never delays an engine."""

from __future__ import annotations

import asyncio
import atexit
import inspect
import json
import logging
import multiprocessing
import multiprocessing.util
import os
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from typing_extensions import Self

from .._sync.transport import Transport
from ..data.values import to_text
from ..problems import DeadlineExceeded, InvalidRequest, LtmError, PatchFailed, Problem, StateTooLarge
from ..wire import NewSnapshot
from . import calls
from .calls import Address, Conditions
from .retry import Retry
from .settings import AsyncToken, Settings, Token

#: What happens to a snapshot if the queue is full: `raise` raises `QueueFull`, `block` waits, `drop` drops it.
#: `latest` drops the oldest whole `state` of the same LTM, which the new one replaces, or else raises `QueueFull`.
Full = Literal["raise", "block", "drop", "latest"]
#: Gets each snapshot that was not written, and why.
OnError = Callable[["Queued", LtmError], None]

_log = logging.getLogger("ltm_live")
#: The most snapshots in one call, and their bytes: less than `api.max_body` (default 8 MiB).
_BATCH = 100
_BATCH_BYTES = 4 << 20
#: Retries until the queue is closed. A snapshot that no service answers for an hour is lost.
_PATIENT = Retry(tries=1_000_000, deadline=3600.0)


class QueueFull(LtmError):
    """The queue of the background producer is full: the services are slower than the engine, or do not answer."""


@dataclass(frozen=True)
class Queued:
    """A snapshot that waits to be written."""

    address: Address
    #: Its JSON.
    text: bytes
    #: Whether it has the whole state.
    is_whole: bool
    idempotency_key: str

    @property
    def snapshot(self) -> NewSnapshot:
        """The snapshot."""
        snapshot: NewSnapshot = json.loads(self.text)
        return snapshot


class BackgroundProducer:
    """Writes snapshots in the background, in order. `Client.background` returns it.

    The queue holds `capacity` snapshots, of `max_bytes` together. At the exit of the program, before a fork and at the
    end of a `with` block the producer writes what is queued, for at most `linger` seconds. Several snapshots of one LTM
    go out in one call.
    """

    def __init__(
        self,
        settings: Settings,
        token: AsyncToken | None,
        capacity: int,
        max_bytes: int,
        on_full: Full,
        on_error: OnError | None,
        retry: Retry | None,
        linger: float,
    ) -> None:
        self._settings = replace(settings, retry=retry or _PATIENT)
        self._token = _blocking(token)
        self._capacity, self._max_bytes = capacity, max_bytes
        self._on_full, self._linger = on_full, linger
        self._on_error = on_error or _logged
        self._closed = False
        #: Snapshots that the policy `drop` or `latest` dropped.
        self.dropped = 0
        #: Snapshots that were not written: the API refused them, or no service answered in time.
        self.failed = 0
        #: Snapshots that were written.
        self.written = 0
        self._batches = True
        self._fresh()
        _producers.add(self)

    def _fresh(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[Queued] = deque()
        self._bytes = 0
        #: What the thread has taken from the queue, and what is neither written nor refused yet.
        self._sending: list[Queued] = []
        self._is_writing = False
        self._gave_up = threading.Event()
        self._thread: threading.Thread | None = None
        self._transport = Transport(self._settings, self._token, self._pause)

    def append(
        self,
        ltm: Any,
        reason: str,
        *,
        patch: Any = None,
        merge: Any = None,
        state: Any = None,
        item: Any = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Queues a snapshot. The values are converted at once, so you may change them afterwards."""
        members = {"patch": patch, "merge": merge, "state": state, "item": item}
        snapshot = calls.snapshot(reason, self._settings.producer.default, **members)
        text, key = to_text(snapshot), idempotency_key or str(uuid.uuid4())
        queued = Queued(Address.of(ltm), text, state is not None, key)
        with self._changed:
            if self._closed:
                raise ValueError("this producer is closed")
            if self._has_room(queued) or self._makes_room(queued):
                self._queue.append(queued)
                self._bytes += len(text)
                self._start()
                self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until all is written or refused. Returns whether that happened within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_done, timeout)

    def _is_done(self) -> bool:
        # A snapshot is done after `on_error` was called for it.
        return not self._queue and (not self._is_writing or self._gave_up.is_set())

    def close(self, timeout: float | None = None) -> bool:
        """Writes what is queued, and stops. Returns whether everything was written or refused in time.

        From now on `append` raises an exception. `on_error` gets what was not written in time; the call that runs at
        that moment may still land.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        done = self.flush(self._linger if timeout is None else timeout)
        if not done:
            self._give_up()
        self._transport.close()
        return done

    def _give_up(self) -> None:
        """Fails all that is not written. The thread sends nothing more."""
        with self._changed:
            self._gave_up.set()
            rest = [*self._sending, *self._queue]
            self._sending.clear()
            self._queue.clear()
            self._bytes = 0
            self.failed += len(rest)
            self._changed.notify_all()
        for queued in rest:
            self._tell(queued, DeadlineExceeded("the producer was closed before a service took the snapshot"))
        _log.error("snapshots are lost: the services did not take them in time", extra=self.counts())

    def _pause(self, seconds: float) -> None:
        """The pause before another attempt. It ends if `close` gives up, and then there is none."""
        if self._gave_up.wait(seconds):
            raise DeadlineExceeded("the producer is closed")

    def counts(self) -> dict[str, int]:
        """The numbers of snapshots: queued, written, failed and dropped."""
        queued = len(self._queue) + len(self._sending)
        return {"queued": queued, "written": self.written, "failed": self.failed, "dropped": self.dropped}

    def _has_room(self, new: Queued) -> bool:
        # One snapshot always fits: the API says if it is too large.
        fits = not self._queue or self._bytes + len(new.text) <= self._max_bytes
        return len(self._queue) < self._capacity and fits

    def _makes_room(self, new: Queued) -> bool:
        """Whether the new snapshot has room now, by the policy."""
        if self._on_full == "block":
            self._changed.wait_for(lambda: self._has_room(new) or self._closed)
            if self._closed:
                raise ValueError("this producer is closed")
            return True
        if self._on_full == "latest" and new.is_whole:
            for old in [old for old in self._queue if old.address == new.address and old.is_whole]:
                self._queue.remove(old)
                self._bytes -= len(old.text)
                self.dropped += 1
                if self._has_room(new):
                    return True
        if self._on_full == "drop":
            self.dropped += 1
            return False
        raise QueueFull(f"{len(self._queue)} snapshots with {self._bytes} bytes are queued already")

    def _start(self) -> None:
        if self._thread is None:
            _write_at_exit_of_child()
            self._thread = threading.Thread(target=self._run, name="ltm-live producer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return
                batch = self._next_batch()
                self._sending, self._is_writing = list(batch), True
                self._changed.notify_all()
            try:
                self._write(batch)
            except Exception as error:
                # Such as a function of the caller that fails. The thread must not end.
                _log.exception("snapshots were not written")
                for queued in batch:
                    self._fail(queued, LtmError(str(error)))
            finally:
                with self._changed:
                    self._is_writing = False
                    self._changed.notify_all()

    def _next_batch(self) -> list[Queued]:
        """The next snapshots of one LTM."""
        batch = [self._queue.popleft()]
        size = len(batch[0].text)
        while self._batches and self._queue and self._queue[0].address == batch[0].address and len(batch) < _BATCH:
            size += len(self._queue[0].text)
            if size > _BATCH_BYTES:
                break
            batch.append(self._queue.popleft())
        self._bytes -= sum(len(queued.text) for queued in batch)
        return batch

    def _write(self, batch: list[Queued]) -> None:
        if len(batch) > 1:
            producer, first = self._settings.producer, batch[0]
            conditions = Conditions(idempotency_key=f"batch:{first.idempotency_key}")
            text = b'{"snapshots":[' + b",".join(queued.text for queued in batch) + b"]}"
            try:
                self._transport.send(producer.append_text(first.address, text, conditions))
                for queued in batch:
                    self._settled(queued, written=True)
                return
            except LtmError as error:
                if not _is_wrong(error):
                    # An earlier attempt may have landed: alone, a snapshot could land twice.
                    for queued in batch:
                        self._fail(queued, error)
                    return
                # All or nothing: nothing was written. Alone, only the wrong one is refused.
                self._batches = self._batches and not _is_unknown(error)
        for queued in batch:
            self._write_one(queued)

    def _write_one(self, queued: Queued) -> None:
        if self._gave_up.is_set():
            return
        conditions = Conditions(idempotency_key=queued.idempotency_key)
        try:
            self._transport.send(self._settings.producer.append_text(queued.address, queued.text, conditions))
            self._settled(queued, written=True)
        except LtmError as error:
            self._fail(queued, error)

    def _settled(self, queued: Queued, *, written: bool) -> bool:
        """Counts a snapshot as written or failed. Returns False if `close` has failed it already."""
        with self._changed:
            if queued not in self._sending:
                return False
            self._sending.remove(queued)
            if written:
                self.written += 1
            else:
                self.failed += 1
            return True

    def _fail(self, queued: Queued, error: LtmError) -> None:
        if self._settled(queued, written=False):
            self._tell(queued, error)

    def _tell(self, queued: Queued, error: LtmError) -> None:
        try:
            self._on_error(queued, error)
        except Exception:
            _log.exception("`on_error` raised an exception")

    def before_fork(self) -> None:
        """Writes what is queued: the child has a queue of its own."""
        if self._thread is not None and not self._closed:
            self.flush(self._linger)

    def after_fork(self) -> None:
        """Begins anew in the child. The thread and the connections stay with the parent."""
        self._fresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_wrong(error: LtmError) -> bool:
    """Whether the batch itself was refused, so that no attempt has landed. A proxy may refuse its length, too."""
    refusals = (PatchFailed, StateTooLarge, InvalidRequest)
    return isinstance(error, refusals) or (isinstance(error, Problem) and error.status == 413)


def _is_unknown(refused: LtmError) -> bool:
    """Whether the API does not know batches."""
    return isinstance(refused, InvalidRequest) and "snapshots" in (refused.field or refused.detail)


def _logged(queued: Queued, error: LtmError) -> None:
    _log.error("a snapshot was not written", extra={"ltm": queued.address.path, "error": str(error)})


def _blocking(token: AsyncToken | None) -> Token | None:
    """The token for a thread without an event loop."""
    if not callable(token):
        return token

    def current() -> str:
        value = token()
        if inspect.isawaitable(value):

            async def awaited() -> str:
                return await value

            return asyncio.run(awaited())
        return value

    return current


_producers: weakref.WeakSet[BackgroundProducer] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for producer in list(_producers):
        if producer.counts()["queued"]:
            producer.close()


def _write_at_exit_of_child() -> None:
    """A child of `multiprocessing` ends without `atexit`, but calls what its own registry has.

    The child empties the registry when it begins, so this is called when it first uses a producer.
    """
    if multiprocessing.parent_process() is not None:
        multiprocessing.util.Finalize(None, _at_exit, exitpriority=0)


def _before_fork() -> None:
    for producer in list(_producers):
        producer.before_fork()


def _after_fork() -> None:
    for producer in list(_producers):
        producer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
