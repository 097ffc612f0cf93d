"""What a call raises. There is one class for each problem that the services report (`docs/errors.md`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

_PREFIX = "urn:ltm-live:problem:"


class LtmError(Exception):
    """Everything that this package raises."""


class NoAnswer(LtmError):
    """No service answered. A write may have landed; with the same `idempotency_key` a retry lands once."""


class TokenFailed(LtmError):
    """The function that returns a token raised an exception, which is the cause."""


class DeadlineExceeded(LtmError, TimeoutError):
    """The deadline of the call is over. A write may have landed. The cause is the last failure."""


class NotJson(LtmError, ValueError):
    """A value has no form in JSON. `path` is the JSON Pointer to it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path or 'the value'}: {reason}")
        self.path = path


class Problem(LtmError):
    """An error answer of the services (RFC 9457)."""

    #: The name of the problem, for example `patch-failed`. Empty if a proxy answered, not a service.
    kind: str = ""
    #: The classes by the name of their problem.
    by_kind: ClassVar[dict[str, type[Problem]]] = {}

    def __init__(self, members: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.type = str(members.get("type", "about:blank"))
        self.title = str(members.get("title", ""))
        self.status = int(members.get("status", 0))
        #: What happened, and what to do.
        self.detail = str(members.get("detail") or self.title or "the call failed")
        #: The field, header or parameter that is wrong.
        self.field: str | None = members.get("field")
        #: The index of the patch operation that failed.
        self.operation: int | None = members.get("operation")
        #: The LTM's current cursor, if the call named another one.
        self.cursor: str | None = members.get("cursor")
        #: The id of the call in the log of the service.
        self.request_id: str | None = members.get("request_id")
        #: The seconds to wait before the next attempt, if the service named them.
        self.retry_after = retry_after
        super().__init__(self.detail)

    def __init_subclass__(cls, kind: str = "") -> None:
        cls.kind = kind
        if kind:
            Problem.by_kind[kind] = cls

    def __reduce__(self) -> tuple[Any, ...]:
        members = {"type": self.type, "title": self.title, "status": self.status, "detail": self.detail}
        members |= {
            "field": self.field,
            "operation": self.operation,
            "cursor": self.cursor,
            "request_id": self.request_id,
        }
        return (type(self), (members, self.retry_after))

    @property
    def passes(self) -> bool:
        """Whether the same call may succeed later."""
        return self.status >= 500 or self.status in (408, 425, 429)


class InvalidRequest(Problem, kind="invalid-request"):
    """A field is wrong; `field` names it."""


class InvalidCursor(Problem, kind="invalid-cursor"):
    """A cursor was not sent as it was received."""


class PatchFailed(Problem, kind="patch-failed"):
    """The patch does not apply; `operation` is the index of the failed operation. Nothing was changed."""


class StateTooLarge(Problem, kind="state-too-large"):
    """The state would be too large, too deep, or the patch too long. Nothing was changed."""


class NotFound(Problem, kind="not-found"):
    """There is nothing at this path."""


class UnknownLtm(Problem, kind="unknown-ltm"):
    """The LTM does not exist."""


class DeletedLtm(Problem, kind="deleted-ltm"):
    """The LTM was deleted. Its id is never assigned again."""


class Trimmed(Problem, kind="trimmed"):
    """Retention removed that part of the history."""


class MethodNotAllowed(Problem, kind="method-not-allowed"):
    """The path does not take this method."""


class IdTaken(Problem, kind="id-taken"):
    """Another LTM has this id."""


class Busy(Problem, kind="busy"):
    """Other writers won every attempt."""


class Fenced(Problem, kind="fenced"):
    """A newer producer replaced this one: stop writing."""


class KeyReused(Problem, kind="key-reused"):
    """The Idempotency-Key belongs to another request."""


class CursorMismatch(Problem, kind="cursor-mismatch"):
    """The LTM has changed since `if_match`; `cursor` is the current one. Nothing was written."""


class BodyTooLarge(Problem, kind="body-too-large"):
    """The body is larger than `api.max_body`."""


class UnsupportedMediaType(Problem, kind="unsupported-media-type"):
    """The service does not take this type of body."""


class RequestTimeout(Problem, kind="request-timeout"):
    """The body arrived too slowly."""


class Unauthenticated(Problem, kind="unauthenticated"):
    """The token is missing, expired, revoked or not valid."""


class Forbidden(Problem, kind="forbidden"):
    """The token does not allow this call."""


class OriginForbidden(Problem, kind="origin-forbidden"):
    """The page's origin is not allowed."""


class UnknownHost(Problem, kind="unknown-host"):
    """The service does not serve this host name."""


class TooManyRequests(Problem, kind="too-many-requests"):
    """There were too many requests; `retry_after` says how long to wait."""


class OverLimit(Problem, kind="over-limit"):
    """A limit of the service is reached."""


class Unavailable(Problem, kind="unavailable"):
    """The service cannot work now, for example because Redis does not answer."""


class DamagedLog(Problem, kind="damaged-log"):
    """An entry of the log cannot be read: an operator has to act."""


class Internal(Problem, kind="internal"):
    """The service has a fault."""


def problem_of(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """The problem in an error answer. The names of `headers` are in lower case."""
    members: dict[str, Any] = {}
    try:
        parsed = json.loads(body)
        if isinstance(parsed, dict):
            members = parsed
    except ValueError:
        pass
    members.setdefault("detail", f"the server answered {status}: {body[:200].decode(errors='replace')}")
    members["status"] = status
    return problem(members, _seconds(headers.get("retry-after")))


def problem(members: Mapping[str, Any], retry_after: float | None = None) -> Problem:
    """The problem with these members, of the class that its `type` names."""
    kind = str(members.get("type", "")).removeprefix(_PREFIX)
    return Problem.by_kind.get(kind, Problem)(members, retry_after)


def problem_named(kind: str, status: int, detail: str) -> Problem:
    """A problem that the gateway reported by a close code."""
    return problem({"type": _PREFIX + kind, "status": status, "detail": detail})


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None
