"""Celery: each task is an LTM, in whichever process it runs."""

from __future__ import annotations

import datetime
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import until

from ltm_live import Client
from ltm_live.testing import Server, free_port

pytest.importorskip("celery")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def tasks(ltm_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The app, with a worker of two processes and a Redis of its own."""
    port, folder = free_port(), tmp_path_factory.mktemp("celery")
    redis = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    environment = {"TASKS_BROKER": f"redis://127.0.0.1:{port}/0", "TASKS_LTM": ltm_server.url}
    os.environ.update(environment)
    sys.path.insert(0, str(HERE))
    app = importlib.import_module("tasks")
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork", "-c", "2", "-l", "error"]
    with (folder / "log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=HERE, stdout=log, stderr=log)
    yield app
    for process in (worker, redis):
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    app.recorder.close()
    sys.path.remove(str(HERE))


def test_a_task_is_queued_and_finished_in_its_ltm(tasks: Any, client: Client) -> None:
    sent = [tasks.add.delay(n, y=1) for n in range(10)]
    for n, result in enumerate(sent):
        ltm = client.by_key("tasks.add", result.id)
        ltm.wait("finished", timeout=60)
        document = ltm.document()
        state = document["state"]
        assert (state["_status"], state["args"], state["kwargs"], state["result"]) == ("finished", [n], {"y": 1}, n + 1)
        assert [step["reason"] for step in document["snapshots"][1:]] == ["queue", "begin", "finish"]
        assert state["worker"].startswith("celery@")


def test_a_retry_is_recorded_with_its_error_and_the_task_goes_on(tasks: Any, client: Client) -> None:
    result = tasks.flaky.delay()
    ltm = client.by_key("tasks.flaky", result.id)
    ltm.wait("finished", timeout=60)
    document = ltm.document()
    assert (document["state"]["result"], document["state"]["retries"]) == ("at last", 1)
    until(lambda: len(ltm.document()["errors"]) == 1)
    assert ltm.document()["errors"][0]["retries"][0]["type"] == "ConnectionError"


def test_an_exception_of_a_task_is_an_error(tasks: Any, client: Client) -> None:
    result = tasks.fails.delay()
    ltm = client.by_key("tasks.fails", result.id)
    ltm.wait("error", timeout=60)
    (error,) = ltm.document()["errors"]
    assert error["retries"][0]["description"] == "in the task"


def test_a_task_that_is_not_run_is_revoked(tasks: Any, client: Client) -> None:
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    result = tasks.add.apply_async((1, 2), expires=past)
    ltm = client.by_key("tasks.add", result.id)
    ltm.wait("revoked", timeout=60)
    assert [step["reason"] for step in ltm.history(1)] == ["queue", "revoke"]
