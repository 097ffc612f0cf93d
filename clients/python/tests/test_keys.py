"""Keys, batches and the filters of the list."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from conftest import until

from ltm_live import AsyncClient, Client, DeletedLtm, InvalidRequest, PatchFailed, Problem, UnknownLtm
from ltm_live.testing import Server


def offered(call: Callable[[], object]) -> None:
    """Skips a test if these services are too old for a call."""
    try:
        call()
    except Problem as error:
        if error.kind in ("invalid-request", "not-found", "method-not-allowed", "unknown-ltm"):
            pytest.skip(f"these services do not have it: {error}")
        raise


def test_an_ltm_is_found_by_its_class_and_key(client: Client) -> None:
    ltm = client.create("app.Keyed", key="thread/7 ü", state={"n": 0})
    again = client.create("app.Keyed", key="thread/7 ü", state={"n": 9})
    assert (ltm.created, again.created, again.id) == (True, False, ltm.id)
    by_key = client.by_key("app.Keyed", "thread/7 ü")
    by_key.append("execute", merge={"n": 1})
    with by_key.step("execute") as state:
        state["n"] += 1
    assert ltm.state()["state"] == {"n": 2}
    assert by_key.document()["id"] == ltm.id
    assert by_key.document()["key"] == "thread/7 ü"
    assert [step["reason"] for step in by_key.history()] == ["start", "execute", "execute"]
    with by_key.follow() as follower:
        assert next(follower).state == {"n": 2}
        by_key.rollback(0)
        assert next(follower).state == {"n": 0}
    by_key.undo(0)
    by_key.record_error(reason="execute")
    assert by_key.copy().state()["state"] == {"n": 2}
    assert by_key.wait(after=ltm.cursor)["id"] == ltm.id
    with pytest.raises(AttributeError, match="known by its key"):
        _ = by_key.id
    by_key.delete()
    with pytest.raises(DeletedLtm):
        client.create("app.Keyed", key="thread/7 ü")
    assert client.create("app.Keyed", key="thread/7 ü", reuse=True).id != ltm.id
    with pytest.raises(UnknownLtm):
        client.by_key("app.Keyed", "none").state()


async def test_an_asynchronous_client_finds_it_too(ltm_server: Server) -> None:
    async with AsyncClient(ltm_server.url) as client:
        ltm = await client.create("app.Keyed", key="a%2Fb/../c", state={"n": 1})
        by_key = client.by_key("app.Keyed", "a%2Fb/../c")
        assert (await by_key.state())["id"] == ltm.id
        async with by_key.follow() as follower:
            assert (await anext(follower)).state == {"n": 1}


def test_a_batch_lands_as_a_whole_or_not_at_all(client: Client) -> None:
    probe = client.create("app.Probe")
    offered(lambda: probe.append_batch([{"reason": "execute", "merge": {"n": 1}}]))
    ltm = client.create("app.Batch", state={"n": 0})
    written = ltm.append_batch([{"reason": "execute", "merge": {"n": n}} for n in (1, 2, 3)], idempotency_key="batch")
    assert (written["index"], len(written["cursors"]), written["cursors"][-1]) == (3, 3, written["cursor"])
    again = ltm.append_batch([{"reason": "execute", "merge": {"n": n}} for n in (1, 2, 3)], idempotency_key="batch")
    assert again["cursor"] == written["cursor"]
    wrong = [{"op": "remove", "path": "/x"}]
    with pytest.raises((PatchFailed, InvalidRequest)):
        ltm.append_batch([{"reason": "execute", "merge": {"n": 4}}, {"reason": "execute", "patch": wrong}])
    assert ltm.state()["state"] == {"n": 3}


def test_the_list_is_filtered_and_counted(client: Client) -> None:
    offered(client.counts)
    begun = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    active = client.create("app.Filtered.One", name="Harbour lights", state={"_status": "active"})
    failed = client.create("app.Filtered.Two", name="Bears", state={"_status": "error"})
    failed.record_error(reason="execute")

    def ids(**filters: object) -> list[int]:
        return [row["id"] for row in client.list(fqn="app.Filtered.*", **filters)]  # type: ignore[arg-type]

    assert ids() == [failed.id, active.id]
    assert ids(status="active") == [active.id]
    assert ids(status=["active", "error"]) == [failed.id, active.id]
    assert ids(name="har li") == [active.id]
    assert ids(has_errors=True) == [failed.id]
    assert ids(created_after=begun) == [failed.id, active.id]
    assert ids(created_before=begun) == []
    assert ids(updated_before=begun + datetime.timedelta(hours=1)) == [failed.id, active.id]
    assert ids(updated_after=begun + datetime.timedelta(hours=1)) == []
    # Services that have just started build their index first.
    until(lambda: client.counts()["fqn"].get("app.Filtered.One") == 1)
    counts = client.counts()
    assert counts["total"] >= 2
    assert counts["status"]["active"] >= 1
    assert counts["fqn"]["app.Filtered.One"] == 1
