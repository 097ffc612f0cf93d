"""When a failed call is sent again, and how long the client waits before that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..problems import DeadlineExceeded, LtmError, NoAnswer, Problem


@dataclass(frozen=True)
class Backoff:
    """Pauses between attempts, in seconds: random, up to a bound that doubles with each failure ("full jitter")."""

    #: The bound of the first pause.
    first: float = 0.1
    #: The bound of every pause.
    longest: float = 5.0

    def pause(self, failures: int) -> float:
        """The pause after so many failures, from 1."""
        return random.uniform(0, min(self.longest, self.first * 2 ** min(failures - 1, 30)))


@dataclass(frozen=True)
class Retry:
    """How often a call is sent, and for how long."""

    #: The most attempts for one call.
    tries: int = 10
    backoff: Backoff = field(default_factory=Backoff)
    #: Seconds for all attempts of a call together; None: no limit. `Ltm.wait` adds the time that it waits for.
    deadline: float | None = None
    #: The longest pause that a service may ask for by `Retry-After`, in seconds.
    longest_wait: float = 60.0


class Attempts:
    """The attempts of one call."""

    def __init__(
        self,
        retry: Retry,
        deadline: float | None,
        renews: bool,
        waits: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._retry, self._clock = retry, clock
        self._renews = renews
        self._failures = 0
        seconds = retry.deadline if deadline is None else deadline
        self._end = None if seconds is None else clock() + seconds + waits

    def timeout(self, longest: float) -> float:
        """The seconds that the next attempt may take. Raises if the deadline is over."""
        if self._end is None:
            return longest
        left = self._end - self._clock()
        if left <= 0:
            raise DeadlineExceeded("the deadline of the call is over")
        return min(longest, left)

    def failed(self, failure: LtmError) -> float:
        """The pause before the next attempt. Raises the failure if there is none."""
        self._failures += 1
        renews = self._renews and isinstance(failure, Problem) and failure.status == 401
        passes = renews or isinstance(failure, NoAnswer) or (isinstance(failure, Problem) and failure.passes)
        if not passes or self._failures >= self._retry.tries:
            raise failure
        # A function that gave an old token is asked once more.
        self._renews = self._renews and not renews
        asked = min(getattr(failure, "retry_after", None) or 0.0, self._retry.longest_wait)
        pause = asked + self._retry.backoff.pause(self._failures)
        if self._end is not None and self._clock() + pause >= self._end:
            raise DeadlineExceeded(f"the deadline of the call is over; the last failure: {failure}") from failure
        return pause
