"""Google ADK: each session is an LTM whose state is the state of the session.

    sessions = LtmSessionService(InMemorySessionService(), client)
    app = App(name="app", root_agent=agent, plugins=[sessions.plugin])
    runner = Runner(app=app, session_service=sessions)

Each event is a step, with the event in its `item`. State of the scope `temp:` belongs to one invocation: not kept.
The plugin adds `_status` (`active`, `finished` or `error`), and records exceptions as errors.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from google.adk.events.event import Event
from google.adk.plugins.base_plugin import BasePlugin
from google.adk.sessions.base_session_service import BaseSessionService
from google.adk.sessions.session import Session

from .._sync.client import Client
from .._sync.ltm import Ltm
from .recording import Recording

#: How many sessions are kept in memory.
_SESSIONS = 1000


class LtmSessionService(BaseSessionService):
    """Wraps a session service.

    The class of the LTMs is `fqn` (default: `google_adk.` and the name of the app). The key is the id of the user and
    that of the session, with `/` between them.
    """

    def __init__(
        self, inner: BaseSessionService, client: Client, *, fqn: str | None = None, strict: bool = False
    ) -> None:
        self.inner = inner
        self._client, self._fqn, self._strict = client, fqn, strict
        #: By the class and the name: two apps may have a session of the same user and id.
        self._recordings: OrderedDict[tuple[str, str], Recording] = OrderedDict()
        #: Tells of the begin and the end of invocations, and of exceptions.
        self.plugin: BasePlugin = _LtmPlugin(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def ltm(self, session: Session) -> Ltm:
        """The LTM of a session."""
        recording = self.recording(session.app_name, session.user_id, session.id)
        return await asyncio.to_thread(lambda: recording.ltm)

    async def create_session(
        self, *, app_name: str, user_id: str, state: dict[str, Any] | None = None, session_id: str | None = None
    ) -> Session:
        """Creates a session and its LTM."""
        session = await self.inner.create_session(
            app_name=app_name, user_id=user_id, state=state, session_id=session_id
        )
        recording = self.recording(app_name, user_id, session.id)
        await recording.achange("create", _lasting(session.state))
        return session

    async def get_session(self, **arguments: Any) -> Session | None:
        """Reads a session."""
        return await self.inner.get_session(**arguments)

    async def list_sessions(self, **arguments: Any) -> Any:
        """Lists sessions."""
        return await self.inner.list_sessions(**arguments)

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Deletes a session and its LTM."""
        await self.inner.delete_session(app_name=app_name, user_id=user_id, session_id=session_id)
        recording = self.recording(app_name, user_id, session_id)
        self._recordings.pop((recording.fqn, recording.name), None)
        await recording.adelete()

    async def get_user_state(self, **arguments: Any) -> dict[str, Any]:
        """Reads the state of a user."""
        return await self.inner.get_user_state(**arguments)

    async def append_event(self, session: Session, event: Event) -> Event:
        """Appends an event, and its step."""
        appended = await self.inner.append_event(session, event)
        if not event.partial:
            recording = self.recording(session.app_name, session.user_id, session.id)
            shown = appended.model_dump(mode="json", by_alias=True, exclude_none=True)
            item = {"fqn": f"{recording.fqn}.{appended.author}", "payload": shown}
            reason = "input" if appended.author == "user" else "execute"
            await recording.achange(reason, _lasting(session.state), item)
        return appended

    async def flush(self) -> None:
        """Flushes the wrapped service."""
        await self.inner.flush()

    def recording(self, app: str, user: str, session: str) -> Recording:
        """The recording of a session."""
        fqn, name = self._fqn or f"google_adk.{app}", f"{user}/{session}"
        own = (fqn, name)
        if own not in self._recordings:
            self._recordings[own] = Recording(self._client, fqn, name, strict=self._strict)
        self._recordings.move_to_end(own)
        while len(self._recordings) > _SESSIONS:
            # It is read again if it goes on.
            self._recordings.popitem(last=False)
        return self._recordings[own]


class _LtmPlugin(BasePlugin):
    """Records the begin and the end of invocations."""

    def __init__(self, sessions: LtmSessionService) -> None:
        super().__init__(name="ltm_live")
        self._sessions = sessions

    async def before_run_callback(self, *, invocation_context: Any) -> None:
        """An invocation begins."""
        await self._recording(invocation_context).achange("begin", {"_status": "active"})

    async def after_run_callback(self, *, invocation_context: Any) -> None:
        """An invocation has ended."""
        await self._recording(invocation_context).achange("finish", {"_status": "finished"})

    async def on_run_error_callback(self, *, invocation_context: Any, error: Exception) -> None:
        """An invocation has failed."""
        recording = self._recording(invocation_context)
        await recording.afail(error, recording.item(invocation_context.agent.name))

    def _recording(self, context: Any) -> Recording:
        session = context.session
        return self._sessions.recording(session.app_name, session.user_id, session.id)


def _lasting(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if not name.startswith("temp:")}
