"""A step as a block: the block changes the state, and the difference becomes a snapshot."""

# Written by scripts/halves.py from the file of this name in _async. Change that one.

from __future__ import annotations

import copy
import datetime
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..data.difference import diff, is_takeable
from ..data.values import to_json
from ..wire import Appended, State

if TYPE_CHECKING:
    from .ltm import Ltm


class Step:
    """The block of `Ltm.step`."""

    def __init__(self, ltm: Ltm, reason: str, exclusive: bool, members: dict[str, Any], key: str | None) -> None:
        self._ltm = ltm
        self._reason = reason
        self._exclusive = exclusive
        self._members = members
        self._key = key
        self._before: State = {}
        self._cursor = ""
        self.state: State = {}
        #: The answer of the API, after the block.
        self.appended: Appended | None = None

    def __enter__(self) -> State:
        self._cursor, self._before = self._ltm.known()
        self.state = copy.deepcopy(self._before)
        return self.state

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            if isinstance(error, Exception):
                self._record(error)
            return
        after: State = to_json(self.state, self._ltm.default)
        patch = diff(self._before, after)
        # The API makes a patch without a path that clients in JavaScript reject.
        change: dict[str, Any] = {"patch": patch} if is_takeable(patch) or not self._exclusive else {"state": after}
        if_match = self._cursor if self._exclusive else None
        self.appended = self._ltm.append(
            self._reason, **change, **self._members, if_match=if_match, idempotency_key=self._key
        )
        if self._exclusive:
            self._ltm.know(self.appended["cursor"], after)

    def _record(self, error: Exception) -> None:
        attempt = {
            "time": datetime.datetime.now(datetime.timezone.utc),
            "type": type(error).__name__,
            "description": str(error),
            "details": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
        }
        try:
            self._ltm.record_error(reason=self._reason, item=self._members.get("item"), retries=[attempt])
        except Exception as failure:
            # The exception of the block is what the caller must see.
            failure.__context__ = None
            error.__context__ = error.__context__ or failure
