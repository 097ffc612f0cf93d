"""LangGraph: after each superstep the state of the LTM is the state of the graph."""

from __future__ import annotations

import asyncio
import operator
import re
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any

import pytest
from conftest import QUICK
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, Send, interrupt
from proxy import Proxy
from typing_extensions import TypedDict

from ltm_live import Client, DeletedLtm, Ltm, NoAnswer, NotJson, Retry, to_json
from ltm_live.langgraph import LtmSaver, Recorder, record
from ltm_live.langgraph.checkpoints import visible


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    messages: Annotated[list[AnyMessage], add_messages]
    tags: set[str]
    n: int


def node(name: str, **more: Any) -> Callable[[State], Any]:
    return lambda state: {"log": [name], **more}


def builder(end: Callable[[State], Any] | None = None) -> Any:
    """plan, then left and right at once, then end."""
    graph: Any = StateGraph(State)
    graph.add_node("plan", node("plan", n=1, tags={"b", "a"}, messages=[AIMessage("I will look.", id="m1")]))
    graph.add_node("left", node("left"))
    graph.add_node("right", node("right"))
    graph.add_node("end", end or node("end"))
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "left")
    graph.add_edge("plan", "right")
    graph.add_edge(["left", "right"], "end")
    graph.add_edge("end", END)
    return graph


def values(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if not name.startswith("_")}


def same_as_graph(graph: Any, config: Any, ltm: Ltm) -> None:
    """The state is the graph's, and each step has the channel values of its checkpoint."""
    saved = list(graph.checkpointer.inner.list(config))
    wanted = {found.checkpoint["id"]: values(visible(found.checkpoint["channel_values"])) for found in saved}
    checked = None
    for index, step in enumerate(ltm.history()):
        payload = step["item"].get("payload") or {}
        if checkpoint := payload.get("checkpoint_id"):
            checked = wanted[checkpoint]
            assert values(ltm.state(index)["state"]) == to_json(checked)
    assert checked == wanted[graph.get_state(config).config["configurable"]["checkpoint_id"]]
    assert values(ltm.state()["state"]) == to_json(checked)


def labels(ltm: Ltm) -> list[str]:
    names = []
    for step in ltm.history(1):
        item = step["item"] or {}
        names.append(f"{step['reason']} {item.get('label') or item.get('fqn', '-').rpartition('.')[2]}")
    return names


@pytest.fixture
def config(request: pytest.FixtureRequest) -> Any:
    return {"configurable": {"thread_id": request.node.name}}


def test_after_every_superstep_the_state_is_that_of_the_graph(client: Client, config: Any) -> None:
    saver = LtmSaver(InMemorySaver(), client, graph=builder(), strict=True)
    graph = builder().compile(checkpointer=saver)
    graph.invoke({"messages": [HumanMessage("Where?", id="m0")], "log": []}, config)
    ltm = saver.ltm(config["configurable"]["thread_id"])
    same_as_graph(graph, config, ltm)
    assert labels(ltm) == ["input -", "execute -", "execute plan", "execute left, right", "execute end"]
    state = ltm.state()["state"]
    assert state["_status"] == "finished"
    assert state["tags"] == ["a", "b"]
    assert state["messages"][0] == {"type": "human", "content": "Where?", "id": "m0"}
    document = ltm.document()
    assert document["structure"]["init"] == ["plan"]
    assert [node["name"] for node in document["structure"]["ltms"]] == ["plan", "left", "right", "end"]
    assert {"from": "left", "to": "end", "label": "end", "namespace": "langgraph.Graph"} in document["structure"][
        "transitions"
    ]
    graph.update_state(config, {"n": 7}, as_node="end")
    graph.invoke({"messages": [HumanMessage("Again", id="m2")]}, config)
    same_as_graph(graph, config, ltm)


async def test_asynchronously_it_is_the_same(client: Client, config: Any) -> None:
    saver = LtmSaver(InMemorySaver(), client, strict=True)
    graph = builder().compile(checkpointer=saver)
    async for _ in graph.astream({"log": []}, config):
        pass
    await graph.aupdate_state(config, {"n": 5}, as_node="end")
    ltm = await asyncio.to_thread(saver.ltm, config["configurable"]["thread_id"])
    same_as_graph(graph, config, ltm)
    assert labels(ltm)[:5] == ["input -", "execute -", "execute plan", "execute left, right", "execute end"]


