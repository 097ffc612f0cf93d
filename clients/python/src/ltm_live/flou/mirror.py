"""Brings the LTMs of ltm-live up to date with Flou's database, step by step."""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from .._sync.client import Client
from .._sync.ltm import Ltm
from ..problems import CursorMismatch, IdTaken, KeyReused, LtmError, PatchFailed
from ..sending.retry import Backoff, Retry
from . import database
from .database import History, Row

T = TypeVar("T")

_log = logging.getLogger("ltm_live")

#: How often it is tried again if another process writes the same step.
_TRIES = 20
#: How many LTMs are kept in memory.
_LTMS = 1000
#: A step of Flou waits so long for ltm-live, in seconds.
_DEADLINE = 10.0


@functools.cache
def mirror() -> Mirror:
    """The mirror of this process."""
    url = os.environ.get("LTM_URL", "http://localhost:8000")
    retry = Retry(backoff=Backoff(0.05, 1.0), deadline=_DEADLINE)
    return Mirror(Client(url, token=os.environ.get("LTM_TOKEN"), producer="flou", retry=retry))


@dataclass
class Known:
    """What ltm-live has of an LTM."""

    ltm: Ltm
    cursor: str
    snapshots: int
    rollbacks: int


class Mirror:
    """Writes to ltm-live what Flou's database has and ltm-live has not."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: OrderedDict[int, Known] = OrderedDict()
        self._lock = threading.RLock()
        self._attached = False

    def attach(self) -> None:
        """Sees what Flou publishes in this process, from now on."""
        from flou.database import base

        with self._lock:
            if self._attached:
                return
            self._attached = True
        publish = base.redis.publish

        def published(channel: Any, message: Any, **options: Any) -> Any:
            answer = publish(channel, message, **options)
            self.saw(message)
            return answer

        base.redis.publish = published
        # The first thing that a process does may be a rollback, which Flou publishes before it asks for its engine.
        for id in self._guarded(database.rolled_back) or []:
            self.sync(id)

    def saw(self, message: str | bytes) -> None:
        """Flou has published something: a step, a rollback or an error."""
        told = json.loads(message)
        self.sync(told["id"], errors=[told["error"]] if "error" in told else [])

    def sync(self, id: int, errors: list[dict[str, Any]] | None = None) -> None:
        """Brings an LTM up to date. A failure is logged: the next step tries again."""
        with self._lock:
            self._guarded(lambda: self._sync(id, errors or []))

    def sync_all(self) -> int:
        """Brings all LTMs of the database up to date. Returns their number."""
        ids = database.ids()
        for id in ids:
            self._sync(id, database.errors_of(id))
        return len(ids)

    def _guarded(self, act: Callable[[], T]) -> T | None:
        try:
            return act()
        except Exception as error:
            # Flou goes on, whatever happens here.
            _log.error("a step of Flou is not in its LTM", extra={"error": f"{type(error).__name__}: {error}"})
            return None

    def _sync(self, id: int, errors: list[dict[str, Any]]) -> None:
        for _ in range(_TRIES):
            try:
                known = self._advanced(id)
                break
            except (CursorMismatch, KeyReused):
                # Another process has written: look again.
                self._known.pop(id, None)
            except LtmError:
                self._known.pop(id, None)
                raise
        else:
            raise LtmError(f"other programs write to the LTM {id} of Flou all the time")
        for error in errors if known else []:
            known.ltm.record_error(  # type: ignore[union-attr]
                str(error["id"]),
                reason=error["reason"],
                item=error["item"],
                retries=[{**attempt, "time": _utc(attempt["time"])} for attempt in error["retries"]],
                retrying=error["retrying"],
                success=error["success"],
            )
            self._known.pop(id, None)

    def _advanced(self, id: int) -> Known | None:
        """Writes the steps that are missing. Returns what ltm-live has now; None if the LTM has no steps yet."""
        known = self._known.get(id)
        row = database.row_of(id, known.snapshots if known else 0)
        if row is None:
            return None
        if known is None:
            known = self._found(id, row)
            if known is None:
                return None
            row = database.row_of(id, known.snapshots) or row
        if known.rollbacks < row.rollbacks_count:
            history = database.history_of(id)
            if history is not None:
                self._roll(id, known, history)
        else:
            self._append(id, known, row.snapshots, known.rollbacks)
        return known

    def _found(self, id: int, row: Row) -> Known | None:
        """The LTM, which is made if it is not there."""
        history = database.history_of(id) if row.rollbacks_count else None
        first = next((each for each in [*(history.rollbacks if history else []), {"snapshots": row.snapshots}]), None)
        if first is None or not first["snapshots"]:
            return None
        structure, instances, params = database.picture_of(id)
        snapshot: Any = _snapshot(first["snapshots"][0])
        creation: dict[str, Any] = {
            "key": str(id),
            "name": row.name,
            "params": params,
            "playground": row.playground,
            "structure": structure,
            "concurrent_instances": instances,
            "snapshot": snapshot,
            "time": row.created_at,
        }
        try:
            ltm = self._client.create(row.fqn, id=id, **creation)
        except IdTaken:
            _log.warning("the id of an LTM of Flou is taken; it is found by its key", extra={"key": str(id)})
            ltm = self._client.create(row.fqn, **creation)
        while True:
            page, rollbacks = ltm.snapshots(limit=1), ltm.rollbacks(limit=1)
            if page["cursor"] == rollbacks["cursor"]:
                break
        known = Known(ltm, page["cursor"], page["snapshots_count"], rollbacks["rollbacks_count"])
        self._known[id] = known
        while len(self._known) > _LTMS:
            self._known.popitem(last=False)
        return known

    def _append(self, id: int, known: Known, snapshots: list[dict[str, Any]], rollbacks: int) -> None:
        """Appends snapshots, each once: the key names the step, and the cursor what it follows."""
        for nth, snapshot in enumerate(snapshots):
            body = _snapshot(snapshot)
            item = snapshot.get("item") or {}
            key = f"flou:{rollbacks}:{known.snapshots}:{item.get('item_id', 'start')}"
            reason = body.pop("reason")
            try:
                written = known.ltm.append(reason, **body, if_match=known.cursor, idempotency_key=key)
            except PatchFailed:
                # Steps at the same time: Flou's patch does not lead from the state before it.
                body["patch"] = None
                last = nth == len(snapshots) - 1
                history = database.history_of(id) if last else None
                change: dict[str, Any] = {"state": history.state} if history else {"merge": {}}
                written = known.ltm.append(
                    reason, **{**body, **change}, if_match=known.cursor, idempotency_key=f"{key}:state"
                )
            known.cursor, known.snapshots = written["cursor"], known.snapshots + 1

    def _roll(self, id: int, known: Known, history: History) -> None:
        """Does the rollbacks that are missing, with the steps between them."""
        histories = [taken["snapshots"] for taken in history.rollbacks] + [history.snapshots]
        for nth in range(known.rollbacks, len(history.rollbacks)):
            before, after, taken = histories[nth], histories[nth + 1], history.rollbacks[nth]
            self._append(id, known, before[known.snapshots :], nth)
            target: dict[str, Any] = {"if_match": known.cursor, "idempotency_key": f"flou:rollback:{nth}"}
            target["time"] = _utc(taken["time"])
            undone = _undone(histories[: nth + 1], after) if taken["reason"] == "recover rollback" else None
            kept = _common(before, after)
            if undone is not None:
                written = known.ltm.undo(undone, **target)
            elif kept == 0 or (taken["reason"] == "replay" and kept < len(before)):
                written = known.ltm.rollback(kept, replay=True, **target)
            else:
                written = known.ltm.rollback(kept - 1, **target)
            known.cursor, known.snapshots = written["cursor"], written["snapshots_count"]
            known.rollbacks = nth + 1
        self._append(id, known, history.snapshots[known.snapshots :], known.rollbacks)


def _snapshot(snapshot: dict[str, Any]) -> dict[str, Any]:
    return {**snapshot, "time": _utc(snapshot["time"])}


def _utc(text: str) -> datetime:
    """Flou writes local times without an offset."""
    return datetime.fromisoformat(text).astimezone(timezone.utc)


def _common(before: list[Any], after: list[Any]) -> int:
    """How many snapshots two histories have in common."""
    count = 0
    for one, other in zip(before, after, strict=False):
        if one != other:
            break
        count += 1
    return count


def _undone(histories: list[list[Any]], after: list[Any]) -> int | None:
    """The rollback that was undone: its history is how the next one begins."""
    found = [nth for nth, taken in enumerate(histories) if taken and after[: len(taken)] == taken]
    return max(found, key=lambda nth: (len(histories[nth]), nth), default=None)
