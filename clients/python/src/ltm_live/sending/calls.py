"""The calls of the HTTP API: what is sent, and what the answer means. Nothing here sends.

`Client` and `AsyncClient` make the same calls; only their transports differ.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from ..data.values import Default, to_json, to_text
from ..problems import NoAnswer, problem_of
from ..wire import (
    Appended,
    AppendedBatch,
    Copied,
    Counts,
    Deleted,
    Document,
    NewSnapshot,
    Recorded,
    Revocation,
    Revocations,
    RollbacksPage,
    RolledBack,
    Row,
    SnapshotsPage,
    StateAt,
    Ticket,
)

T = TypeVar("T")

_LTM = "api/v0/ltm"
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


@dataclass(frozen=True)
class Answer:
    """An answer of a service. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call: what is sent, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Answer], T]
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Seconds for all attempts together; None: the client's.
    deadline: float | None = None
    #: Seconds that the service takes before it answers, for a long poll.
    waits: float = 0.0


@dataclass(frozen=True)
class Conditions:
    """The conditions of one write."""

    if_match: str | None = None
    idempotency_key: str | None = None
    deadline: float | None = None


@dataclass(frozen=True)
class ListPage:
    """A page of the list of LTMs, newest first."""

    rows: list[Row]
    #: `before` of the next page; None if this is the last one.
    next: int | None
    #: Whether the service could read every LTM of the page.
    complete: bool


@dataclass(frozen=True)
class Address:
    """Where an LTM is: its id, or its class and key."""

    path: str

    @staticmethod
    def of(ltm: Any) -> Address:
        """The address of an id, or of an object that has one."""
        address = getattr(ltm, "address", ltm)
        if isinstance(address, Address):
            return address
        if isinstance(address, bool) or not re.fullmatch(r"[0-9]+", str(address)):
            raise TypeError(f"{address!r} is not the id of an LTM: pass a whole number")
        return Address(str(address))

    @staticmethod
    def by_key(fqn: str, key: str) -> Address:
        """The address of a class and a key."""
        return Address(f"by-key/{quote(fqn, safe='')}/{quote(key, safe='')}")


@dataclass(frozen=True)
class Producer:
    """Who writes: the name and epoch of the producer, and how values become JSON."""

    name: str | None = None
    epoch: int = 0
    default: Default | None = None

    def write(
        self, method: str, path: str, body: object, conditions: Conditions, read: Callable[[Answer], T] | None = None
    ) -> Call[Any]:
        """A call that changes something. Its key survives retries."""
        headers = {"Idempotency-Key": conditions.idempotency_key or str(uuid.uuid4())}
        if conditions.if_match is not None:
            headers["If-Match"] = f'"{conditions.if_match}"'
        if self.name is not None:
            headers["Ltm-Producer"] = f"{self.name};epoch={self.epoch}"
        text = body if body is None or isinstance(body, bytes) else to_text(body, self.default)
        return Call(method, path, read or json_of, text, headers, conditions.deadline)

    def create(self, body: Mapping[str, Any], reuse: bool, conditions: Conditions) -> Call[Any]:
        """`POST /ltm`."""
        return self.write("POST", with_query(_LTM, {"reuse": reuse or None}), given(body), conditions)

    def append(self, ltm: Address, snapshot: NewSnapshot, conditions: Conditions) -> Call[Appended]:
        """`POST /ltm/{id}/snapshots`."""
        return self.write("POST", f"{_LTM}/{ltm.path}/snapshots", snapshot, conditions)

    def append_text(self, ltm: Address, text: bytes, conditions: Conditions) -> Call[Any]:
        """The same as `append` and `append_batch`, for a body that is JSON already."""
        return self.write("POST", f"{_LTM}/{ltm.path}/snapshots", text, conditions)

    def append_batch(
        self, ltm: Address, snapshots: Iterable[NewSnapshot], conditions: Conditions
    ) -> Call[AppendedBatch]:
        """`POST /ltm/{id}/snapshots` with several snapshots: all of them, or none."""
        return self.write("POST", f"{_LTM}/{ltm.path}/snapshots", {"snapshots": list(snapshots)}, conditions)

    def record_error(self, ltm: Address, report: Mapping[str, Any], conditions: Conditions) -> Call[Recorded]:
        """`POST /ltm/{id}/errors`."""
        body = given(report)
        body["id"] = str(body.get("id") or uuid.uuid4())
        return self.write("POST", f"{_LTM}/{ltm.path}/errors", body, conditions)

    def rollback(self, ltm: Address, target: Mapping[str, Any], conditions: Conditions) -> Call[RolledBack]:
        """`POST /ltm/{id}/rollback`."""
        return self.write("POST", f"{_LTM}/{ltm.path}/rollback", given(target), conditions)

    def copy(self, ltm: Address, until: str | None, conditions: Conditions) -> Call[Copied]:
        """`POST /ltm/{id}/copy`."""
        return self.write("POST", with_query(f"{_LTM}/{ltm.path}/copy", {"until": until}), None, conditions)

    def delete(self, ltm: Address, conditions: Conditions) -> Call[Deleted]:
        """`DELETE /ltm/{id}`."""
        return self.write("DELETE", f"{_LTM}/{ltm.path}", None, conditions)