def test_an_interrupt_is_the_status_until_the_graph_goes_on(client: Client, config: Any) -> None:
    graph = record(
        builder(lambda state: {"log": [interrupt({"ok": "?"})]}).compile(checkpointer=InMemorySaver()), client
    )
    graph.invoke({"log": []}, config)
    ltm = graph.checkpointer.ltm(config["configurable"]["thread_id"])
    state = ltm.state()["state"]
    assert state["_status"] == "interrupted"
    assert [shown["value"] for shown in state["_interrupts"]] == [{"ok": "?"}]
    same_as_graph(graph, config, ltm)
    graph.invoke(Command(resume="yes"), config)
    state = ltm.state()["state"]
    assert (state["_status"], "_interrupts" in state, state["log"][-1]) == ("finished", False, "yes")
    same_as_graph(graph, config, ltm)
    assert labels(ltm)[-2:] == ["interrupt end", "execute end"]


def test_another_process_that_resumes_names_the_nodes_that_it_ran(client: Client, config: Any) -> None:
    inner = InMemorySaver()
    asks = builder(lambda state: {"log": [interrupt("?")]})
    asks.compile(checkpointer=LtmSaver(inner, client, strict=True)).invoke({"log": []}, config)
    saver = LtmSaver(inner, client, strict=True)
    asks.compile(checkpointer=saver).invoke(Command(resume="yes"), config)
    assert labels(saver.ltm(config["configurable"]["thread_id"]))[-2:] == ["interrupt end", "execute end"]


def test_a_fork_goes_back_by_a_rollback(client: Client, config: Any) -> None:
    graph = record(builder().compile(checkpointer=InMemorySaver()), client, strict=True)
    graph.invoke({"log": []}, config)
    after_plan = next(found for found in graph.get_state_history(config) if found.next == ("left", "right"))
    forked = graph.update_state(after_plan.config, {"n": 42})
    ltm = graph.checkpointer.ltm(config["configurable"]["thread_id"])
    assert values(ltm.state()["state"]) == to_json(graph.get_state(config).values)
    graph.invoke(None, forked)
    same_as_graph(graph, config, ltm)
    document = ltm.document(rollbacks=True)
    assert len(document["rollbacks"]) == 1
    assert document["state"]["n"] == 42
    # Another process knows the steps from the log.
    again = record(builder().compile(checkpointer=graph.checkpointer.inner), client, strict=True)
    again.invoke(None, after_plan.config)
    same_as_graph(again, config, ltm)
    assert len(ltm.document(rollbacks=True)["rollbacks"]) == 2


def test_an_error_of_a_node_is_recorded(client: Client, config: Any) -> None:
    def fails(state: State) -> Any:
        raise ZeroDivisionError("in the node")

    graph = record(builder(fails).compile(checkpointer=InMemorySaver()), client, strict=True)
    with pytest.raises(ZeroDivisionError):
        graph.invoke({"log": []}, config)
    document = graph.checkpointer.ltm(config["configurable"]["thread_id"]).document()
    assert document["state"]["_status"] == "error"
    (error,) = document["errors"]
    assert error["item"]["fqn"].endswith(".end")
    assert (error["retries"][0]["type"], error["retries"][0]["description"]) == ("ZeroDivisionError", "in the node")


def test_subgraphs_sends_and_threads_do_not_mix(client: Client, config: Any) -> None:
    inner: Any = StateGraph(State)
    inner.add_node("deep", node("deep"))
    inner.add_edge(START, "deep")
    graph: Any = StateGraph(State)
    graph.add_node("sub", inner.compile())
    graph.add_node("worker", lambda state: {"log": [f"worker {state['n']}"]})
    graph.add_edge(START, "sub")
    graph.add_conditional_edges("sub", lambda state: [Send("worker", {"n": n}) for n in range(3)], ["worker"])
    recorded = record(graph.compile(checkpointer=InMemorySaver()), client, strict=True)
    other = {"configurable": {"thread_id": "other " + config["configurable"]["thread_id"]}}
    recorded.invoke({"log": []}, config)
    recorded.invoke({"log": ["other"]}, other)
    for one in (config, other):
        ltm = recorded.checkpointer.ltm(one["configurable"]["thread_id"])
        same_as_graph(recorded, one, ltm)
        assert labels(ltm) == ["input -", "execute -", "execute sub", "execute worker"]
        assert ltm.state()["state"]["_status"] == "finished"


