"""Plain functions: a call is an LTM, and the functions that it calls are its steps."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from conftest import QUICK, until
from proxy import Proxy

from ltm_live import Client, NoAnswer, NotJson, Retry
from ltm_live.hooks.functions import current, note, record, step
from ltm_live.hooks.recording import Recording
from ltm_live.testing import Server


@step
def search(query: str, database: Any = None) -> list[str]:
    return [f"{query} 1", f"{query} 2"]


@step
async def read(page: str) -> str:
    await asyncio.sleep(0)
    return f"text of {page}"


@step
def divide(by: int) -> float:
    return 1 / by


def test_a_call_is_an_ltm_and_the_functions_that_it_calls_are_its_steps(client: Client) -> None:
    @record(client, fqn="app.Report", strict=True)
    def report(topic: str) -> Any:
        found = search(topic, database=object())
        note(progress=0.5)
        return {"pages": found, "ltm": current().id}  # type: ignore[union-attr]

    result = report("bears")
    ltm = client.ltm(result["ltm"])
    assert ltm.state()["state"] == {
        "_status": "finished",
        "arguments": {"topic": "bears"},
        "steps": {"search": ["bears 1", "bears 2"]},
        "running": [],
        "progress": 0.5,
        "result": result,
    }
    steps = list(ltm.history(1))
    assert [step["reason"] for step in steps] == ["begin", "begin", "execute", "note", "finish"]
    # An argument that is not JSON is left out.
    assert steps[2]["item"] == {"fqn": "app.Report.search", "payload": {"query": "bears"}}
    assert ltm.state(2)["state"]["running"] == ["search"]
    # Elsewhere a step is a plain function.
    assert search("bees") == ["bees 1", "bees 2"]
    assert current() is None


async def test_functions_of_asyncio_are_steps_too_also_at_the_same_time(client: Client) -> None:
    @record(client, fqn="app.Reader", key=lambda pages: f"reader of {len(pages)}", strict=True)
    async def reader(pages: list[str]) -> list[str]:
        return list(await asyncio.gather(*(read(page) for page in pages)))

    pages = [f"page {n}" for n in range(8)]
    assert await reader(pages) == [f"text of {page}" for page in pages]
    ltm = client.by_key("app.Reader", "reader of 8")
    state = (await asyncio.to_thread(ltm.state))["state"]
    assert (state["_status"], state["running"], state["result"][7]) == ("finished", [], "text of page 7")
    history = await asyncio.to_thread(lambda: list(ltm.history(1)))
    assert len([step for step in history if step["reason"] == "execute"]) == 8


def test_an_exception_is_recorded_once_and_continues(client: Client) -> None:
    ids = []

    @record(client, fqn="app.Fails", strict=True)
    def fails(caught: bool) -> None:
        ids.append(current().id)  # type: ignore[union-attr]
        if caught:
            with pytest.raises(ZeroDivisionError):
                divide(0)
        else:
            divide(0)

    fails(True)
    with pytest.raises(ZeroDivisionError):
        fails(False)
    documents = [client.ltm(id).document() for id in ids]
    assert [document["state"]["_status"] for document in documents] == ["finished", "error"]
    for document in documents:
        (error,) = document["errors"]
        assert (error["item"]["fqn"], error["retries"][0]["type"]) == ("app.Fails.divide", "ZeroDivisionError")


@step
async def waits(begun: asyncio.Event) -> None:
    begun.set()
    await asyncio.Event().wait()


def waiter(client: Client, key: str) -> Any:
    @record(client, fqn="app.Waits", key=lambda begun: key, strict=True)
    async def waiter(begun: asyncio.Event) -> None:
        await waits(begun)

    return waiter


async def test_a_run_whose_task_is_cancelled_is_recorded_as_cancelled(client: Client) -> None:
    begun = asyncio.Event()
    task = asyncio.ensure_future(waiter(client, "cancelled")(begun))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    ltm = client.by_key("app.Waits", "cancelled")
    history = await asyncio.to_thread(lambda: list(ltm.history(1)))
    assert [step["reason"] for step in history] == ["begin", "begin", "cancel", "cancel"]
    state = (await asyncio.to_thread(ltm.state))["state"]
    assert (state["_status"], state["running"]) == ("cancelled", [])


async def test_a_step_that_is_cancelled_no_longer_runs_and_its_run_goes_on(client: Client) -> None:
    @record(client, fqn="app.Limits", key=lambda: "limits", strict=True)
    async def limits() -> None:
        begun = asyncio.Event()
        task = asyncio.ensure_future(waits(begun))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])

    await limits()
    ltm = client.by_key("app.Limits", "limits")
    state = (await asyncio.to_thread(ltm.state))["state"]
    assert (state["_status"], state["running"], state["steps"]) == ("finished", [], {})
    assert (await asyncio.to_thread(ltm.state, 3))["state"]["running"] == []


def test_a_run_whose_coroutine_is_closed_is_recorded_as_cancelled(client: Client) -> None:
    begun = asyncio.Event()
    run = waiter(client, "closed")(begun)
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        task = loop.create_task(run)
        loop.run_until_complete(begun.wait())
        run.close()
        # The task is never resumed.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    ltm = client.by_key("app.Waits", "closed")
    state = until(lambda: (now := ltm.state()["state"])["_status"] == "cancelled" and now)
    assert state["running"] == []


def test_a_run_that_the_user_interrupts_is_recorded_as_cancelled(client: Client) -> None:
    @step
    def interrupted() -> None:
        raise KeyboardInterrupt

    @record(client, fqn="app.Interrupted", key=lambda: "interrupted", strict=True)
    def runs() -> None:
        interrupted()

    with pytest.raises(KeyboardInterrupt):
        runs()
    state = client.by_key("app.Interrupted", "interrupted").state()["state"]
    assert (state["_status"], state["running"]) == ("cancelled", [])


def test_without_services_the_functions_run_and_a_later_step_writes_what_is_missing(proxy: Proxy) -> None:
    with Client(proxy.url, retry=Retry(tries=2, backoff=QUICK.backoff)) as client:
        recording = Recording(client, "app.Late", "late")
        proxy.refuses = lambda _: True
        recording.change("one", {"a": 1})
        recording.change("bad", {"b": float("nan")})
        proxy.refuses = None
        recording.change("two", {"c": 3})
        assert recording.ltm.state()["state"] == {"_status": "init", "a": 1, "c": 3}
        proxy.refuses = lambda _: True
        with pytest.raises(NoAnswer):
            Recording(client, "app.Late", "strict", strict=True).change("one", {"a": 1})


def refuses(value: Any) -> Any:
    raise TypeError(f"I do not know a {type(value).__name__}")


def test_a_default_that_raises_an_exception_leaves_the_value_out_and_the_run_goes_on(ltm_server: Server) -> None:
    @step
    def opened(database: Any) -> Any:
        return database

    with Client(ltm_server.url, default=refuses) as client:

        @record(client, fqn="app.Opens")
        def opens() -> Any:
            note(database=object())
            return current(), opened(object())

        ltm, _ = opens()
        state = ltm.state()["state"]
        assert (state["_status"], state["steps"], "database" in state) == ("finished", {}, False)
        with pytest.raises(NotJson) as refused:
            ltm.append("execute", merge={"database": object()})
        assert refused.value.path == "/merge/database"


def test_programs_that_record_the_same_run_keep_what_each_other_wrote(client: Client) -> None:
    one, other = (Recording(client, "app.Shared", "shared", strict=True) for _ in range(2))
    one.change("one", {"a": 1, "n": 1})
    other.change("other", lambda state: {"b": 2, "n": state["n"] + 1})
    one.change("one", lambda state: {"c": 3, "n": state["n"] + 1})
    assert one.ltm.state()["state"] == {"_status": "init", "a": 1, "b": 2, "c": 3, "n": 3}


def test_a_generator_is_refused() -> None:
    with pytest.raises(TypeError, match="is a generator"):

        @step
        def numbers() -> Any:
            yield 1
