"""What Flou needs: PostgreSQL, Redis, its API, and workers if its engine has a task queue."""

from __future__ import annotations

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from conftest import until
from typing_extensions import Self

from ltm_live.testing import Server, free_port

PROJECT = Path(__file__).parent / "project"
TABLES = """
from sqlalchemy import create_engine
from flou.conf import settings
from flou.database.models import Base
import flou.engine.models, flou.experiments.models, flou.ltm.models
Base.metadata.create_all(create_engine(settings.database.url))
"""


class Flou:
    """A running Flou with one of the engines of `ltm_live.flou`."""

    def __init__(self, engine: str, server: Server) -> None:
        self.engine, self.server = engine, server
        self.folder = Path(tempfile.mkdtemp(prefix="flou-"))
        self.folder.chmod(0o777)
        self.port, self.postgres, self.redis = free_port(), free_port(), free_port()
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "DATABASE__HOST": "127.0.0.1",
            "DATABASE__PORT": str(self.postgres),
            "ENGINE__BROKER_URL": f"redis://127.0.0.1:{self.redis}/0",
            "ENGINE__ENGINE": f"ltm_live.flou.{engine}",
            "REDIS__HOST": "127.0.0.1",
            "REDIS__PORT": str(self.redis),
            "LTM_URL": server.url,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> Self:
        """Starts all of it."""
        self._start_postgres()
        self.run("redis", "redis-server", "--port", str(self.redis), "--save", "", "--dir", str(self.folder))
        self.python("-c", TABLES)
        if self.engine == "CeleryEngine":
            self.start_worker()
        self.start_api()
        return self

    def start_api(self) -> None:
        """Starts Flou's API."""
        uvicorn = ["-m", "uvicorn", "flou.api.main:app", "--port", str(self.port), "--log-level", "warning"]
        self.run("api", sys.executable, *uvicorn)
        until(self._answers)

    def start_worker(self) -> None:
        """Starts four workers."""
        celery = ["-m", "celery", "-A", "flou.engine.celery.app", "worker", "-c", "4", "-l", "warning"]
        self.run("worker", sys.executable, *celery)

    def stop(self) -> None:
        """Ends all of it."""
        for name in reversed(list(self.processes)):
            self.end(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends a process and what it started."""
        process = self.processes.pop(name)
        # PostgreSQL waits for its clients, unless it is told not to.
        number = signal.SIGINT if name == "postgres" else number
        try:
            os.killpg(process.pid, number)
            process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            process.kill()

    def run(self, name: str, *command: str) -> None:
        """Starts a process in a group of its own."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=PROJECT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def python(self, *args: str) -> str:
        """Runs Python to its end, and returns what it printed."""
        command = [sys.executable, *args]
        result = subprocess.run(
            command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def call(self, path: str, body: Any = None, wants: int = 200) -> Any:
        """Calls Flou's API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v0/{path}", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code != wants:
                raise
            return None

    def create(self, name: str) -> int:
        """Creates an LTM."""
        id: int = self.call("ltm", {"fqn": f"app.{name}"})["id"]
        return id

    def transition(self, id: int, label: str, payload: Any = None, params: Any = None, wants: int = 200) -> None:
        """Makes a transition of the root."""
        name = self.document(id)["structure"]["fqn"]
        body = {"transition": label, "namespace": name, "payload": payload, "params": params}
        self.call(f"ltm/{id}/transition", body, wants)

    def document(self, id: int) -> Any:
        """Flou's document."""
        return self.call(f"ltm/{id}?rollbacks=true")

    def _answers(self) -> bool:
        assert self.processes["api"].poll() is None, (self.folder / "api.log").read_text()
        try:
            return isinstance(self.call("ltm"), list)
        except OSError:
            return False

    def _start_postgres(self) -> None:
        binaries = Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
        data = self.folder / "postgres"
        # PostgreSQL does not run as root.
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        init = [*user, str(binaries / "initdb"), "--pgdata", str(data), "--username", "postgres", "--auth", "trust"]
        subprocess.run([*init, "--no-sync"], check=True, capture_output=True, cwd="/")
        options = ["-D", str(data), "-p", str(self.postgres), "-k", str(self.folder), "-c", "fsync=off"]
        self.run("postgres", *user, str(binaries / "postgres"), *options, "-c", "listen_addresses=127.0.0.1")
        ready = [str(binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.postgres)]
        until(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0)