def test_another_process_goes_on_with_the_thread(client: Client, config: Any, tmp_path: Any) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "db")) as inner:
        for _ in range(2):
            graph = builder().compile(checkpointer=LtmSaver(inner, client, strict=True))
            graph.invoke({"log": []}, config)
        ltm = graph.checkpointer.ltm(config["configurable"]["thread_id"])
        same_as_graph(graph, config, ltm)
        assert len(labels(ltm)) == 10


def test_what_another_program_writes_meanwhile_is_overcome(client: Client, config: Any) -> None:
    saver = LtmSaver(InMemorySaver(), client, strict=True)
    ltm = saver.ltm(config["configurable"]["thread_id"])

    def meddles(state: State) -> Any:
        client.ltm(ltm.id).append("meddle", merge={"n": -1})
        return {"log": ["end"]}

    graph = builder(meddles).compile(checkpointer=saver)
    graph.invoke({"log": []}, config)
    assert values(ltm.state()["state"]) == to_json(graph.get_state(config).values)


def test_without_services_the_graph_runs_unless_the_saver_is_strict(proxy: Proxy, config: Any) -> None:
    proxy.refuses = lambda _: True
    with Client(proxy.url, retry=Retry(tries=2, backoff=QUICK.backoff)) as client:
        graph = builder().compile(checkpointer=LtmSaver(InMemorySaver(), client))
        assert graph.invoke({"log": []}, config)["log"] == ["plan", "left", "right", "end"]
        # Once they answer, the next step brings the LTM up to date.
        proxy.refuses = None
        graph.update_state(config, {"n": 7}, as_node="end")
        same_as_graph(graph, config, graph.checkpointer.ltm(config["configurable"]["thread_id"]))
        proxy.refuses = lambda _: True
        with pytest.raises(NoAnswer):
            builder().compile(checkpointer=LtmSaver(InMemorySaver(), client, strict=True)).invoke({"log": []}, config)


def test_a_value_that_is_not_json_is_named(client: Client, config: Any) -> None:
    broken = builder(node("end", n=float("nan")))
    assert broken.compile(checkpointer=LtmSaver(InMemorySaver(), client)).invoke({"log": []}, config)["log"]
    with pytest.raises(NotJson, match="/n"):
        broken.compile(checkpointer=LtmSaver(InMemorySaver(), client, strict=True)).invoke({"log": []}, config)


def test_a_default_that_raises_an_exception_does_not_fail_the_graph(client: Client, config: Any) -> None:
    def refuses(value: Any) -> Any:
        raise TypeError("I do not know it")

    odd = builder(node("end", n=re.compile("a")))
    with Client(client.url, default=refuses) as refusing:
        assert odd.compile(checkpointer=LtmSaver(InMemorySaver(), refusing)).invoke({"log": []}, config)["log"]
        with pytest.raises(NotJson, match="/n: TypeError"):
            odd.compile(checkpointer=LtmSaver(InMemorySaver(), refusing, strict=True)).invoke({"log": []}, config)


@pytest.mark.filterwarnings("ignore::pytest.PytestWarning")
async def test_the_suite_of_langgraph_passes(client: Client) -> None:
    made: list[LtmSaver] = []

    @checkpointer_test(name="LtmSaver", skip_capabilities={"delete_for_runs", "copy_thread", "prune"})
    async def saver() -> AsyncGenerator[BaseCheckpointSaver[Any], None]:
        made.append(LtmSaver(InMemorySaver(), client, fqn=f"conformance.{len(made)}", strict=False))
        yield made[-1]

    report = await validate(saver)
    assert report.passed_all_base(), report


def test_a_deleted_thread_deletes_its_ltm_and_can_be_used_again(client: Client, config: Any) -> None:
    saver = LtmSaver(InMemorySaver(), client, strict=True)
    graph = builder().compile(checkpointer=saver)
    name = config["configurable"]["thread_id"]
    graph.invoke({"log": []}, config)
    first = saver.ltm(name)
    saver.delete_thread(name)
    with pytest.raises(DeletedLtm):
        first.state()
    graph.invoke({"log": []}, config)
    same_as_graph(graph, config, saver.ltm(name))


