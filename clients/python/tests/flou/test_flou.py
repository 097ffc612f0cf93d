"""Flou: what its document says, the LTM of ltm-live says, too. Each step once, in the order of Flou's database."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from conftest import until
from services import Flou

from ltm_live import Client, UnknownLtm
from ltm_live.testing import Server


@pytest.fixture(scope="module", params=["DummyEngine", "CeleryEngine"])
def flou(request: pytest.FixtureRequest) -> Iterator[Flou]:
    with Server() as server:
        flou = Flou(request.param, server)
        try:
            yield flou.start()
        finally:
            flou.stop()


@pytest.fixture
def ltms(flou: Flou) -> Iterator[Client]:
    with Client(flou.server.url) as client:
        yield client


def key(step: Any) -> Any:
    """A step, without how its time is written."""
    members = ("reason", "item", "patch", "execute_queue", "transitions_queue")
    return {name: step[name] for name in members}, when(step["time"])


def when(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


def same(flou: Flou, ltms: Client, id: int, steps: int) -> Any:
    """Waits until Flou has so many steps and ltm-live has them, too. Then all else is the same."""
    until(lambda: len(flou.document(id)["snapshots"]) >= steps)
    wanted = flou.document(id)
    assert len(wanted["snapshots"]) == steps
    ltm = ltms.ltm(id)
    until(lambda: ltm.document()["snapshots_count"] == steps)
    found = ltm.document(rollbacks=True)
    assert [key(step) for step in found["snapshots"]] == [key(step) for step in wanted["snapshots"]]
    assert found["state"] == wanted["state"]
    assert (found["name"], found["fqn"], found["key"]) == (wanted["name"], wanted["fqn"], str(id))
    assert found["structure"]["transitions"] == wanted["structure"]["transitions"]
    assert len(found["rollbacks"]) == len(wanted["rollbacks"])
    for mine, theirs in zip(found["rollbacks"], wanted["rollbacks"], strict=True):
        assert [key(step) for step in mine["snapshots"]] == [key(step) for step in theirs["snapshots"]]
    return found


def story(flou: Flou, ltms: Client) -> int:
    """Runs the tutorial: instructions, and two stories."""
    id = flou.create("BedtimeStoryWriter")
    same(flou, ltms, id, 3)
    flou.transition(id, "update_instructions", {"writing_instructions": "No dragons."})
    same(flou, ltms, id, 7)
    for n in (1, 2):
        flou.transition(id, "write_story")
        same(flou, ltms, id, 7 + 4 * n)
    return id


def test_the_tutorial_is_the_same_in_ltm_live(flou: Flou, ltms: Client) -> None:
    id = story(flou, ltms)
    state = ltms.ltm(id).state()["state"]
    assert [told["title"] for told in state["stories"]] == ["Tale 1", "Tale 2"]
    assert state["writing_instructions"] == "No dragons."


def test_a_follower_sees_each_step_once_and_in_order(flou: Flou, ltms: Client) -> None:
    id = story(flou, ltms)
    views = []
    for view in ltms.follow(id, after="0"):
        views.append(view)
        if view.index == 14:
            break
    assert [view.index for view in views] == list(range(15))
    assert views[-1].state == flou.document(id)["state"]


def test_rollbacks_replays_and_undone_rollbacks_are_the_same(flou: Flou, ltms: Client) -> None:
    id = story(flou, ltms)
    flou.call(f"ltm/{id}/rollback", {"snapshot": {"index": 10}})
    same(flou, ltms, id, 11)
    flou.transition(id, "write_story")
    same(flou, ltms, id, 15)
    # The transition at 11 is taken again.
    flou.call(f"ltm/{id}/rollback", {"snapshot": {"index": 11, "replay": True}})
    same(flou, ltms, id, 15)
    flou.call(f"ltm/{id}/rollback", {"rollback": {"index": 0}})
    found = same(flou, ltms, id, 15)
    assert len(found["rollbacks"]) == 3
    # Back to the begin, which is taken again.
    flou.call(f"ltm/{id}/rollback", {"snapshot": {"index": 0, "replay": True}})
    same(flou, ltms, id, 3)


def test_errors_are_the_same(flou: Flou, ltms: Client) -> None:
    id = flou.create("Fragile")
    same(flou, ltms, id, 3)
    flou.transition(id, "go", wants=500)
    until(lambda: [error["retrying"] for error in flou.document(id)["errors"]] in ([False], [False, False]))
    wanted = flou.document(id)["errors"]
    until(lambda: not any(error["retrying"] for error in ltms.ltm(id).document()["errors"]))
    found = ltms.ltm(id).document()["errors"]
    shown = [
        sorted((error["id"], error["reason"], error["success"], len(error["retries"])) for error in errors)
        for errors in (found, wanted)
    ]
    assert shown[0] == shown[1]
    assert {attempt["type"] for error in found for attempt in error["retries"]} == {"ZeroDivisionError"}


def test_many_states_at_once_keep_the_order_of_the_database(flou: Flou, ltms: Client) -> None:
    id = flou.create("Crowd")
    same(flou, ltms, id, 3)
    flou.transition(id, "start_{n}", params=[{"n": str(n)} for n in range(8)])
    until(lambda: len(flou.document(id)["snapshots"]) == 12)
    until(lambda: ltms.ltm(id).document()["snapshots_count"] == 12)
    wanted, found = flou.document(id), ltms.ltm(id).document()
    items = [[step["item"] for step in document["snapshots"]] for document in (wanted, found)]
    assert items[0] == items[1]


def test_while_the_services_are_down_flou_goes_on_and_the_next_step_writes_what_is_missing(
    flou: Flou, ltms: Client
) -> None:
    id = story(flou, ltms)
    flou.server.kill()
    flou.transition(id, "write_story")
    until(lambda: len(flou.document(id)["snapshots"]) == 19)
    flou.server.start()
    flou.transition(id, "write_story")
    same(flou, ltms, id, 23)


def test_a_killed_api_loses_no_step(flou: Flou, ltms: Client) -> None:
    id = story(flou, ltms)
    flou.end("api", signal.SIGKILL)
    flou.start_api()
    # The first thing that the new process does is a rollback.
    flou.call(f"ltm/{id}/rollback", {"snapshot": {"index": 6}})
    same(flou, ltms, id, 7)
    flou.transition(id, "write_story")
    same(flou, ltms, id, 11)


def test_a_command_brings_all_ltms_up_to_date(flou: Flou, ltms: Client) -> None:
    id = story(flou, ltms)
    copy = flou.call(f"ltm/{id}/copy", {})["copy_id"]
    with pytest.raises(UnknownLtm):
        ltms.ltm(copy).state()
    assert "LTMs are up to date" in flou.python("-m", "ltm_live.flou")
    same(flou, ltms, copy, 15)
    same(flou, ltms, id, 15)