def snapshot(
    reason: str, default: Default | None, *, patch: Any = None, merge: Any = None, state: Any = None, **members: Any
) -> NewSnapshot:
    """A snapshot to append. Exactly one of `patch`, `merge` and `state` is given."""
    change = given({"patch": patch, "merge": merge, "state": state})
    if len(change) != 1:
        raise TypeError("pass exactly one of `patch`, `merge` and `state`")
    return to_json({"reason": reason, **change, **given(members)}, default)  # type: ignore[no-any-return]


def document(ltm: Address, rollbacks: bool, from_rollback: int | None) -> Call[Document]:
    """`GET /ltm/{id}`."""
    query = {"rollbacks": rollbacks or None, "from_rollback": from_rollback}
    return Call("GET", with_query(f"{_LTM}/{ltm.path}", query), json_of)


def rollbacks(ltm: Address, start: int, limit: int) -> Call[RollbacksPage]:
    """`GET /ltm/{id}/rollbacks`."""
    return Call("GET", with_query(f"{_LTM}/{ltm.path}/rollbacks", {"from": start, "limit": limit}), json_of)


def snapshots(ltm: Address, start: int, limit: int, rollback: int | None) -> Call[SnapshotsPage]:
    """`GET /ltm/{id}/snapshots`."""
    query = {"from": start, "limit": limit, "rollback": rollback}
    return Call("GET", with_query(f"{_LTM}/{ltm.path}/snapshots", query), json_of)


def state(ltm: Address, index: int | None, rollback: int | None) -> Call[StateAt]:
    """`GET /ltm/{id}/state`."""
    return Call("GET", with_query(f"{_LTM}/{ltm.path}/state", {"index": index, "rollback": rollback}), json_of)


def wait(ltm: Address, statuses: Iterable[str], after: str | None, seconds: float) -> Call[Row | None]:
    """`GET /ltm/{id}/wait`. The answer is None if the time is over."""
    query = {"status": ",".join(statuses) or None, "after": after, "timeout": f"{max(int(seconds * 1000), 1)}ms"}
    return Call("GET", with_query(f"{_LTM}/{ltm.path}/wait", query), row_or_none, waits=seconds)


def list_page(query: Mapping[str, Any]) -> Call[ListPage]:
    """`GET /ltm`."""
    return Call("GET", with_query(_LTM, query), page_of)


def counts(query: Mapping[str, Any]) -> Call[Counts]:
    """`GET /ltm/counts`."""
    return Call("GET", with_query(f"{_LTM}/counts", query), json_of)


def ticket() -> Call[Ticket]:
    """`POST /ws-ticket`."""
    return Call("POST", "api/v0/ws-ticket", json_of)


def revoke(credential: Mapping[str, Any]) -> Call[Revocation]:
    """`POST /revocations`."""
    return Call("POST", "api/v0/revocations", json_of, to_text(one_credential(credential)))


def revocations() -> Call[Revocations]:
    """`GET /revocations`."""
    return Call("GET", "api/v0/revocations", json_of)


def lift(credential: Mapping[str, Any]) -> Call[bool]:
    """`DELETE /revocations`."""
    path = with_query("api/v0/revocations", one_credential(credential))
    return Call("DELETE", path, lambda answer: bool(json_of(answer)["lifted"]))


def answered(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """An answer. Raises the problem that it is, or `NoAnswer` if it broke off."""
    # Python's parser takes the head of an answer for complete if the connection is lost within it.
    if status != 204 and "content-length" not in headers and "transfer-encoding" not in headers:
        raise NoAnswer("the connection was lost within the head of the answer")
    if status >= 300:
        raise problem_of(status, headers, body)
    return Answer(status, headers, body)


def json_of(answer: Answer) -> Any:
    """The JSON of an answer."""
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise NoAnswer(f"the answer is not JSON: {error}") from error


def row_or_none(answer: Answer) -> Any:
    """The JSON of an answer, or None if it has none."""
    return None if answer.status == 204 else json_of(answer)


def page_of(answer: Answer) -> ListPage:
    """The rows of a page, and where the next one begins."""
    link = _NEXT.search(answer.headers.get("link", ""))
    before = parse_qs(urlsplit(link[1]).query).get("before") if link else None
    incomplete = "ltm-incomplete" in answer.headers
    return ListPage(json_of(answer), int(before[0]) if before else None, not incomplete)


def one_credential(credential: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a revocation, of which exactly one names the credential."""
    members = given(credential)
    if len(members.keys() & {"jti", "sub", "api_key"}) != 1:
        raise TypeError("pass exactly one of `jti`, `sub` and `api_key`")
    return members


def filters(
    *,
    status: str | Iterable[str] | None,
    fqn: str | None,
    name: str | None,
    created_after: Any,
    created_before: Any,
    updated_after: Any,
    updated_before: Any,
    has_errors: bool | None,
    playground: bool | None,
) -> dict[str, Any]:
    """The query of a list."""
    statuses = None if status is None else status if isinstance(status, str) else ",".join(status)
    return {
        "status": statuses,
        "fqn": fqn,
        "name": name,
        "created_after": to_json(created_after),
        "created_before": to_json(created_before),
        "updated_after": to_json(updated_after),
        "updated_before": to_json(updated_before),
        "has_errors": has_errors,
        "playground": playground,
    }


def given(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def with_query(path: str, query: Mapping[str, Any]) -> str:
    """A path with the parameters that are not None."""
    texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in given(query).items()}
    return f"{path}?{urlencode(texts)}" if texts else path
