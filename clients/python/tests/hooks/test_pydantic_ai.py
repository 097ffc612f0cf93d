"""Pydantic AI: each run of an agent is an LTM."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import QUICK
from proxy import Proxy

from ltm_live import Client, Retry

pytest.importorskip("pydantic_ai")

from pydantic_ai import Agent, ModelMessagesTypeAdapter
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel

from ltm_live.hooks.pydantic_ai import LtmCapability


def search(query: str) -> str:
    """Searches the web."""
    return f"{query}: berries"


def test_after_each_node_the_state_has_the_messages_of_the_run(client: Client) -> None:
    recorder = LtmCapability(client, fqn="app.Bears", strict=True)
    agent = Agent(TestModel(), tools=[search], capabilities=[recorder])
    result = agent.run_sync("What do bears eat?")
    assert recorder.ltm is not None
    document = recorder.ltm.document()
    state = document["state"]
    assert (state["_status"], state["output"]) == ("finished", result.output)
    assert state["messages"] == ModelMessagesTypeAdapter.dump_python(result.all_messages(), mode="json")
    assert state["usage"]["requests"] == 2
    nodes = [step["item"]["fqn"].rpartition(".")[2] for step in document["snapshots"][1:]]
    model = ["ModelRequestNode", "CallToolsNode"]
    assert nodes == ["run", "UserPromptNode", *model, *model, "run"]
    assert [node["name"] for node in document["structure"]["ltms"]] == ["UserPromptNode", *model]


def test_each_run_is_an_ltm_of_its_own_unless_a_key_says_otherwise(client: Client) -> None:
    recorder = LtmCapability(client, strict=True, key=lambda context: f"talk of {context.prompt}")
    agent: Any = Agent(TestModel(custom_output_text="Hello"), name="greeter", capabilities=[recorder])
    for prompt in ("one", "two", "one"):
        agent.run_sync(prompt)
    lengths = [
        len(client.by_key("pydantic_ai.greeter", f"talk of {key}").document()["snapshots"]) for key in ("one", "two")
    ]
    assert lengths == [11, 6]


async def test_runs_at_the_same_time_do_not_mix(client: Client) -> None:
    recorder = LtmCapability(client, fqn="app.Many", strict=True, key=lambda context: str(context.prompt))
    agent: Any = Agent(FunctionModel(echo), capabilities=[recorder])
    results = await asyncio.gather(*(agent.run(f"run {n}") for n in range(5)))
    for n, result in enumerate(results):
        state = (await asyncio.to_thread(client.by_key("app.Many", f"run {n}").state))["state"]
        assert (state["output"], result.output) == (f"run {n}", f"run {n}")


def echo(messages: Any, info: Any) -> Any:
    from pydantic_ai.messages import ModelResponse, TextPart

    return ModelResponse(parts=[TextPart(messages[-1].parts[-1].content)])


def test_an_exception_of_a_tool_is_an_error(client: Client) -> None:
    def fails(query: str) -> str:
        raise ZeroDivisionError("in the tool")

    recorder = LtmCapability(client, strict=True)
    with pytest.raises(ZeroDivisionError):
        Agent(TestModel(), tools=[fails], capabilities=[recorder]).run_sync("?")
    assert recorder.ltm is not None
    document = recorder.ltm.document()
    assert document["state"]["_status"] == "error"
    assert document["errors"][0]["retries"][0]["description"] == "in the tool"


async def test_a_cancelled_run_is_cancelled(client: Client) -> None:
    began = asyncio.Event()

    async def hangs(query: str) -> str:
        began.set()
        await asyncio.Event().wait()
        return ""

    recorder = LtmCapability(client, strict=True)
    run = asyncio.create_task(Agent(TestModel(), tools=[hangs], capabilities=[recorder]).run("?"))
    await began.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    ltm = await asyncio.to_thread(lambda: recorder.ltm)
    assert ltm is not None
    row = await asyncio.to_thread(ltm.wait, "cancelled", timeout=60)
    assert row["status"] == "cancelled"


def test_without_services_the_agent_runs(proxy: Proxy) -> None:
    proxy.refuses = lambda _: True
    with Client(proxy.url, retry=Retry(tries=1, backoff=QUICK.backoff)) as client:
        agent: Any = Agent(TestModel(custom_output_text="Hello"), capabilities=[LtmCapability(client)])
        assert agent.run_sync("Hi").output == "Hello"
