"""An LTM whose state follows a value that another program holds, such as the values of a graph."""

from __future__ import annotations

import hashlib
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from .._sync.client import Client
from .._sync.ltm import Ltm
from ..data.difference import diff, is_takeable
from ..data.values import to_json
from ..problems import CursorMismatch, KeyReused, LtmError
from ..wire import State

#: How often a step is tried if other programs write to the LTM, too.
_TRIES = 5
#: The most bytes of a key.
_LONGEST_KEY = 255


class Mirrored:
    """The LTM of the class `fqn` with the key `name`. It is made with the first step. Its caller holds the lock."""

    def __init__(
        self,
        client: Client,
        fqn: str,
        name: str,
        *,
        params: Mapping[str, Any] | None = None,
        structure: Callable[[], Any] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._client, self._fqn, self._name = client, fqn, name
        self._params, self._structure = params, structure
        self._ltm: Ltm | None = None
        self._cursor, self._state = "", State()
        self._is_known = False

    @property
    def ltm(self) -> Ltm:
        """The LTM."""
        if self._ltm is None:
            # An LTM that was deleted may begin anew.
            self._ltm = self._client.create(
                self._fqn,
                key=key_of(self._name),
                reuse=True,
                name=self._name,
                state={"_status": "init"},
                params=self._params,
                structure=None if self._structure is None else self._structure(),
            )
        return self._ltm

    def forget(self) -> None:
        """Reads the state again before the next step."""
        self._is_known = False

    def known(self) -> State:
        """The state, as far as this process knows."""
        if not self._is_known:
            now = self.ltm.state()
            self._cursor, self._state, self._is_known = now["cursor"], now["state"], True
        return self._state

    def failed(self, error: Any, item: Any) -> None:
        """Records an error."""
        self.ltm.record_error(reason="execute", item=item, retries=[attempt_of(error)])
        self.forget()
        self.change("error", lambda state: {**state, "_status": "error"}, item)

    def advance(self, reason: str, after: Mapping[str, Any], item: Any, key: str | None = None) -> int:
        """Appends a step that leads to this state. Returns its index."""
        state: State = to_json(after, self._client.default)
        return self._append(reason, lambda _: state, item, key)

    def change(self, reason: str, change: Callable[[State], Mapping[str, Any]], item: Any) -> None:
        """Appends a step that leads to the state that a function returns for the current one."""
        self._append(reason, lambda state: to_json(change(state), self._client.default), item, None)

    def _append(self, reason: str, after: Callable[[State], State], item: Any, key: str | None) -> int:
        for attempt in range(_TRIES):
            before = self.known()
            state = after(before)
            patch = diff(before, state)
            change: dict[str, Any] = {"patch": patch} if is_takeable(patch) else {"state": state}
            # A step that was decided on another state is another request.
            own = f"{key}:{attempt}" if key and attempt else key
            try:
                written = self.ltm.append(reason, **change, item=item, if_match=self._cursor, idempotency_key=own)
            except (CursorMismatch, KeyReused):
                # Another program has written, or this one before it was started again.
                self.forget()
                continue
            self._cursor, self._state = written["cursor"], state
            return written["index"]
        raise LtmError(f"other programs write to the LTM {self._name} all the time")


def key_of(name: str) -> str:
    """The key of an LTM for a name, which may be longer than a key."""
    fits = len(name.encode()) <= _LONGEST_KEY and name not in ("", ".", "..")
    return name if fits else hashlib.sha256(name.encode()).hexdigest()


def attempt_of(error: Any) -> dict[str, Any]:
    """A failed attempt, for the `retries` of an error."""
    attempt = {"time": datetime.now(timezone.utc), "type": type(error).__name__, "description": str(error)}
    if isinstance(error, BaseException):
        attempt["details"] = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return attempt
