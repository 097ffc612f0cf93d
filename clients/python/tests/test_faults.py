"""`kill -9` of an API and a gateway at random while steps are recorded: each lands once, and a follower has the end.

`LTM_TEST_STEPS=1000` is the long form.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import until

from ltm_live import Backoff, Client, Retry, View
from ltm_live.testing import Server, free_port

STEPS = int(os.environ.get("LTM_TEST_STEPS", "120"))
PATIENT = Retry(tries=1000, backoff=Backoff(0.01, 0.2))

ENGINE = """
import sys
from ltm_live import Backoff, Client, Retry
url, id, steps, epoch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
retry = Retry(tries=1000, backoff=Backoff(0.01, 0.2))
with Client(url, producer="engine", epoch=epoch, retry=retry) as client:
    ltm = client.ltm(id)
    while (n := ltm.state()["state"]["n"]) < steps:
        patch = [{"op": "test", "path": "/n", "value": n}, {"op": "replace", "path": "/n", "value": n + 1}]
        ltm.append("execute", patch=patch, item={"label": f"step {n + 1}"}, idempotency_key=f"step {n + 1}")
"""


@pytest.fixture
def redis() -> Iterator[str]:
    """A Redis that survives its services."""
    folder = Path(tempfile.mkdtemp(prefix="ltm-redis-"))
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--save", ""]
    process = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def test_each_step_lands_once_while_engine_api_and_gateway_are_killed(redis: str) -> None:
    chance = random.Random(int(os.environ.get("LTM_TEST_SEED", "1")))
    settings = {"LTM__REDIS__URL": redis}
    with Server(settings) as api, Server(settings) as gateway, Client(api.url, retry=PATIENT) as client:
        ltm = client.create("app.Agent", state={"n": 0})
        views: list[View] = []
        follower = Client(gateway.url).follow(ltm.id, backoff=Backoff(0.01, 0.2))
        reader = threading.Thread(target=lambda: views.extend(follower), daemon=True)
        reader.start()
        engine = Engine(api.url, ltm.id)
        while engine.runs():
            seen = len(views)
            until(lambda seen=seen: len(views) > seen + 5 or not engine.runs())  # type: ignore[misc]
            victim = chance.choice(["api", "gateway", "engine"])
            if victim == "engine":
                engine.replace()
            else:
                server = api if victim == "api" else gateway
                server.kill()
                server.start()
        until(lambda: views and views[-1].state == {"n": STEPS})
        follower.close()
        reader.join(30)
        labels = [step["item"]["label"] for step in ltm.history(1)]
    assert labels == [f"step {n + 1}" for n in range(STEPS)]
    assert [view.index for view in views] == list(range(STEPS + 1))


class Engine:
    """An engine in a process of its own. A later one has a higher epoch."""

    def __init__(self, url: str, ltm: int) -> None:
        self.url, self.ltm, self.epoch = url, ltm, 0
        self.start()

    def start(self) -> None:
        self.epoch += 1
        args = [self.url, str(self.ltm), str(STEPS), str(self.epoch)]
        self.process = subprocess.Popen([sys.executable, "-c", ENGINE, *args])

    def runs(self) -> bool:
        code = self.process.poll()
        assert code in (None, 0)
        return code is None

    def replace(self) -> None:
        if self.runs():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.start()
