"""OpenAI Agents SDK: a run is an LTM."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import QUICK
from proxy import Proxy

from ltm_live import Client, Retry

pytest.importorskip("agents")

from agents import Agent, RunConfig, Runner, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call

from ltm_live.hooks.openai_agents import LtmHooks

PLAIN = RunConfig(tracing_disabled=True)


@function_tool
def search(query: str) -> str:
    """Searches the web."""
    return f"{query}: berries"


async def document_of(hooks: LtmHooks) -> Any:
    return await asyncio.to_thread(hooks.ltm.document)


async def test_each_step_of_a_run_is_recorded(client: Client) -> None:
    calls = [function_call("search", {"query": query}, call_id=f"call-{query}") for query in ("bears", "bees")]
    model = ScriptedModel([calls, [assistant_message("Berries.")]])
    agent = Agent("finder", model=model, tools=[search])
    async with LtmHooks(client, fqn="app.Finder", strict=True) as hooks:
        result = await Runner.run(agent, "What do bears eat?", hooks=hooks, run_config=PLAIN)
    document = await document_of(hooks)
    state = document["state"]
    assert (state["_status"], state["agent"], state["output"]) == ("finished", "finder", result.final_output)
    assert (state["turn"], state["running"], state["usage"]["requests"]) == (2, [], 2)
    kinds = [message.get("type", "message") for message in state["messages"]]
    assert kinds == ["message", *["function_call"] * 2, *["function_call_output"] * 2, "message"]
    reasons = [step["reason"] for step in document["snapshots"][1:]]
    assert sorted(reasons) == sorted(["begin", "ask", "execute", *["call", "execute"] * 2, "ask", "execute", "finish"])
    assert [node["name"] for node in document["structure"]["ltms"]] == ["finder", "search"]


async def test_a_handoff_is_a_transition_to_the_other_agent(client: Client) -> None:
    writer = Agent("writer", model=ScriptedModel([[assistant_message("A text.")]]))
    first = Agent(
        "first",
        model=ScriptedModel([[function_call("transfer_to_writer", {}, call_id="call-1")]]),
        handoffs=[writer],
    )
    async with LtmHooks(client, key="talk", strict=True) as hooks:
        await Runner.run(first, "Write", hooks=hooks, run_config=PLAIN)
    document = await document_of(hooks)
    assert (document["state"]["agent"], document["state"]["output"]) == ("writer", "A text.")
    assert "handoff to writer" in [(step["item"] or {}).get("label") for step in document["snapshots"]]
    labels = [edge["label"] for edge in document["structure"]["transitions"]]
    assert labels == ["handoff to writer"]


async def test_an_exception_in_the_block_is_an_error(client: Client) -> None:
    model = ScriptedModel([ZeroDivisionError("in the model")])
    with pytest.raises(ZeroDivisionError):
        async with LtmHooks(client, strict=True) as hooks:
            await Runner.run(Agent("fails", model=model), "Hi", hooks=hooks, run_config=PLAIN)
    document = await document_of(hooks)
    assert (document["state"]["_status"], len(document["errors"])) == ("error", 1)


async def test_without_services_the_run_goes_on(proxy: Proxy) -> None:
    proxy.refuses = lambda _: True
    with Client(proxy.url, retry=Retry(tries=1, backoff=QUICK.backoff)) as client:
        agent = Agent("plain", model=ScriptedModel([[assistant_message("Hello")]]))
        result = await Runner.run(agent, "Hi", hooks=LtmHooks(client), run_config=PLAIN)
        assert result.final_output == "Hello"
