"""Services for tests: a real `ltm dev`, with a Redis of its own, on a free port.

Load the fixtures in `conftest.py`:

    pytest_plugins = ["ltm_live.testing"]

Then a test that takes `ltm_server` gets a `Server`, one that takes `ltm_client` gets a `Client` of it. `ltm` must be on
the PATH, or `LTM_BIN` must name it, and `redis-server` must be on the PATH.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Self

from ._sync.client import Client

#: The longest time that the services may take to start, in seconds.
_START = 60.0
#: The services are on this machine, which the proxy of the environment does not reach.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Server:
    """A running `ltm dev`. `settings` are environment variables, such as `{"LTM__AUTH__MODE": "required"}`."""

    def __init__(self, settings: Mapping[str, str] | None = None, program: str | None = None) -> None:
        self.program = program or found_program()
        self.settings = dict(settings or {})
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.mkdtemp(prefix="ltm-live-")
        self.data = Path(self._folder) / "data"
        self._log = Path(self._folder) / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Starts the services, and waits until they are ready."""
        command = [self.program, "dev", "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self.data)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, "LTM__LOG__LEVEL": "error", **self.settings}, stdout=log, stderr=log
            )
        end = time.monotonic() + _START
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > end:
                text = self._log.read_text(errors="replace")
                self.stop()
                raise RuntimeError(f"{' '.join(command)} did not start:\n{text}")
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """Ends the services without a word, as `kill -9` does. The data stays."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """Ends the services as a deploy does. The data stays."""
        self._end(signal.SIGTERM)

    def stop(self) -> None:
        """Ends the services, and removes their data."""
        self.terminate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait()

    def _is_ready(self) -> bool:
        try:
            with _direct.open(f"{self.url}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False


def found_program() -> str:
    """Where `ltm` is: `LTM_BIN`, or on the PATH."""
    program = os.environ.get("LTM_BIN") or shutil.which("ltm")
    if program is None:
        raise FileNotFoundError("`ltm` is not on the PATH. Install it, or name it in the environment variable LTM_BIN")
    return program


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: Any = listener.getsockname()[1]
        return int(port)


@pytest.fixture(scope="session")
def ltm_server() -> Iterator[Server]:
    """The services, for all tests of the session."""
    with Server() as server:
        yield server


@pytest.fixture
def ltm_client(ltm_server: Server) -> Iterator[Client]:
    """A client of the services."""
    with Client(ltm_server.url) as client:
        yield client
