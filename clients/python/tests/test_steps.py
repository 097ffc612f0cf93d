"""Steps as blocks, streamed texts, and the background producer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import QUICK, until
from proxy import Proxy

from ltm_live import (
    AsyncClient,
    Backoff,
    Client,
    CursorMismatch,
    Ltm,
    LtmError,
    NotJson,
    PatchFailed,
    Queued,
    QueueFull,
    Retry,
    text_of,
)
from ltm_live.sending.background import BackgroundProducer, Full
from ltm_live.testing import Server


def test_a_step_appends_what_its_block_changed(client: Client) -> None:
    ltm = client.create("app.Agent", state={"todo": ["plan", "write"], "done": []})
    while True:
        with ltm.step("execute", item={"label": "work"}) as state:
            if not state["todo"]:
                state["_status"] = "finished"
                break
            state["done"].append(state["todo"].pop(0))
    history = list(ltm.history())
    assert [step["patch"] for step in history[1:]] == [
        [{"op": "add", "path": "/done/0", "value": "plan"}, {"op": "remove", "path": "/todo/0"}],
        [{"op": "add", "path": "/done/1", "value": "write"}, {"op": "remove", "path": "/todo/0"}],
        [{"op": "add", "path": "/_status", "value": "finished"}],
    ]
    assert history[1]["item"] == {"label": "work"}


def test_an_exception_in_a_step_is_recorded_and_the_state_stays(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    with pytest.raises(ZeroDivisionError), ltm.step("execute", item="divide") as state:
        state["n"] = 1 / 0
    document = ltm.document()
    assert document["state"] == {"n": 0}
    (error,) = document["errors"]
    assert (error["reason"], error["item"], error["success"], error["retrying"]) == ("execute", "divide", False, False)
    attempt = error["retries"][0]
    assert (attempt["type"], attempt["description"]) == ("ZeroDivisionError", "division by zero")
    assert "1 / 0" in attempt["details"]
    with ltm.step("execute") as state:
        state["n"] = 2
    assert ltm.state()["state"] == {"n": 2}


def test_a_step_loses_no_update_of_another_program(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    other = client.ltm(ltm.id)
    with ltm.step("execute") as state:
        state["n"] = 1
    other.append("execute", merge={"theirs": True})
    with pytest.raises(CursorMismatch), ltm.step("execute") as state:
        state["n"] = 2
    with ltm.step("execute") as state:
        assert state == {"n": 1, "theirs": True}
        state["n"] = 3
    assert other.state()["state"] == {"n": 3, "theirs": True}


def test_a_step_that_is_not_exclusive_is_applied_to_the_state_that_it_meets(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    with ltm.step("execute", exclusive=False) as state:
        client.ltm(ltm.id).append("execute", merge={"theirs": True})
        state["n"] = 1
    assert ltm.state()["state"] == {"n": 1, "theirs": True}
    with ltm.step("execute") as state:
        assert state == {"n": 1, "theirs": True}


def test_a_step_takes_values_that_are_not_json_and_names_that_javascript_rejects(client: Client) -> None:
    ltm = client.create("app.Agent", state={"a": {}})
    with ltm.step("execute") as state:
        state["a"]["__proto__"] = {"tags": {"b", "a"}}
    with ltm.step("execute") as state:
        assert state == {"a": {"__proto__": {"tags": ["a", "b"]}}}
        state["a"]["__proto__"]["tags"] = []
    assert ltm.state()["state"] == {"a": {"__proto__": {"tags": []}}}
    with pytest.raises(NotJson, match="/n"), ltm.step("execute") as state:
        state["n"] = float("nan")


async def test_an_asynchronous_step_does_the_same(ltm_server: Server) -> None:
    async with AsyncClient(ltm_server.url) as client:
        ltm = await client.create("app.Agent", state={"n": 0})
        async with ltm.step("execute") as state:
            state["n"] = 1
        with pytest.raises(KeyError):
            async with ltm.step("execute") as state:
                state["missing"]
        document = await ltm.document()
        assert (document["state"], len(document["errors"])) == ({"n": 1}, 1)


def test_a_text_grows_by_chunks_and_ends_as_one_text(client: Client) -> None:
    ltm = client.create("app.Chat", state={"messages": [{"role": "ai"}]})
    tokens = [f"token{n} " for n in range(300)]
    with ltm.follow() as follower, ltm.text("/messages/0/content", every=0.005, item="answer") as out:
        next(follower)
        for token in tokens:
            out.write(token)
            if token.endswith("0 "):
                seen = text_of(next(follower).state["messages"][0]["content"])
                assert "".join(tokens).startswith(seen)
    document = ltm.document()
    assert document["state"]["messages"] == [{"role": "ai", "content": "".join(tokens)}]
    assert document["snapshots_count"] < 100
    last = document["snapshots"][-1]
    assert (last["reason"], last["item"], last["patch"][0]["op"]) == ("tokens", "answer", "replace")
    with pytest.raises(ValueError, match="has ended"):
        out.write("more")


def test_an_empty_text_is_a_text_and_what_fails_is_raised(client: Client) -> None:
    ltm = client.create("app.Chat")
    assert ltm.text("/a").end() == ""
    assert ltm.state()["state"] == {"a": ""}
    lost = ltm.text("/not/there", every=0)
    lost.write("a")
    with pytest.raises(PatchFailed):
        lost.end()
    with pytest.raises(PatchFailed):
        lost.write("b")
    with pytest.raises(ValueError, match="JSON Pointer"):
        ltm.text("a")


def test_the_end_of_a_text_is_written_once(client: Client) -> None:
    ltm = client.create("app.Chat")
    with ltm.text("/answer") as out:
        assert (out.end(), out.end()) == ("", "")
    assert ltm.document()["snapshots_count"] == 2


async def test_the_end_of_an_asynchronous_text_is_written_once(ltm_server: Server) -> None:
    async with AsyncClient(ltm_server.url) as client:
        ltm = await client.create("app.Chat")
        async with ltm.text("/answer") as out:
            assert list(await asyncio.gather(out.end(), out.end())) == ["", ""]
        assert (await ltm.document())["snapshots_count"] == 2


async def test_an_asynchronous_text_does_the_same(ltm_server: Server) -> None:
    async with AsyncClient(ltm_server.url) as client:
        ltm = await client.create("app.Chat")
        async with ltm.text("/answer", every=0.001) as out:
            for n in range(100):
                out.write(f"{n} ")
                await asyncio.sleep(0)
        state = (await ltm.state())["state"]
        assert state == {"answer": "".join(f"{n} " for n in range(100))}
        lost = ltm.text("/not/there")
        lost.write("a")
        await asyncio.sleep(0.01)
        with pytest.raises(PatchFailed):
            await lost.end()


def test_the_background_producer_writes_all_in_order(client: Client) -> None:
    one, two = client.create("app.Agent", state={"n": []}), client.create("app.Agent", state={"n": []})
    with client.background() as background:
        value = {"n": [0]}
        for n in range(200):
            background.append(one, "execute", patch=[{"op": "add", "path": "/n/-", "value": n}])
            background.append(two, "execute", state=value)
            value["n"].append(n)
        assert background.flush(60)
        assert background.counts() == {"queued": 0, "written": 400, "failed": 0, "dropped": 0}
    assert one.state()["state"]["n"] == list(range(200))
    assert two.state()["state"]["n"] == [0, *range(199)]
    assert two.state(1)["state"]["n"] == [0]


def test_what_the_background_producer_cannot_write_is_told(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    told: list[tuple[Queued, LtmError]] = []
    with client.background(on_error=lambda queued, error: told.append((queued, error))) as background:
        background.append(ltm, "execute", merge={"n": 1})
        background.append(ltm, "execute", patch=[{"op": "remove", "path": "/x"}])
        background.append(ltm, "execute", merge={"n": 2})
        with pytest.raises(NotJson):
            background.append(ltm, "execute", merge={"n": float("nan")})
    assert [(queued.snapshot["patch"], type(error)) for queued, error in told] == [
        ([{"op": "remove", "path": "/x"}], PatchFailed)
    ]
    assert ltm.state()["state"] == {"n": 2}
    with pytest.raises(ValueError, match="closed"):
        background.append(ltm, "execute", merge={})


def append_at_once(background: BackgroundProducer, ltm: Ltm, count: int) -> None:
    """Queues snapshots before the thread of the producer takes the first one."""
    with background._changed:
        for n in range(count):
            background.append(ltm, "execute", patch=[{"op": "add", "path": "/n/-", "value": n}])


def test_a_batch_whose_answer_was_lost_never_lands_twice(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent", state={"n": []})
    told: list[LtmError] = []

    def second(_: bytes) -> bytes:
        # An ingress without a service behind it.
        proxy.change = None
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def first(part: bytes) -> bytes:
        proxy.change = second
        proxy.cut()
        return part

    proxy.change = first
    with Client(proxy.url, retry=QUICK) as through:
        background = through.background(retry=QUICK, on_error=lambda queued, error: told.append(error))
        append_at_once(background, ltm, 3)
        assert background.close(30)
    assert proxy.change is None
    assert ltm.state()["state"]["n"] == [0, 1, 2]
    assert [getattr(error, "status", None) for error in told] == [404] * 3


@pytest.mark.parametrize("policy", ["raise", "drop", "latest", "block"])
def test_a_full_queue_does_what_its_policy_says(client: Client, proxy: Proxy, policy: Full) -> None:
    ltm = client.create("app.Agent", state={"n": -1})
    proxy.refuses = lambda _: True
    with Client(proxy.url) as through:
        background = through.background(
            capacity=3, on_full=policy, retry=Retry(tries=10**6, backoff=QUICK.backoff), linger=30
        )
        background.append(ltm, "execute", state={"n": policy})
        until(lambda: background.counts()["queued"] == 1 and not background._queue)
        for n in range(3):
            background.append(ltm, "execute", state={"n": n})
        fourth = threading.Thread(target=lambda: background.append(ltm, "execute", state={"n": 3}))
        if policy == "raise":
            with pytest.raises(QueueFull):
                background.append(ltm, "execute", state={"n": 3})
        elif policy == "block":
            fourth.start()
        else:
            background.append(ltm, "execute", state={"n": 3})
            assert background.dropped == 1
        if policy == "latest":
            with pytest.raises(QueueFull):
                background.append(ltm, "execute", merge={"n": 3})
            assert [queued.snapshot["state"]["n"] for queued in background._queue] == [1, 2, 3]
        proxy.refuses = None
        if policy == "block":
            fourth.join(30)
        assert background.close()
    assert ltm.state()["state"] == {"n": 2 if policy in ("raise", "drop") else 3}


def test_the_queue_is_bounded_by_its_bytes_too(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent")
    proxy.refuses = lambda _: True
    with Client(proxy.url) as through:
        background = through.background(max_bytes=10_000, retry=Retry(tries=10**6, backoff=QUICK.backoff), linger=30)
        background.append(ltm, "execute", merge={"text": "x" * 20_000})
        until(lambda: not background._queue)
        for n in range(9):
            background.append(ltm, "execute", merge={str(n): "x" * 1000})
        with pytest.raises(QueueFull, match="9 snapshots with"):
            background.append(ltm, "execute", merge={"n": "x" * 1000})
        proxy.refuses = None
        assert background.close()
    assert len(ltm.state()["state"]) == 10


PROGRAM = """
import os, sys
from ltm_live import Client
client = Client({url!r})
background = client.background()
for n in range({count}):
    background.append({id}, "execute", patch=[{{"op": "add", "path": "/n/-", "value": n}}])
{end}
"""


@pytest.mark.parametrize(
    "end", ["", "sys.exit(3)", "raise ValueError", "if os.fork() == 0: os._exit(0)\nelse: os._exit(0)"]
)
def test_what_is_queued_is_written_at_the_exit_and_before_a_fork(client: Client, end: str) -> None:
    ltm = client.create("app.Agent", state={"n": []})
    program = PROGRAM.format(url=client.url, id=ltm.id, count=100, end=end)
    subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.DEVNULL, timeout=60)
    assert ltm.state()["state"]["n"] == list(range(100))


CHILD = """
import multiprocessing, sys
from ltm_live import Client

