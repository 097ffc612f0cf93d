"""One run as an LTM: hooks say which members of its state have changed."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union

from .._sync.client import Client
from .._sync.ltm import Ltm
from ..data.values import to_json
from ..problems import DeletedLtm, LtmError, NotJson
from .mirrored import Mirrored, attempt_of

T = TypeVar("T")
#: Members of a state that change; or a function that gets the state and returns them.
Change = Union[Mapping[str, Any], Callable[[dict[str, Any]], Mapping[str, Any]]]

_log = logging.getLogger("ltm_live")


class Recording:
    """A run of the class `fqn`. Threads and tasks of the run may share it."""

    def __init__(
        self,
        client: Client,
        fqn: str,
        name: str | None = None,
        *,
        structure: Callable[[], Any] | None = None,
        strict: bool = False,
    ) -> None:
        self.fqn = fqn
        self.name = name or str(uuid.uuid4())
        self._client, self._strict = client, strict
        self._mirrored = Mirrored(client, fqn, self.name, structure=structure)
        #: The changes that the LTM lacks, because they could not be written.
        self._pending: list[Change] = []

    @property
    def ltm(self) -> Ltm:
        """The LTM."""
        with self._mirrored.lock:
            return self._mirrored.ltm

    def json(self, value: Any) -> Any:
        """The JSON of a value, as of now."""
        return to_json(value, self._client.default)

    def members(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON of values, without those that have none."""
        found = {}
        for name, value in values.items():
            try:
                found[name] = self.json(value)
            except NotJson:
                _log.debug("a value is left out, because it is not JSON", extra={"member": name, "ltm": self.name})
        return found

    def item(self, node: str, **payload: Any) -> dict[str, Any]:
        """The item of a step of a node."""
        return {"fqn": f"{self.fqn}.{node}", "payload": self.members(payload)}

    def change(self, reason: str, change: Change, item: Any = None) -> None:
        """Appends a step that changes these members of the state. A function gets the state, and returns them."""
        self._attempt(lambda: self._change(reason, change, item))

    def fail(self, error: BaseException, item: Any = None, *, ends: bool = True) -> None:
        """Records an error. If it `ends` the run, `_status` is `error`."""

        def act() -> None:
            self._mirrored.ltm.record_error(reason="execute", item=item, retries=[attempt_of(error)])
            self._mirrored.forget()
            if ends:
                self._change("error", {"_status": "error"}, item)

        self._attempt(act)

    def delete(self) -> None:
        """Deletes the LTM."""

        def act() -> None:
            try:
                self._mirrored.ltm.delete()
            except DeletedLtm:
                pass

        self._attempt(act)

    async def achange(self, reason: str, change: Change, item: Any = None) -> None:
        """Does `change` without blocking the event loop, also if the task is cancelled."""
        if not callable(change):
            change = self._taken(change)
        await _in_thread(lambda: self.change(reason, change, item))

    async def afail(self, error: BaseException, item: Any = None, *, ends: bool = True) -> None:
        """Does `fail` without blocking the event loop, also if the task is cancelled."""
        await _in_thread(lambda: self.fail(error, item, ends=ends))

    async def adelete(self) -> None:
        """Does `delete` without blocking the event loop."""
        await _in_thread(self.delete)

    def _taken(self, members: Mapping[str, Any]) -> Mapping[str, Any]:
        """The members as of now: the run goes on before they are written."""
        try:
            return {name: self.json(value) for name, value in members.items()}
        except NotJson:
            # It is raised, or logged, where the others are.
            return members

    def _change(self, reason: str, change: Change, item: Any) -> None:
        # What is not JSON would fail the next step, too, so it does not become pending.
        self._pending.append(change if callable(change) else self.json(change))
        self._mirrored.change(reason, self._changed, item)
        self._pending.clear()

    def _changed(self, state: dict[str, Any]) -> dict[str, Any]:
        for change in list(self._pending):
            try:
                state = {**state, **self.json(change(state) if callable(change) else change)}
            except NotJson:
                self._pending.remove(change)
                raise
        return state

    def _attempt(self, act: Callable[[], None]) -> None:
        with self._mirrored.lock:
            try:
                act()
            except LtmError as error:
                self._mirrored.forget()
                if self._strict:
                    raise
                _log.error("a step is not in its LTM", extra={"ltm": self.name, "error": str(error)})


async def _in_thread(act: Callable[[], T]) -> T:
    # The thread goes on if the task is cancelled.
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, act))
