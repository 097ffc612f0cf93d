"""An LTM as a follower knows it, and what a message of the gateway makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..data.patch import apply_patch
from ..wire import Patch, RecordedError, Snapshot, State

#: What changed from the view before.
Change = Literal["snapshot", "rollback", "reset", "error", "deleted"]
#: Why the gateway sent the whole state.
ResetReason = Literal["requested", "trimmed", "forked"]


@dataclass(frozen=True)
class RolledBackTo:
    """A rollback, as a follower receives it."""

    #: The last snapshot that is kept: -1 if none is, None if a rollback was undone.
    snapshot_index: int | None
    reason: str
    time: str
    patch: Patch


@dataclass(frozen=True)
class View:
    """An LTM after one change. A view never changes; parts of the state that did not change are shared.

    Exactly one of `snapshot`, `rollback`, `reset`, `error` and `deleted` says what the change was;
    `change` names it. To continue after this view later, pass it as `after`.
    """

    state: State = field(repr=False)
    #: The cursor of the entry.
    cursor: str
    #: The index of the latest snapshot; -1 if there is none.
    index: int
    change: Change
    snapshot: Snapshot | None = None
    rollback: RolledBackTo | None = None
    #: The log did not continue from the cursor of this follower, or the follower asked for the state.
    reset: ResetReason | None = None
    error: RecordedError | None = None
    deleted: bool = False
    #: Whether the follower had caught up with the log before this change.
    live: bool = False

    @property
    def status(self) -> str | None:
        """The status of the LTM: `_status` of its state."""
        status = self.state.get("_status")
        return status if isinstance(status, str) else None


def view_of(state: State, cursor: str, index: int) -> View:
    """The view that a follower begins with."""
    return View(state=state, cursor=cursor, index=index, change="reset", reset="requested")


def after_deletion(view: View) -> View:
    """The view after the deletion of the LTM, if no message told of it."""
    return _same_state(view, view.cursor, view.live, change="deleted", deleted=True)


def after_message(view: View, message: Mapping[str, Any], live: bool) -> View | None:
    """The view after a message; None if the message changes nothing.

    Raises `PatchError`, `KeyError` or `TypeError` if the message does not apply to the view.
    """
    cursor: str = message["cursor"]
    if snapshot := message.get("snapshot"):
        return View(
            state=apply_patch(view.state, snapshot["patch"]),
            cursor=cursor,
            index=view.index + 1,
            change="snapshot",
            snapshot=snapshot,
            live=live,
        )
    if rollback := message.get("rollback"):
        patch = rollback["patch"]
        target = RolledBackTo(message.get("snapshot_index"), rollback["reason"], rollback["time"], patch)
        index = rollback["snapshots_count"] - 1
        state = apply_patch(view.state, patch)
        return View(state=state, cursor=cursor, index=index, change="rollback", rollback=target, live=live)
    if reset := message.get("reset"):
        index = reset["snapshots_count"] - 1
        return View(state=reset["state"], cursor=cursor, index=index, change="reset", reset=reset["reason"], live=live)
    if error := message.get("error"):
        return _same_state(view, cursor, live, change="error", error=error)
    if message.get("deleted"):
        return _same_state(view, cursor, live, change="deleted", deleted=True)
    return None


def _same_state(view: View, cursor: str, live: bool, **changes: Any) -> View:
    nothing: dict[str, Any] = {"snapshot": None, "rollback": None, "reset": None, "error": None, "deleted": False}
    return replace(view, cursor=cursor, live=live, **(nothing | changes))
