"""The programs on the pages, and what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from repository import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Program:
    """A program on a page."""

    page: str
    #: Such as `agent.py`, or `hooks/agent.py` if it needs another framework than LangGraph.
    name: str
    text: str
    #: What the page shows as its output.
    shown: str | None

    def prints(self, url: str, folder: Path) -> str:
        """Runs the program with these services, and returns what it printed."""
        (folder / "program.py").write_text(self.text.replace("http://localhost:8000", url))
        return run(folder, "program.py")


def programs(page: str) -> list[Program]:
    """The programs on a page."""
    blocks = _BLOCK.findall((ROOT / page).read_text())
    found = []
    for index, (language, text) in enumerate(blocks):
        if language != "python":
            continue
        name = re.match(r"# (?:try/)?([\w/]+\.py)\n", text)
        assert name is not None, text
        after = blocks[index + 1 : index + 3]
        shown = next((text for kind, text in after if kind != "console"), None)
        is_output = any(kind == "text" for kind, _ in after)
        found.append(Program(page, name[1], text, shown if is_output else None))
    return found


def run(folder: Path, *args: str) -> str:
    """Runs Python in a folder."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        [sys.executable, *args], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=110
    )
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout
