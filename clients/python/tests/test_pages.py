"""The pages say what is so: each program on them is run, and prints what the page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ltm_live.testing import Server

ROOT = Path(__file__).parents[3]
PAGES = ["clients/python/README.md", "docs/guide-python.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def programs(page: str) -> list[tuple[str, str, str | None]]:
    """The name, the text and the output of each program on a page."""
    blocks = BLOCK.findall((ROOT / page).read_text())
    found = []
    for index, (language, text) in enumerate(blocks):
        if language != "python":
            continue
        name = re.match(r"# (?:try/)?(\w+\.py)\n", text)
        assert name is not None, text
        shown = next((after for kind, after in blocks[index + 1 : index + 3] if kind != "console"), None)
        is_output = shown is not None and any(kind == "text" for kind, _ in blocks[index + 1 : index + 3])
        found.append((name[1], text, shown if is_output else None))
    return found


CASES = [(page, *program) for page in PAGES for program in programs(page) if program[2] is not None]


@pytest.fixture(scope="module")
def server() -> Server:  # type: ignore[misc]
    with Server() as server:
        yield server


@pytest.mark.parametrize(("page", "name", "text", "shown"), CASES, ids=lambda value: str(value)[:24])
def test_a_program_prints_what_its_page_shows(
    server: Server, tmp_path: Path, page: str, name: str, text: str, shown: str
) -> None:
    (tmp_path / name).write_text(text.replace("http://localhost:8000", server.url))
    assert run(tmp_path, name) == shown


def test_every_program_with_an_output_is_run() -> None:
    without = [name for page in PAGES for name, _, shown in programs(page) if shown is None]
    assert without == ["conftest.py", "test_agent.py"]
    assert len(CASES) >= 9


def test_the_fixtures_work_as_the_guide_says(tmp_path: Path) -> None:
    for name, text, shown in programs("docs/guide-python.md"):
        if shown is None:
            (tmp_path / name).write_text(text)
    assert "1 passed" in run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_agent.py")


def test_the_example_of_an_agent_has_25_lines_and_is_recorded(server: Server, tmp_path: Path) -> None:
    example = (ROOT / "examples" / "python" / "agent.py").read_text()
    code = [line for line in example.splitlines() if line and not line.lstrip().startswith('"""')]
    assert len(code) <= 25
    (tmp_path / "agent.py").write_text(example.replace("Client()", f"Client({server.url!r})"))
    assert run(tmp_path, "agent.py") == "Berries, roots and fish.\n"


def run(folder: Path, *args: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        [sys.executable, *args], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr + result.stdout
    assert shutil.which("redis-server")
    return result.stdout
