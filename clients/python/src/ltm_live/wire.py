"""The objects that the services send and take, as they are on the wire.

Their members are those of the HTTP API, which `/docs` of the services describes. `docs/formats.md` explains
`structure`, `item`, the queues and errors.
"""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import NotRequired, TypedDict

#: A state: a JSON object. Members that start with `_` belong to the engine.
State = dict[str, Any]

#: One operation of a JSON Patch (RFC 6902).
Operation = TypedDict(
    "Operation",
    {
        "op": Literal["add", "remove", "replace", "move", "copy", "test"],
        "path": str,
        "from": NotRequired[str],
        "value": NotRequired[Any],
    },
)

#: A JSON Patch (RFC 6902).
Patch = list[Operation]


class Snapshot(TypedDict):
    """One step of an LTM's history."""

    time: str
    reason: str
    item: Any
    patch: Patch
    execute_queue: list[Any]
    transitions_queue: list[Any]
    traceparent: NotRequired[str]


class NewSnapshot(TypedDict):
    """A snapshot to append: `reason`, and one of `patch`, `merge` and `state`."""

    reason: str
    patch: NotRequired[Any]
    merge: NotRequired[Any]
    state: NotRequired[Any]
    item: NotRequired[Any]
    execute_queue: NotRequired[list[Any]]
    transitions_queue: NotRequired[list[Any]]
    time: NotRequired[Any]


class Retention(TypedDict, total=False):
    """Rules for one LTM in place of the services' `retention` settings; None switches a rule off."""

    max_entries: int | None
    max_bytes: int | None
    max_age: str | None
    idle_ttl: str | None


class Appended(TypedDict):
    """The answer to an append."""

    id: int
    cursor: str
    index: int
    #: None if the API appended the snapshot before and no longer keeps it, or if it has no memory for the answer.
    snapshot: Snapshot | None


class AppendedBatch(TypedDict):
    """The answer to an append of several snapshots. `cursor` and `index` are those of the last one."""

    id: int
    cursor: str
    index: int
    cursors: list[str]


class RolledBack(TypedDict):
    """The answer to a rollback. `snapshot_index` is None if it undid a rollback."""

    success: bool
    id: int
    cursor: str
    snapshot_index: int | None
    snapshots_count: int


class RecordedError(TypedDict):
    """A failure that an engine recorded beside the history."""

    id: str
    ltm_id: int
    reason: str
    item: Any
    retries: list[Any]
    retrying: bool
    success: bool
    created_at: str
    updated_at: str
    traceparent: NotRequired[str]


class Recorded(TypedDict):
    """The answer to a report of an error."""

    id: int
    cursor: str
    error: RecordedError | None


class Copied(TypedDict):
    """The answer to a copy."""

    copy_id: int
    cursor: str


class Deleted(TypedDict):
    """The answer to a deletion."""

    id: int
    cursor: str
    deleted: bool


class StateAt(TypedDict):
    """A state, and the index of the snapshot after which it is the state."""

    id: int
    cursor: str
    index: int
    state: State


class SnapshotsPage(TypedDict):
    """A page of a history."""

    id: int
    cursor: str
    snapshots: list[Snapshot]
    first_index: int
    snapshots_count: int


class Rollback(TypedDict):
    """The state and the history that a rollback replaced."""

    time: str
    reason: str
    state: State
    snapshots: list[Snapshot]
    first_index: int


class RollbackRow(TypedDict):
    """A rollback, without the history that it removed."""

    index: int
    cursor: str
    time: str
    reason: str
    #: The last snapshot that is kept: -1 if none is, None if it undoes a rollback.
    snapshot_index: int | None
    #: The rollback that it undoes.
    rollback_index: int | None
    snapshots_before: int
    snapshots_count: int


#: `from` is the index of the first rollback on the page.
RollbacksPage = TypedDict(
    "RollbacksPage",
    {
        "id": int,
        "cursor": str,
        "from": int,
        "rollbacks": list[RollbackRow],
        "first_rollback": int,
        "rollbacks_count": int,
    },
)


class Document(TypedDict):
    """An LTM: its state, its history, its errors, and the cursor to follow from."""

    id: int
    cursor: str
    name: str
    fqn: str
    key: NotRequired[str | None]
    state: State
    snapshots: list[Snapshot]
    first_index: int
    snapshots_count: int
    params: dict[str, Any]
    structure: dict[str, Any]
    concurrent_instances: dict[str, Any]
    created_at: str
    updated_at: str
    source_id: NotRequired[int]
    errors: list[RecordedError]
    #: A page of them, if you asked for them; `next_rollback` begins the next page.
    rollbacks: NotRequired[list[Rollback]]
    first_rollback: NotRequired[int]
    next_rollback: NotRequired[int]
    rollbacks_count: NotRequired[int]


class Row(TypedDict):
    """One row of a list."""

    id: int
    name: str
    fqn: str
    key: NotRequired[str | None]
    status: str | None
    snapshots_count: int
    created_at: str
    updated_at: str


class Counts(TypedDict):
    """How many LTMs there are, by status and by class."""

    total: int
    status: dict[str, int]
    fqn: dict[str, int]


class Ticket(TypedDict):
    """A credential for one connection, and the seconds until it expires."""

    ticket: str
    expires_in: float


class Revocation(TypedDict):
    """A revoked credential: one of `jti`, `sub` and `api_key`."""

    jti: NotRequired[str]
    sub: NotRequired[str]
    api_key: NotRequired[str]
    until: int | None


#: The revoked credentials.
Revocations = list[Revocation]