def test_a_graph_without_a_checkpointer_is_recorded_too(client: Client) -> None:
    graph = record(builder().compile(), client, strict=True)
    assert isinstance(graph, Recorder)
    result = graph.invoke({"log": []})
    assert result["log"] == ["plan", "left", "right", "end"]
    assert graph.ltm is not None
    state = graph.ltm.state()["state"]
    assert (values(state), state["_status"]) == (to_json(result), "finished")
    assert labels(graph.ltm) == ["input -", "execute plan", "execute left, right", "execute end", "finish -"]
    assert graph.ltm.document()["structure"]["init"] == ["plan"]
    updates = list(graph.stream({"log": []}))
    assert [list(part) for part in updates if "plan" in part] == [["plan"]]
    both = list(graph.stream({"log": []}, stream_mode=["values", "updates"]))
    assert {mode for mode, _ in both} == {"values", "updates"}


async def test_a_graph_without_a_checkpointer_is_recorded_asynchronously(client: Client) -> None:
    graph = record(builder().compile(), client, strict=True)
    result = await graph.ainvoke({"log": []})
    state = (await asyncio.to_thread(graph.ltm.state))["state"]
    assert values(state) == to_json(result)

    def fails(state: State) -> Any:
        raise ZeroDivisionError("in the node")

    failing = record(builder(fails).compile(), client, strict=True)
    with pytest.raises(ZeroDivisionError):
        await failing.ainvoke({"log": []})
    document = await asyncio.to_thread(failing.ltm.document)
    assert (document["state"]["_status"], len(document["errors"])) == ("error", 1)


def test_a_stream_that_is_not_read_to_its_end_is_a_cancelled_run(client: Client) -> None:
    graph = record(builder().compile(), client, strict=True)
    stream = graph.stream({"log": []})
    next(stream)
    stream.close()
    assert graph.ltm is not None
    assert graph.ltm.state()["state"]["_status"] == "cancelled"
    assert labels(graph.ltm)[-1].startswith("cancel")


async def test_a_graph_whose_task_is_cancelled_is_a_cancelled_run(client: Client) -> None:
    begun = asyncio.Event()

    async def waits(state: State) -> Any:
        begun.set()
        await asyncio.Event().wait()

    graph = record(builder(waits).compile(), client, strict=True)
    task = asyncio.ensure_future(graph.ainvoke({"log": []}))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    state = (await asyncio.to_thread(graph.ltm.state))["state"]
    assert (state["_status"], state["log"]) == ("cancelled", ["plan", "left", "right"])
    stream = graph.astream({"log": []})
    await anext(stream)
    await stream.aclose()
    assert (await asyncio.to_thread(graph.ltm.state))["state"]["_status"] == "cancelled"


def extended(lines: list[str], writes: list[list[str]]) -> list[str]:
    return [*lines, *(line for write in writes for line in write)]


class Deltas(TypedDict, total=False):
    lines: Annotated[list[str], DeltaChannel(extended, snapshot_frequency=3)]
    n: int


def deltas() -> Any:
    graph: Any = StateGraph(Deltas)
    for n in range(4):
        graph.add_node(f"node{n}", lambda state, n=n: {"lines": [f"line {n}"], "n": n})
        graph.add_edge(f"node{n - 1}" if n else START, f"node{n}")
    return graph


@pytest.mark.filterwarnings("ignore::Warning:langgraph")
def test_a_graph_with_a_delta_channel_is_recorded_with_all_its_values(client: Client, config: Any) -> None:
    graph = record(deltas().compile(checkpointer=InMemorySaver()), client, strict=True)
    assert isinstance(graph, Recorder)
    for _ in range(2):
        result = graph.invoke({"lines": ["in"]}, config)
    assert graph.ltm is not None
    assert values(graph.ltm.state()["state"]) == result == graph.get_state(config).values
    assert len(result["lines"]) == 10
    assert values(graph.ltm.state(3)["state"]) == {"lines": ["in", "line 0", "line 1"], "n": 1}


@pytest.mark.filterwarnings("ignore::Warning:langgraph")
def test_a_saver_refuses_a_graph_with_a_delta_channel_or_leaves_the_channel_out(client: Client, config: Any) -> None:
    with pytest.raises(ValueError, match="lines: the checkpoints do not have the values"):
        LtmSaver(InMemorySaver(), client, graph=deltas())
    saver = LtmSaver(InMemorySaver(), client, strict=True)
    deltas().compile(checkpointer=saver).invoke({"lines": ["in"]}, config)
    assert values(saver.ltm(config["configurable"]["thread_id"]).state()["state"]) == {"n": 3}
