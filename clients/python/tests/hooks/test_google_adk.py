"""Google ADK: each session is an LTM whose state is the state of the session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from conftest import QUICK
from proxy import Proxy

from ltm_live import Client, DeletedLtm, Retry

pytest.importorskip("google.adk")

from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.tools.tool_context import ToolContext
from google.genai import types

from ltm_live.hooks.google_adk import LtmSessionService


class Scripted(BaseLlm):
    """A model that says what it was told to."""

    answers: list[Any]

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield LlmResponse(content=types.Content(role="model", parts=[answer]))


def search(query: str, tool_context: ToolContext) -> str:
    """Searches the web."""
    tool_context.state["found"] = ["berries", "roots"]
    tool_context.state["temp:secret"] = "not kept"
    return f"{query}: berries"


def agent_of(*answers: Any) -> LlmAgent:
    return LlmAgent(name="finder", model=Scripted(model="scripted", answers=list(answers)), tools=[search])


async def run(sessions: Any, agent: LlmAgent, session: Any) -> None:
    app = App(name="app", root_agent=agent, plugins=[sessions.plugin])
    runner = Runner(app=app, session_service=sessions)
    message = types.Content(role="user", parts=[types.Part(text="What do bears eat?")])
    async for _ in runner.run_async(user_id="ada", session_id=session.id, new_message=message):
        pass


CALL = types.Part(function_call=types.FunctionCall(name="search", args={"query": "bears"}))


async def test_after_each_event_the_state_is_that_of_the_session(client: Client) -> None:
    sessions = LtmSessionService(InMemorySessionService(), client, strict=True)
    session = await sessions.create_session(app_name="app", user_id="ada", state={"mood": "calm", "user:name": "Ada"})
    await run(sessions, agent_of(CALL, types.Part(text="Berries.")), session)
    stored = await sessions.get_session(app_name="app", user_id="ada", session_id=session.id)
    assert stored is not None
    ltm = await sessions.ltm(session)
    document = await asyncio.to_thread(ltm.document)
    assert document["key"] == f"ada/{session.id}"
    assert document["fqn"] == "google_adk.app"
    assert {k: v for k, v in document["state"].items() if k != "_status"} == stored.state
    assert document["state"]["found"] == ["berries", "roots"]
    assert document["state"]["_status"] == "finished"
    steps = [(step["reason"], (step["item"] or {}).get("fqn", "").rpartition(".")[2]) for step in document["snapshots"]]
    events = [("input", "user"), *[("execute", "finder")] * 3]
    assert [step for step in steps if step[1]] == events
    assert len(stored.events) == 4
    said = document["snapshots"][-2]["item"]["payload"]["content"]["parts"][0]["text"]
    assert said == "Berries."


async def test_an_exception_of_a_run_is_an_error(client: Client) -> None:
    sessions = LtmSessionService(InMemorySessionService(), client, fqn="app.Fails", strict=True)
    session = await sessions.create_session(app_name="app", user_id="ada", session_id="fails")
    with pytest.raises(ZeroDivisionError):
        await run(sessions, agent_of(ZeroDivisionError("in the model")), session)
    document = await asyncio.to_thread(client.by_key("app.Fails", "ada/fails").document)
    assert (document["state"]["_status"], len(document["errors"])) == ("error", 1)
    assert document["errors"][0]["item"]["fqn"] == "app.Fails.finder"


async def test_partial_events_are_no_steps_and_a_deleted_session_deletes_its_ltm(client: Client) -> None:
    sessions = LtmSessionService(InMemorySessionService(), client, fqn="app.Plain", strict=True)
    session = await sessions.create_session(app_name="app", user_id="ada", session_id="plain")
    ltm = await sessions.ltm(session)
    for partial in (True, False):
        event = Event(author="finder", partial=partial, actions=EventActions(state_delta={"n": 1}))
        await sessions.append_event(session, event)
    document = await asyncio.to_thread(ltm.document)
    assert (len(document["snapshots"]), document["state"]) == (3, {"_status": "init", "n": 1})
    await sessions.delete_session(app_name="app", user_id="ada", session_id="plain")
    with pytest.raises(DeletedLtm):
        await asyncio.to_thread(ltm.state)


async def test_sessions_of_two_apps_with_the_same_user_and_id_are_two_ltms(client: Client) -> None:
    sessions = LtmSessionService(InMemorySessionService(), client, strict=True)
    for app in ("one", "two"):
        await sessions.create_session(app_name=app, user_id="ada", session_id="same", state={"app": app})
    await sessions.delete_session(app_name="two", user_id="ada", session_id="same")
    await sessions.create_session(app_name="two", user_id="ada", session_id="same", state={"again": True})
    states = [
        (await asyncio.to_thread(client.by_key(f"google_adk.{app}", "ada/same").state))["state"]
        for app in ("one", "two")
    ]
    assert states == [{"_status": "init", "app": "one"}, {"_status": "init", "again": True}]


async def test_without_services_the_agent_runs(proxy: Proxy) -> None:
    proxy.refuses = lambda _: True
    with Client(proxy.url, retry=Retry(tries=1, backoff=QUICK.backoff)) as client:
        sessions = LtmSessionService(InMemorySessionService(), client)
        session = await sessions.create_session(app_name="app", user_id="ada")
        await run(sessions, agent_of(types.Part(text="Hello")), session)
        stored = await sessions.get_session(app_name="app", user_id="ada", session_id=session.id)
        assert stored is not None
        assert len(stored.events) == 2
