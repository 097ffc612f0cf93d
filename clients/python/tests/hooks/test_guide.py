"""The guide of the hooks says what is so: each program on it is run, and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import Program, programs

from ltm_live.testing import Server

CASES = [program for program in programs("docs/guide-python-hooks.md") if program.name.startswith("hooks/")]


def test_each_framework_has_a_program() -> None:
    assert [program.name for program in CASES] == [
        "hooks/bears.py",
        "hooks/finder.py",
        "hooks/session.py",
        "hooks/tasks.py",
    ]


@pytest.mark.parametrize("program", CASES, ids=lambda program: program.name)
def test_a_program_prints_what_its_page_shows(ltm_server: Server, tmp_path: Path, program: Program) -> None:
    assert program.prints(ltm_server.url, tmp_path) == program.shown
