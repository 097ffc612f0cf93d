"""What Flou's database has of an LTM. Only the steps that are asked for leave the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flou.database import get_db, get_session
from sqlalchemy import text

_ROW = text(
    """
    SELECT name, fqn, playground, created_at,
      jsonb_array_length(snapshots) AS snapshots_count,
      jsonb_array_length(rollbacks) AS rollbacks_count,
      jsonb_path_query_array(snapshots, CAST(:path AS jsonpath)) AS snapshots
    FROM ltm_ltms WHERE id = :id
    """
)
_WHOLE = text("SELECT state, snapshots, rollbacks FROM ltm_ltms WHERE id = :id")
_ERRORS = text(
    "SELECT id, reason, item, retries, retrying, success FROM engine_error WHERE ltm_id = :id ORDER BY created_at"
)
_IDS = text("SELECT id FROM ltm_ltms ORDER BY id")
# A rollback is all that changes `updated_at`.
_ROLLED_BACK = text("SELECT id FROM ltm_ltms WHERE updated_at > now() - interval '1 minute' AND rollbacks <> '[]'")


@dataclass(frozen=True)
class Row:
    """An LTM, and its snapshots from an index on."""

    name: str
    fqn: str
    playground: bool
    created_at: Any
    snapshots_count: int
    rollbacks_count: int
    snapshots: list[dict[str, Any]]


@dataclass(frozen=True)
class History:
    """All of an LTM: its state, its snapshots, and those that each rollback removed."""

    state: dict[str, Any]
    snapshots: list[dict[str, Any]]
    rollbacks: list[dict[str, Any]]


def row_of(id: int, start: int) -> Row | None:
    """An LTM, with its snapshots from an index on."""
    found = _one(_ROW, id=id, path=f"$[{start} to last]")
    return None if found is None else Row(*found)


def history_of(id: int) -> History | None:
    """All of an LTM."""
    found = _one(_WHOLE, id=id)
    return None if found is None else History(found.state, found.snapshots, found.rollbacks or [])


def errors_of(id: int) -> list[dict[str, Any]]:
    """The errors of an LTM."""
    return [dict(row._mapping) for row in _all(_ERRORS, id=id)]


def ids() -> list[int]:
    """The ids of all LTMs."""
    return [row.id for row in _all(_IDS)]


def rolled_back() -> list[int]:
    """The ids of the LTMs with a rollback within the last minute."""
    return [row.id for row in _all(_ROLLED_BACK)]


def picture_of(id: int) -> tuple[Any, Any, Any]:
    """The structure, the concurrent instances and the parameters of an LTM."""
    ltm = get_db().load_ltm(id)
    return ltm.as_json(structure=True), ltm.concurrent_instances_as_json(), ltm.params


def _one(query: Any, **values: Any) -> Any:
    return next(iter(_all(query, **values)), None)


def _all(query: Any, **values: Any) -> list[Any]:
    with next(get_session()) as session:
        return list(session.execute(query, values))
