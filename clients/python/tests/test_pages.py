"""The pages say what is so: each program on them is run, and prints what the page shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Program, programs, run
from repository import ROOT

from ltm_live.testing import Server

PAGES = ["clients/python/README.md", "docs/guide-python.md", "docs/guide-python-hooks.md"]
#: Those in `hooks` need the frameworks of `test.sh hooks`, which runs them.
PROGRAMS = [program for page in PAGES for program in programs(page) if not program.name.startswith("hooks/")]
CASES = [program for program in PROGRAMS if program.shown is not None]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.mark.parametrize("program", CASES, ids=lambda program: f"{Path(program.page).stem}-{program.name}")
def test_a_program_prints_what_its_page_shows(server: Server, tmp_path: Path, program: Program) -> None:
    assert program.prints(server.url, tmp_path) == program.shown


def test_every_program_with_an_output_is_run() -> None:
    without = [program.name for program in PROGRAMS if program.shown is None]
    assert without == ["conftest.py", "test_agent.py"]
    assert len(CASES) >= 10


def test_the_fixtures_work_as_the_guide_says(tmp_path: Path) -> None:
    for program in PROGRAMS:
        if program.shown is None:
            (tmp_path / program.name).write_text(program.text)
    assert "1 passed" in run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_agent.py")


def test_the_example_of_an_agent_has_25_lines_and_is_recorded(server: Server, tmp_path: Path) -> None:
    example = (ROOT / "examples" / "python" / "agent.py").read_text()
    code = [line for line in example.splitlines() if line and not line.lstrip().startswith('"""')]
    assert len(code) <= 25
    (tmp_path / "agent.py").write_text(example.replace("Client()", f"Client({server.url!r})"))
    assert run(tmp_path, "agent.py") == "Berries, roots and fish.\n"
