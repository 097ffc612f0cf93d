"""The calls of the API, by both clients."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from conftest import QUICK
from proxy import Proxy
from repository import ROOT

import ltm_live
from ltm_live import (
    AsyncClient,
    AsyncFollower,
    AsyncLtm,
    AsyncTextStream,
    Client,
    CursorMismatch,
    DeadlineExceeded,
    DeletedLtm,
    Fenced,
    Follower,
    Ltm,
    NoAnswer,
    PatchFailed,
    Problem,
    Retry,
    TextStream,
    UnknownLtm,
)
from ltm_live.sending import calls
from ltm_live.sending.calls import Address
from ltm_live.testing import Server


def members(cls: type) -> dict[str, str]:
    """The public members of a class, with their signatures in synchronous words."""
    found = {}
    for name, value in inspect.getmembers(cls):
        name = name.replace("__anext__", "__next__").replace("__aiter__", "__iter__")
        name = name.replace("__aenter__", "__enter__").replace("__aexit__", "__exit__")
        if name.startswith("_") and name not in ("__next__", "__iter__", "__enter__", "__exit__", "__init__"):
            continue
        signature = str(inspect.signature(value)) if callable(value) else "property"
        found[name] = re.sub(r"Async(?=[A-Z])", "", signature)
    return found


@pytest.mark.parametrize(
    ("asynchronous", "synchronous"),
    [(AsyncClient, Client), (AsyncLtm, Ltm), (AsyncFollower, Follower), (AsyncTextStream, TextStream)],
)
def test_both_clients_have_the_same_methods_with_the_same_arguments(asynchronous: type, synchronous: type) -> None:
    assert members(asynchronous) == members(synchronous)


def test_the_synchronous_half_is_up_to_date() -> None:
    # Those who test an sdist need not have it.
    pytest.importorskip("ruff")
    script = Path(__file__).parent.parent / "scripts" / "halves.py"
    result = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_version_is_that_of_the_workspace() -> None:
    manifest = (ROOT / "Cargo.toml").read_text()
    version = re.search(r'\[workspace\.package\]\nversion = "([^"]+)"', manifest)
    assert version is not None
    assert ltm_live.__version__ == version[1]


def test_every_problem_of_the_documentation_has_a_class() -> None:
    table = (ROOT / "docs" / "errors.md").read_text()
    kinds = {kind: int(status) for kind, status in re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", table, re.MULTILINE)}
    assert len(kinds) > 20
    assert kinds.keys() == Problem.by_kind.keys()


def test_the_client_has_every_call_and_parameter_of_the_api(client: Client) -> None:
    with urllib.request.urlopen(f"{client.url}/docs/openapi.json") as response:
        document = json.load(response)
    source = Path(str(inspect.getsourcefile(calls))).read_text()
    offered = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    offered = {(method, path.removeprefix("/api/v0")) for method, path in offered if "/by-key/" not in path}
    called = set(re.findall(r'"""`(GET|POST|DELETE) (/[^`]*)`', source))
    newer = {("GET", "/ltm/counts")}
    assert called - newer == offered - newer
    own = source + Path(str(inspect.getsourcefile(AsyncClient))).read_text()
    for path, item in document["paths"].items():
        for method, call in item.items():
            for parameter in call.get("parameters", []):
                if parameter["in"] == "query":
                    assert f'"{parameter["name"]}"' in own, (method, path, parameter["name"])


def test_every_call_of_the_api_works(client: Client) -> None:
    ltm = client.create("app.Agent", name="Smith", state={"n": 0})
    assert isinstance(ltm.id, int)
    assert ltm.created is True
    patched = ltm.append("execute", patch=[{"op": "add", "path": "/a", "value": [1]}])
    assert patched["index"] == 1
    ltm.append("execute", state={"n": 1, "a": [1]})
    merged = ltm.append("transition", merge={"b": True}, item={"fqn": "app.Agent.b"}, execute_queue=["x"])
    snapshot = merged["snapshot"]
    assert snapshot is not None
    assert snapshot["patch"] == [{"op": "add", "path": "/b", "value": True}]
    assert snapshot["item"] == {"fqn": "app.Agent.b"}
    assert snapshot["execute_queue"] == ["x"]
    back = ltm.rollback(1)
    assert (back["snapshot_index"], back["snapshots_count"]) == (1, 2)
    assert ltm.undo(0)["snapshots_count"] == 4
    recorded = ltm.record_error(reason="execute", item="x", retrying=True)["error"]
    assert recorded is not None
    ltm.record_error(recorded["id"], success=True, retrying=False)
    document = ltm.document(rollbacks=True)
    assert document["state"] == {"a": [1], "b": True, "n": 1}
    assert [(error["id"], error["success"]) for error in document["errors"]] == [(recorded["id"], True)]
    assert len(document["rollbacks"]) == 2
    assert [row["rollback_index"] for row in ltm.rollbacks()["rollbacks"]] == [None, 0]
    assert len(ltm.document(rollbacks=True, from_rollback=1)["rollbacks"]) == 1
    assert ltm.state()["state"] == document["state"]
    assert ltm.state(0)["state"] == {"n": 0}
    assert ltm.state(3, rollback=0)["state"] == document["state"]
    assert [step["reason"] for step in ltm.history()] == ["start", "execute", "execute", "transition"]
    assert [step["reason"] for step in ltm.history(3)] == ["transition"]
    assert len(ltm.snapshots(1, limit=2)["snapshots"]) == 2
    copy = ltm.copy()
    assert copy.state()["state"] == document["state"]
    ltm.append("execute", merge={"_status": "finished"})
    assert ltm.wait("finished", "error")["status"] == "finished"
    with pytest.raises(DeadlineExceeded):
        ltm.wait("error", timeout=0.3)
    assert ltm.delete()["deleted"] is True
    with pytest.raises(DeletedLtm):
        ltm.state()


async def test_every_call_of_the_api_works_asynchronously(ltm_server: Server) -> None:
    async with AsyncClient(ltm_server.url, retry=QUICK) as client:
        ltm = await client.create("app.Agent", state={"n": 0})
        assert (await ltm.append("execute", merge={"n": 1}))["index"] == 1
        await ltm.rollback(0)
        await ltm.undo(0)
        await ltm.record_error(reason="execute")
        assert (await ltm.document())["state"] == {"n": 1}
        assert [step["reason"] async for step in ltm.history()] == ["start", "execute"]
        await asyncio.gather(*(ltm.append("execute", patch=[]) for _ in range(20)))
        assert (await ltm.snapshots())["snapshots_count"] == 22
        assert ltm.id in [row["id"] async for row in client.list(fqn="app.Agent", limit=3)]
        copy = await ltm.copy()
        await ltm.append("execute", merge={"_status": "finished"})
        assert (await ltm.wait("finished"))["status"] == "finished"
        await copy.delete()
        with pytest.raises(DeletedLtm):
            await copy.document()


def test_lists_go_on_over_pages(client: Client) -> None:
    made = [client.create("app.Paged", name=f"number {n}").id for n in range(7)]
    made.reverse()
    assert [row["id"] for row in client.list(fqn="app.Paged")] == made
    assert [row["id"] for row in client.list(fqn="app.Paged", limit=5)] == made[:5]
    page = client.page(fqn="app.Paged", limit=3)
    assert ([row["id"] for row in page.rows], page.complete) == (made[:3], True)
    rest = client.page(fqn="app.Paged", limit=30, before=page.next)
    assert ([row["id"] for row in rest.rows], rest.next) == (made[3:], None)


def test_tickets_and_revocations_work() -> None:
    with Server() as server, Client(server.url, retry=QUICK) as client:
        assert client.ticket()["expires_in"] > 0
        assert client.revoke(sub="mallory", until=4_000_000_000)["sub"] == "mallory"
        assert [entry.get("sub") for entry in client.revocations()] == ["mallory"]
        assert client.lift(sub="mallory") is True
        assert client.lift(sub="mallory") is False
        with pytest.raises(TypeError):
            client.revoke(sub="a", jti="b")


def test_what_is_refused_is_raised_as_the_class_of_its_problem(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    with pytest.raises(PatchFailed) as failed:
        ltm.append("execute", patch=[{"op": "test", "path": "/n", "value": 0}, {"op": "remove", "path": "/x"}])
    assert (failed.value.operation, failed.value.status, failed.value.kind) == (1, 422, "patch-failed")
    assert failed.value.request_id
    now = ltm.append("execute", merge={"n": 1}, if_match=ltm.cursor)["cursor"]
    with pytest.raises(CursorMismatch) as stale:
        ltm.append("execute", merge={"n": 2}, if_match=ltm.cursor)
    assert stale.value.cursor == now
    with pytest.raises(UnknownLtm):
        client.ltm(4711471147).append("execute", merge={})
    with pytest.raises(TypeError, match="exactly one"):
        ltm.append("execute", merge={}, state={})
    for wrong in ("x", True, -1, "1/2"):
        with pytest.raises(TypeError, match="id of an LTM"):
            client.ltm(wrong)


def test_a_producer_that_was_replaced_is_shut_out(ltm_server: Server) -> None:
    old, new = (Client(ltm_server.url, producer="engine", epoch=epoch) for epoch in (1, 2))
    with old, new:
        ltm = old.create("app.Agent")
        ltm.append("execute", merge={"n": 1})
        new.ltm(ltm.id).append("execute", merge={"n": 2})
        for write in (
            lambda: ltm.append("execute", merge={"n": 3}),
            ltm.record_error,
            lambda: ltm.rollback(0),
            ltm.copy,
            ltm.delete,
        ):
            with pytest.raises(Fenced):
                write()


def test_a_large_id_comes_and_goes_as_it_is(client: Client) -> None:
    ltm = client.create("app.Agent", id=18446744073709551000)
    assert ltm.id == 18446744073709551000
    assert client.ltm("18446744073709551000").append("execute", merge={"n": 1})["id"] == ltm.id


def test_a_call_whose_connection_is_cut_anywhere_lands_once(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    with Client(proxy.url, retry=QUICK) as cut:
        index = 0
        for budget in range(1, 10_000, 23):
            proxy.cut_after(budget)
            assert cut.ltm(ltm.id).append("execute", merge={"n": budget})["index"] == index + 1
            index += 1
            if not proxy.was_cut:
                break
    assert index > 15
    assert ltm.state()["index"] == index


async def test_an_asynchronous_call_whose_connection_is_cut_lands_once(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    async with AsyncClient(proxy.url, retry=QUICK) as cut:
        index = 0
        for budget in range(1, 10_000, 61):
            proxy.cut_after(budget)
            assert (await cut.ltm(ltm.id).append("execute", merge={"n": budget}))["index"] == index + 1
            index += 1
            if not proxy.was_cut:
                break
    assert index > 5


def test_a_key_that_is_given_lands_once_across_calls(client: Client) -> None:
    ltm = client.create("app.Agent")
    first = ltm.append("execute", merge={"n": 1}, idempotency_key="step-1")
    assert ltm.append("execute", merge={"n": 1}, idempotency_key="step-1")["cursor"] == first["cursor"]


def test_it_gives_up_after_its_tries_and_at_its_deadline(proxy: Proxy) -> None:
    proxy.refuses = lambda _: True
    with Client(proxy.url, retry=Retry(tries=3, backoff=QUICK.backoff)) as client:
        with pytest.raises(NoAnswer):
            client.create("app.Agent")
        assert proxy.opened == 3
    with Client(proxy.url, retry=Retry(tries=1000, backoff=QUICK.backoff)) as client:
        with pytest.raises(DeadlineExceeded) as late:
            client.create("app.Agent", deadline=0.3)
        assert late.value.__cause__ is None or isinstance(late.value.__cause__, NoAnswer)
    assert proxy.opened > 4


def test_a_wait_may_last_longer_than_the_deadline_of_a_call(ltm_server: Server, client: Client) -> None:
    ltm = client.create("app.Agent")
    threading.Timer(2, lambda: ltm.append("execute", merge={"_status": "finished"})).start()
    with Client(ltm_server.url, retry=Retry(deadline=0.5)) as hasty:
        assert hasty.ltm(ltm.id).wait("finished", timeout=60)["status"] == "finished"


async def test_an_asynchronous_wait_may_last_longer_than_the_deadline_of_a_call(
    ltm_server: Server, client: Client
) -> None:
    ltm = client.create("app.Agent")
    threading.Timer(2, lambda: ltm.append("execute", merge={"_status": "finished"})).start()
    async with AsyncClient(ltm_server.url, retry=Retry(deadline=0.5)) as hasty:
        assert (await hasty.ltm(ltm.id).wait("finished", timeout=60))["status"] == "finished"


def targets(proxy: Proxy) -> list[bytes]:
    """What the request lines name that arrive at a proxy from now on."""
    found: list[bytes] = []

    def note(part: bytes) -> bool:
        if part.startswith((b"GET ", b"POST ")):
            found.append(part.split()[1])
        return False

    proxy.refuses = note
    return found


def test_a_proxy_gets_the_whole_url(ltm_server: Server, proxy: Proxy) -> None:
    found = targets(proxy)
    with Client(ltm_server.url, proxy=proxy.url, retry=QUICK) as client:
        ltm = client.create("app.Agent", key="a/b c", state={"n": 1})
        assert client.by_key("app.Agent", "a/b c").state()["state"] == {"n": 1}
        with ltm.follow() as follower:
            assert next(follower).state == {"n": 1}
    wanted = ["/api/v0/ltm", "/api/v0/ltm/by-key/app.Agent/a%2Fb%20c/state", f"/sse/{ltm.id}?live=1&init=state"]
    assert [target.decode() for target in found] == [ltm_server.url + path for path in wanted]


async def test_a_proxy_gets_the_whole_url_from_the_asynchronous_client_too(ltm_server: Server, proxy: Proxy) -> None:
    found = targets(proxy)
    async with AsyncClient(ltm_server.url, proxy=proxy.url, retry=QUICK) as client:
        ltm = await client.create("app.Agent")
        async with ltm.follow() as follower:
            await anext(follower)
    wanted = ["/api/v0/ltm", f"/sse/{ltm.id}?live=1&init=state"]
    assert [target.decode() for target in found] == [ltm_server.url + path for path in wanted]


def test_the_services_of_tests_start_also_if_the_environment_has_a_proxy() -> None:
    program = """
from ltm_live import Client, testing
testing._START = 20
with testing.Server() as server, Client(server.url) as client:
    print(client.create("app.Agent").created)
"""
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, env=environment, timeout=60
    )
    assert ran.stdout == "True\n", ran.stderr


def test_it_waits_as_long_as_the_service_asks() -> None:
    with Server({"LTM__HTTP__MAX_REQUESTS_PER_ADDRESS": "30"}) as server, Client(server.url, retry=QUICK) as client:
        ltm = client.create("app.Agent")
        for n in range(33):
            assert ltm.append("execute", merge={"n": n})["index"] == n + 1


def test_an_address_is_encoded() -> None:
    assert Address.by_key("app.Agent", "a/b c%ü").path == "by-key/app.Agent/a%2Fb%20c%25%C3%BC"
    assert Address.of("42").path == "42"


def test_an_object_can_be_passed_wherever_an_id_can(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 1})
    with client.follow(ltm) as follower:
        assert next(follower).state == {"n": 1}


def test_a_url_that_is_none_is_refused() -> None:
    for url in ("localhost:8000", "ftp://localhost", ""):
        with pytest.raises(ValueError, match="is not the URL of a service"):
            Client(url)
