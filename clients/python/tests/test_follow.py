"""Following: each change once, in order, across everything that breaks connections."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK, until
from proxy import Proxy
from repository import ROOT

from ltm_live import (
    AsyncClient,
    Backoff,
    Client,
    DeletedLtm,
    Forbidden,
    Ltm,
    TokenFailed,
    Unauthenticated,
    UnknownLtm,
    View,
)
from ltm_live.following.events import Event, EventDecoder
from ltm_live.following.subscription import Ended, Misfit, Subscription
from ltm_live.following.view import view_of
from ltm_live.problems import NoAnswer, problem_named
from ltm_live.sending.calls import Address
from ltm_live.testing import Server

BACKOFF = Backoff(0.005, 0.1)
DATA = ROOT / "tests" / "data"


def write_everything(ltm: Ltm) -> str:
    """Each kind of entry, some twice. Returns the last cursor."""
    error = "f7b1c9a2-3d4e-4f50-8a6b-7c8d9e0f1a2b"
    ltm.append("execute", merge={"n": 1, "list": [{"a": 1}, {"b": 2}, "ü€𝄞"]}, item={"step": 1})
    ltm.append("execute", patch=[{"op": "add", "path": "/list/1", "value": {"c": [1, 2, 3]}}])
    ltm.record_error(error, reason="execute", retrying=True)
    ltm.append("transition", patch=[{"op": "move", "from": "/list/0", "path": "/first"}])
    ltm.rollback(1)
    ltm.append("execute", merge={"n": 2, "other": "way"})
    ltm.undo(0)
    ltm.record_error(error, success=True)
    ltm.rollback(0, replay=True)
    ltm.undo(2)
    return ltm.append("execute", state={"n": 3, "list": []})["cursor"]


CHANGES = [
    "snapshot", "snapshot", "error", "snapshot", "rollback", "snapshot", "rollback", "error", "rollback", "rollback",
    "snapshot",
]  # fmt: skip


def up_to(follower: Iterator[View], cursor: str) -> list[View]:
    views = []
    for view in follower:
        views.append(view)
        if view.cursor == cursor:
            break
    return views


def same_as_document(view: View, ltm: Ltm) -> None:
    document = ltm.document()
    assert view.cursor == document["cursor"]
    assert view.state == document["state"]
    assert view.index == document["snapshots_count"] - 1


def test_the_view_is_what_the_document_says_after_each_kind_of_change(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    with ltm.follow(backoff=BACKOFF) as follower:
        first = next(follower)
        assert (first.change, first.reset, first.state, first.index) == ("reset", "requested", {"n": 0}, 0)
        views = up_to(follower, write_everything(ltm))
        assert [view.change for view in views] == CHANGES
        assert views[0].snapshot is not None
        assert views[0].snapshot["item"] == {"step": 1}
        rollback = views[4].rollback
        assert rollback is not None
        assert (rollback.snapshot_index, rollback.reason) == (1, "manual")
        assert views[2].error is not None
        same_as_document(views[-1], ltm)
        ltm.delete()
        last = next(follower)
        assert (last.change, last.deleted, last.state) == ("deleted", True, {"n": 3, "list": []})
        assert list(follower) == []
        assert follower.status == "deleted"
    with pytest.raises(DeletedLtm):
        next(ltm.follow())


def test_it_begins_where_it_is_told_to(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    document, state = ltm.document(), ltm.state()
    cursor = write_everything(ltm)
    for after, count in ((document, 11), (state, 11), ("0", 12)):
        with ltm.follow(after, backoff=BACKOFF) as follower:  # type: ignore[arg-type]
            views = up_to(follower, cursor)
        assert [view.change for view in views] == ["snapshot"] * (count - 11) + CHANGES
        same_as_document(views[-1], ltm)
    with ltm.follow(views[5], backoff=BACKOFF) as follower:
        assert up_to(follower, cursor)[-1].state == views[-1].state
    with pytest.raises(TypeError, match="a cursor alone"):
        ltm.follow(cursor)  # type: ignore[arg-type]


def test_a_view_stays_as_it_was_and_shares_what_does_not_change(client: Client) -> None:
    ltm = client.create("app.Agent", state={"big": {"list": [1, {"deep": True}]}, "n": 0})
    with ltm.follow() as follower:
        first = next(follower)
        ltm.append("execute", merge={"n": 1})
        second = next(follower)
    assert (first.state["n"], second.state["n"]) == (0, 1)
    assert second.state["big"] is first.state["big"]


async def test_the_asynchronous_follower_gives_the_same(ltm_server: Server, client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    async with AsyncClient(ltm_server.url) as asynchronous, asynchronous.follow(ltm.id) as follower:
        await anext(follower)
        cursor = await asyncio.to_thread(write_everything, ltm)
        views = []
        async for view in follower:
            views.append(view)
            if view.cursor == cursor:
                break
        assert [view.change for view in views] == CHANGES
        same_as_document(views[-1], ltm)
        ltm.delete()
        assert [view.change async for view in follower] == ["deleted"]


def test_after_each_cut_of_the_connection_the_view_is_right(client: Client, proxy: Proxy) -> None:
    with Client(proxy.url, retry=QUICK) as cut:
        for budget in range(1, 4000, 199):
            ltm = client.create("app.Agent", state={"n": 0})
            proxy.cut_after(budget)
            with cut.follow(ltm.id, backoff=BACKOFF) as follower:
                first = next(follower)
                views = [first, *up_to(follower, write_everything(ltm))]
            assert [view.change for view in views] == ["reset", *CHANGES], budget
            same_as_document(views[-1], ltm)
    assert proxy.opened > 20


async def test_after_a_cut_the_asynchronous_follower_is_right(client: Client, proxy: Proxy) -> None:
    async with AsyncClient(proxy.url, retry=QUICK) as cut:
        for budget in range(200, 3000, 700):
            ltm = client.create("app.Agent", state={"n": 0})
            proxy.cut_after(budget)
            async with cut.follow(ltm.id, backoff=BACKOFF) as follower:
                views = [await anext(follower)]
                cursor = await asyncio.to_thread(write_everything, ltm)
                while views[-1].cursor != cursor:
                    views.append(await anext(follower))
            assert [view.change for view in views] == ["reset", *CHANGES]


def test_a_message_that_does_not_fit_is_not_applied(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent", state={"one": 1, "two": {"kept": True}})
    with Client(proxy.url, retry=QUICK) as through, through.follow(ltm.id, backoff=BACKOFF) as follower:
        next(follower)

        def change(part: bytes) -> bytes:
            if b'"/one"' not in part:
                return part
            proxy.change = None
            return part.replace(b'"/one"', b'"/owe"')

        proxy.change = change
        ltm.append("execute", merge={"one": 2})
        view = next(follower)
    assert (view.change, view.state) == ("reset", {"one": 2, "two": {"kept": True}})


def test_a_connection_that_is_silently_dead_is_found_out(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    with Client(proxy.url, quiet=0.6) as through, through.follow(ltm.id, backoff=BACKOFF) as follower:
        next(follower)
        proxy.change = lambda _: b""
        ltm.append("execute", merge={"n": 1})
        threading.Timer(0.1, lambda: setattr(proxy, "change", None)).start()
        assert next(follower).state == {"n": 1}


def test_close_ends_an_iteration_that_waits_in_another_thread(client: Client) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    follower = ltm.follow()
    seen: list[View] = []
    reader = threading.Thread(target=lambda: seen.extend(follower))
    reader.start()
    until(lambda: follower.status == "live")
    follower.close()
    reader.join(30)
    assert not reader.is_alive()
    assert (follower.status, len(seen)) == ("closed", 1)


async def test_close_ends_an_asynchronous_iteration_that_waits(ltm_server: Server) -> None:
    async with AsyncClient(ltm_server.url) as client:
        ltm = await client.create("app.Agent")
        follower = ltm.follow()
        await anext(follower)
        waiting = asyncio.ensure_future(anext(follower, None))
        await asyncio.sleep(0)
        await follower.close()
        assert await asyncio.wait_for(waiting, 30) is None


class Held:
    """Requests that a proxy holds until they are released."""

    def __init__(self, proxy: Proxy) -> None:
        self.asked, self.released = threading.Event(), threading.Event()
        proxy.refuses = self._hold

    def _hold(self, _: bytes) -> bool:
        self.asked.set()
        self.released.wait(30)
        return False


def test_close_ends_an_iteration_that_connects(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    held = Held(proxy)
    with Client(proxy.url, retry=QUICK) as through:
        follower = through.follow(ltm.id, after=ltm.state(), backoff=BACKOFF)
        seen: list[View] = []
        reader = threading.Thread(target=lambda: seen.extend(follower), daemon=True)
        reader.start()
        assert held.asked.wait(30)
        follower.close()
        held.released.set()
        reader.join(10)
        assert not reader.is_alive()
    assert (follower.status, seen, proxy.opened) == ("closed", [], 1)


async def test_close_ends_an_asynchronous_iteration_that_connects(client: Client, proxy: Proxy) -> None:
    ltm = client.create("app.Agent", state={"n": 0})
    held = Held(proxy)
    async with AsyncClient(proxy.url, retry=QUICK) as through:
        follower = through.follow(ltm.id, after=ltm.state(), backoff=BACKOFF)
        waiting = asyncio.ensure_future(anext(follower, None))
        assert await asyncio.to_thread(held.asked.wait, 30)
        await follower.close()
        held.released.set()
        assert await asyncio.wait_for(waiting, 10) is None
    assert (follower.status, proxy.opened) == ("closed", 1)


def test_a_restart_by_a_signal_or_by_force_costs_nothing() -> None:
    with Server() as server, Client(server.url, retry=QUICK) as client:
        ltm = client.create("app.Agent", state={"n": 0})
        with ltm.follow(backoff=BACKOFF) as follower:
            next(follower)
            for end in (server.terminate, server.kill):
                ltm.append("execute", merge={"before": True})
                end()
                server.start()
                views = up_to(follower, write_everything(ltm))
                assert [view.change for view in views] == ["snapshot", *CHANGES]
                same_as_document(views[-1], ltm)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def live_connection(subscription: Subscription, clock: Clock, seconds: float) -> None:
    subscription.opened()
    state = {"reason": "requested", "state": {}, "snapshots_count": 1}
    if subscription.view is None:
        subscription.take(Event("message", json.dumps({"id": 1, "cursor": "1-a", "reset": state})))
    subscription.take(Event("message", json.dumps({"id": 1, "cursor": "1-a", "live": True})))
    clock.now += seconds


@pytest.mark.parametrize(
    "cause",
    [
        NoAnswer("the connection was lost"),
        Ended(1006, ""),
        Ended(1011, ""),
        Ended(1012, "restart"),
        Ended(1013, "limit"),
        Ended(4409, "forked"),
        Misfit("x"),
        problem_named("unavailable", 503, "x"),
        OSError("x"),
    ],
)
@pytest.mark.parametrize("goes_live", [True, False])
def test_it_backs_off_however_a_connection_fails_again_and_again(cause: Exception, goes_live: bool) -> None:
    clock = Clock()
    subscription = Subscription(Address.of(1), None, Backoff(0.2, 10.0), False, clock)
    total = 0.0
    for _ in range(60):
        if goes_live:
            live_connection(subscription, clock, 0.01)
        total += subscription.lost(cause)
    # 60 pauses of up to 10 s: the mean is about 5 s once the bound is reached.
    assert total > 100
    live_connection(subscription, clock, 20)
    assert subscription.lost(NoAnswer("lost")) <= 0.2


def test_what_a_proxy_answers_ends_only_a_follower_without_a_view() -> None:
    from ltm_live import Problem

    proxy_answer = Problem({"status": 404, "detail": "no backend"})
    fresh = Subscription(Address.of(1), None, BACKOFF, False)
    with pytest.raises(Problem):
        fresh.lost(proxy_answer)
    known = Subscription(Address.of(1), None, BACKOFF, False)
    live_connection(known, Clock(), 0)
    assert known.lost(proxy_answer) >= 0


def test_events_are_the_same_however_their_bytes_are_cut() -> None:
    stream = ': ping\n\nid: 1\ndata: {"a":"ü"}\n\nevent: end\r\ndata: x\r\ndata:y\r\n\r\n'.encode()
    expected = [Event("message", '{"a":"ü"}'), Event("end", "x\ny")]
    for size in range(1, len(stream)):
        decoder = EventDecoder()
        parts = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert [event for part in parts for event in decoder.feed(part)] == expected, size


def test_each_message_does_to_a_view_what_the_vectors_of_all_clients_say() -> None:
    vectors = json.loads((DATA / "follow" / "vectors.json").read_text())
    assert len(vectors) >= 8
    for vector in vectors:
        begin = vector["begin"]
        subscription = Subscription(Address.of(1), None, BACKOFF, False)
        if begin is not None:
            subscription.view = view_of(begin["state"], begin["cursor"], begin["snapshots_count"] - 1)
        messages = [Event("message", json.dumps(message)) for message in vector["messages"]]
        misfits = [messages.pop()] if vector.get("misfit") else []
        views = [view for message in messages if (view := subscription.take(message))]
        for message in misfits:
            before = subscription.view
            with pytest.raises(Misfit):
                subscription.take(message)
            assert subscription.view is before
        seen = [
            {"change": view.change, "cursor": view.cursor, "index": view.index, "state": view.state} for view in views
        ]
        assert seen == vector["views"], vector["name"]


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.stem)
def test_a_recorded_history_leads_to_its_state(path: Path) -> None:
    document = json.loads(path.read_text())["documents"][0]["document"]
    subscription = Subscription(Address.of(1), "0", BACKOFF, False)
    for number, snapshot in enumerate(document["snapshots"]):
        subscription.take(Event("message", json.dumps({"cursor": f"{number}-a", "snapshot": snapshot})))
    assert subscription.view is not None
    assert (subscription.view.state, subscription.view.index) == (document["state"], len(document["snapshots"]) - 1)


class Guarded:
    """Services that ask who calls, and the tokens that they take."""

    def __init__(self, folder: Path) -> None:
        self.secret = os.urandom(32).hex()
        file = folder / "secret"
        file.write_text(self.secret)
        settings = {"MODE": "required", "AUDIENCE": "ltm-live", "LEEWAY": "0s", "JWT_ALGORITHM": "HS256"}
        settings["JWT_KEY_FILE"] = str(file)
        self.server = Server({f"LTM__AUTH__{name}": value for name, value in settings.items()})

    def token(self, ltm: object, can: str, seconds: float) -> str:
        def part(value: object) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

        claims = {"sub": "me", "aud": "ltm-live", "exp": time.time() + seconds, "ltm": ltm, "can": can}
        said = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
        sign = hmac.new(self.secret.encode(), said.encode(), hashlib.sha256).digest()
        return f"{said}.{base64.urlsafe_b64encode(sign).rstrip(b'=').decode()}"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path_factory.mktemp("keys"))
    with guarded.server:
        yield guarded


def test_when_a_token_expires_it_goes_on_with_another(guarded: Guarded) -> None:
    given: list[str] = []

    def token() -> str:
        given.append(guarded.token("*", "admin", 5))
        return given[-1]

    with Client(guarded.server.url, token=token, retry=QUICK) as client:
        ltm = client.create("app.Agent", state={"n": 0})
        with ltm.follow(backoff=BACKOFF) as follower:
            next(follower)
            # The stream outlives two tokens; the writer runs beside it.
            follows = len(given)
            written = threading.Event()

            def write() -> None:
                until(lambda: len(given) >= follows + 2)
                ltm.append("execute", merge={"n": 1})
                written.set()

            threading.Thread(target=write, daemon=True).start()
            assert next(follower).state == {"n": 1}
            assert written.wait(30)


async def test_an_asynchronous_function_may_give_the_token(guarded: Guarded) -> None:
    async def token() -> str:
        await asyncio.sleep(0)
        return guarded.token("*", "admin", 60)

    async with AsyncClient(guarded.server.url, token=token) as client:
        ltm = await client.create("app.Agent", state={"n": 0})
        async with ltm.follow() as follower:
            assert (await anext(follower)).state == {"n": 0}
        with client.background() as background:
            background.append(ltm, "execute", merge={"n": 1})
        assert (await ltm.state())["state"] == {"n": 1}


def test_who_may_not_follow_is_told_why(guarded: Guarded) -> None:
    with Client(guarded.server.url, token=guarded.token("*", "admin", 60)) as admin:
        id = admin.create("app.Agent").id
        assert admin.ticket()["ticket"]
    cases: list[tuple[Any, Any, type[Exception]]] = [
        (id, None, Unauthenticated),
        (id, "garbage", Unauthenticated),
        (id, guarded.token("*", "admin", -5), Unauthenticated),
        (id, lambda: guarded.token("*", "admin", -5), Unauthenticated),
        (id, guarded.token(id + 1, "read", 60), Forbidden),
        (4711471147, guarded.token("*", "admin", 60), UnknownLtm),
    ]
    for ltm, token, error in cases:
        with Client(guarded.server.url, token=token) as client, client.follow(ltm, backoff=BACKOFF) as follower:
            with pytest.raises(error):
                next(follower)
            assert follower.status == "failed"
            assert list(follower) == []


def test_a_function_that_gave_an_old_token_is_asked_again(guarded: Guarded) -> None:
    tokens = [guarded.token("*", "admin", -5)]

    def token() -> str:
        return tokens.pop() if tokens else guarded.token("*", "admin", 60)

    with Client(guarded.server.url, token=token, retry=QUICK) as client:
        ltm = client.create("app.Agent", state={"n": 0})
        tokens.append(guarded.token("*", "admin", -5))
        with ltm.follow(backoff=BACKOFF) as follower:
            assert next(follower).state == {"n": 0}


def test_a_function_of_the_token_that_fails_ends_only_a_follower_without_a_view(guarded: Guarded) -> None:
    failures: list[Exception] = []

    def token() -> str:
        if failures:
            raise failures[0]
        return guarded.token("*", "admin", 1)

    with Client(guarded.server.url, token=token, retry=QUICK) as client:
        ltm = client.create("app.Agent", state={"n": 0})
        with ltm.follow(backoff=BACKOFF) as follower:
            next(follower)
            failures.append(OSError("the login service is away"))
            views: list[View] = []
            reader = threading.Thread(target=lambda: views.append(next(follower)))
            reader.start()
            until(lambda: isinstance(follower.error, TokenFailed))
            failures.clear()
            ltm.append("execute", merge={"n": 1})
            reader.join(30)
            assert [view.state for view in views] == [{"n": 1}]
        failures.append(OSError("the login service is away"))
        with pytest.raises(TokenFailed):
            next(ltm.follow())
