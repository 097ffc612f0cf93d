"""The FastAPI example: its page follows an agent with tickets, and never gets a token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from conftest import until
from repository import ROOT

from ltm_live import apply_patch
from ltm_live.testing import Server, found_program, free_port

EXAMPLE = ROOT / "examples" / "fastapi"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app, with services that ask for credentials."""
    folder = tmp_path_factory.mktemp("fastapi")
    made = {access: key(access) for access in ("write", "read")}
    (folder / "keys.toml").write_text("\n".join(entry for _, entry in made.values()))
    port = free_port()
    settings = {"LTM__AUTH__MODE": "required", "LTM__AUTH__API_KEYS_FILE": str(folder / "keys.toml")}
    with Server(settings) as server:
        environment = {"LTM_URL": server.url, "LTM_TOKEN": made["write"][0], "LTM_READ_TOKEN": made["read"][0]}
        command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "error"]
        process = subprocess.Popen(command, cwd=EXAMPLE, env={**os.environ, **environment})
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: answers(url))
            yield url
        finally:
            process.terminate()
            process.wait(30)


def key(access: str) -> tuple[str, str]:
    """A new key, and its entry in the file of the services."""
    command = [found_program(), "key", f"app-{access}", "--ltm", "app.*", "--can", access]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return lines[0], "\n".join(lines[1:])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def post(url: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, b"", method="POST"), timeout=30) as response:
        return json.load(response)


async def test_a_page_follows_an_agent_with_a_ticket_that_works_once(app: str) -> None:
    ltm = post(f"{app}/agents")["ltm"]
    socket = post(f"{app}/agents/{ltm}/socket")["url"]
    states: list[Any] = []
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{socket}&init=state") as following:
            async for message in following:
                told = json.loads(message.data)
                if "reset" in told:
                    states.append(told["reset"]["state"])
                elif "snapshot" in told:
                    states.append(apply_patch(states[-1], told["snapshot"]["patch"]))
                if states and states[-1]["_status"] == "finished":
                    break
        assert states[-1] == {"todo": [], "done": ["plan", "search", "write"], "_status": "finished"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{socket}&init=state")
        assert refused.value.status == 401


def test_the_app_serves_its_page_and_the_script(app: str) -> None:
    for path, words in (("", "applyPatch"), ("ltm-live.min.js", "export")):
        with urllib.request.urlopen(f"{app}/{path}", timeout=30) as response:
            assert words in response.read().decode()