def work(url, id, background=None):
    background = background or Client(url).background()
    for n in range(100):
        background.append(id, "execute", patch=[{"op": "add", "path": "/n/-", "value": n}])

if __name__ == "__main__":
    method, url, id = sys.argv[1], sys.argv[2], int(sys.argv[3])
    args = [url, id]
    if method == "fork":
        # The child uses the producer of its parent.
        args.append(Client(url).background())
        args[2].append(id, "execute", state={"n": []})
    process = multiprocessing.get_context(method).Process(target=work, args=args)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_what_a_child_of_multiprocessing_has_queued_is_written_at_its_exit(
    client: Client, tmp_path: Path, method: str
) -> None:
    ltm = client.create("app.Agent", state={"n": []})
    program = tmp_path / "program.py"
    program.write_text(CHILD)
    command = [sys.executable, str(program), method, client.url, str(ltm.id)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ltm.state()["state"]["n"] == list(range(100))


def test_after_a_fork_parent_and_child_both_write(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": []})
    end = f"""
client.ltm({ltm.id}).state()
child = os.fork()
name = "child" if child == 0 else "parent"
for n in range(50):
    background.append({ltm.id}, name, patch=[{{"op": "add", "path": "/n/-", "value": name}}])
    client.ltm({ltm.id}).append(name, patch=[{{"op": "add", "path": "/n/-", "value": name}}])
assert background.flush(30)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("well")
"""
    program = PROGRAM.format(url=client.url, id=ltm.id, count=0, end=end)
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert result.stdout == "well\n", result.stderr
    names = ltm.state()["state"]["n"]
    assert (names.count("child"), names.count("parent")) == (100, 100)


def test_a_service_that_does_not_answer_does_not_delay_the_engine(proxy: Proxy) -> None:
    proxy.refuses = lambda _: True
    with Client(proxy.url) as through:
        background = through.background(linger=0.05, on_error=lambda queued, error: None)
        for n in range(500):
            background.append(1, "execute", merge={"n": n})
        assert background.close() is False


def test_what_is_appended_is_written_or_refused_also_while_the_producer_closes(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent", state={"n": []})
    released = threading.Event()
    proxy.refuses = lambda _: not released.wait(100)
    with Client(proxy.url, retry=QUICK) as through:
        background = through.background(on_full="drop", capacity=5)
        append_at_once(background, ltm, 3)
        closing = threading.Thread(target=lambda: background.close(100))
        closing.start()

        def is_refused() -> bool:
            try:
                append_at_once(background, ltm, 1)
            except ValueError:
                return True
            return False

        try:
            until(is_refused)
        finally:
            released.set()
            closing.join(30)
    assert not closing.is_alive()
    assert len(ltm.state()["state"]["n"]) == background.written
    assert (background.counts()["queued"], background.failed) == (0, 0)


def test_a_producer_that_gives_up_tells_of_each_snapshot_and_sends_none_later(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent", state={"n": []})
    told: list[Queued] = []
    tried = threading.Event()

    def refuses(_: bytes) -> bool:
        tried.set()
        return True

    proxy.refuses = refuses
    with Client(proxy.url) as through:
        retry = Retry(tries=10**6, backoff=Backoff(3600, 3600))
        background = through.background(retry=retry, on_error=lambda queued, error: told.append(queued))
        append_at_once(background, ltm, 150)
        assert tried.wait(30)
        assert background.close(0.05) is False
        proxy.refuses = None
        sender = background._thread
        assert sender is not None
        sender.join(30)
        assert not sender.is_alive()
    assert [queued.snapshot["patch"][0]["value"] for queued in told] == list(range(150))
    assert background.counts() == {"queued": 0, "written": 0, "failed": 150, "dropped": 0}
    assert ltm.state()["state"]["n"] == []
