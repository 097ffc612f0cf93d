"""What a follower knows between its connections: the view, the cursor to resume from, and how long to pause."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, NoReturn, Union, cast

from ..data.patch import PatchError
from ..problems import DeletedLtm, LtmError, NoAnswer, Problem, TokenFailed, problem_named
from ..sending.calls import Address, with_query
from ..sending.retry import Backoff
from ..wire import Document, StateAt
from .events import Event
from .view import View, after_deletion, after_message, view_of

#: `connecting` until the follower is live for the first time, then `live` or `reconnecting`. The others are final.
Status = Literal["connecting", "live", "reconnecting", "deleted", "failed", "closed"]

#: Where to begin: after a view, after what `state` or `document` returned, or at the beginning of the log.
Start = Union[View, StateAt, Document, Literal["0"]]

#: The longest pause after a gateway restarts, in seconds. It is short: a gateway spreads its closes over time.
_SOON = 1.0
#: The first "over a limit" counts as this many failures, so that the pause is long.
_OVER_LIMIT = 5


class Ended(Exception):
    """The gateway ended the connection, with a close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code, self.reason = code, reason


class Misfit(Exception):
    """A message does not apply to the view."""


class Subscription:
    """The state of one follower."""

    def __init__(
        self,
        ltm: Address,
        after: Start | None,
        backoff: Backoff,
        renews: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = f"sse/{ltm.path}"
        self._backoff, self._renews, self._clock = backoff, renews, clock
        self.view = start_of(after)
        self.status: Status = "connecting"
        #: Why the follower is not live.
        self.error: LtmError | None = None
        #: Connections that failed since one stayed live.
        self.failures = 0
        self._live_since: float | None = None
        self._refused = False
        self._lock = threading.Lock()

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return self.status in ("deleted", "failed", "closed")

    def become(self, status: Status) -> None:
        """Changes the status. A final one stays: another thread or task may have closed the follower."""
        with self._lock:
            if not self.over:
                self.status = status

    def path(self) -> str:
        """The path of the next connection."""
        view = self.view
        start = {"init": "state"} if view is None else {"after": view.cursor}
        return with_query(self._path, {"live": "1", **start})

    def opened(self) -> None:
        """A connection is open."""
        self._refused = False

    def take(self, event: Event) -> View | None:
        """The view after an event; None if the event changes nothing. Raises `Ended` if it ends the connection."""
        message = json.loads(event.data)
        if end := message.get("end"):
            raise Ended(end["code"], end["reason"])
        if message.get("live"):
            self._live()
            return None
        try:
            if self.view is None and "deleted" in message:
                raise problem_named("deleted-ltm", 410, "the LTM was deleted")
            if self.view is None and "reset" not in message:
                raise Misfit("the state is missing")
            before = self.view or view_of({}, "0", -1)
            view = after_message(before, message, self._live_since is not None)
        except (PatchError, LookupError, TypeError, AttributeError) as error:
            raise Misfit(str(error)) from error
        if view is None:
            return None
        self.view = view
        if view.deleted:
            self.become("deleted")
        return view

    def _live(self) -> None:
        if self._live_since is None:
            self._live_since = self._clock()
        self.become("live")
        self.error = None

    def lost(self, cause: Exception) -> float:
        """The connection ended, or none opened. Returns the pause before the next one; raises if there is none."""
        # A connection that goes live and dies at once is a failure, too: only one that lasts proves anything.
        since, self._live_since = self._live_since, None
        if since is not None and self._clock() - since >= self._backoff.longest:
            self.failures = 0
        self.failures += 1
        if isinstance(cause, Misfit):
            self.view = None
            return self._again(NoAnswer(f"a message does not apply: {cause}"))
        if isinstance(cause, Ended):
            return self._ended(cause)
        if isinstance(cause, DeletedLtm):
            return self._deleted(cause)
        if isinstance(cause, Problem):
            return self._refusal(cause)
        if isinstance(cause, TokenFailed) and self.view is None:
            self._failed(cause)
        return self._again(cause if isinstance(cause, LtmError) else NoAnswer(str(cause)))

    def _ended(self, end: Ended) -> float:
        text = end.reason or "the gateway ended the connection"
        if end.code == 4401:
            return self._refusal(problem_named("unauthenticated", 401, text))
        if end.code == 4403:
            return self._refusal(problem_named("forbidden", 403, text))
        if end.code == 4404:
            return self._refusal(problem_named("unknown-ltm", 404, text))
        if end.code == 4410:
            return self._deleted(problem_named("deleted-ltm", 410, text))
        lost = NoAnswer(f"{text} ({end.code})")
        if end.code == 1013:
            self.failures = max(self.failures, _OVER_LIMIT)
        if end.code == 4409:
            self.view = None
        if end.code == 1012 and self.failures == 1:
            self._again(lost)
            return random.uniform(0, _SOON)
        return self._again(lost)

    def _refusal(self, problem: Problem) -> float:
        renews = problem.status == 401 and self._renews and not self._refused
        self._refused = problem.status == 401
        # If there is a view already, an answer without a known kind may come from a proxy without a service behind it.
        if not (problem.passes or renews or (not problem.kind and self.view is not None)):
            self._failed(problem)
        pause = self._again(problem)
        return max(pause, min(problem.retry_after or 0.0, self._backoff.longest))

    def _failed(self, cause: LtmError) -> NoReturn:
        self.become("failed")
        self.error = cause
        raise cause

    def _deleted(self, problem: Problem) -> float:
        self.become("deleted")
        if self.view is None:
            raise problem
        self.view = after_deletion(self.view)
        return 0.0

    def _again(self, cause: LtmError) -> float:
        self.become("connecting" if self.status == "connecting" else "reconnecting")
        self.error = cause
        return self._backoff.pause(self.failures)


def start_of(after: Start | None) -> View | None:
    """The view that a follower begins with; None if it begins with the current state."""
    if after is None or isinstance(after, View):
        return after
    if after == "0":
        return view_of({}, "0", -1)
    if isinstance(after, str):
        raise TypeError("a cursor alone is not enough to follow: pass the view, the state or the document that has it")
    members = cast("dict[str, Any]", after)
    index = members["index"] if "index" in members else members["snapshots_count"] - 1
    return view_of(members["state"], members["cursor"], index)
