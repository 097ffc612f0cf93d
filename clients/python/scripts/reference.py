"""Writes the API reference, from the docstrings.

python scripts/reference.py FOLDER
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pdoc  # type: ignore[import-untyped, unused-ignore]

MODULES = [
    "ltm_live",
    "ltm_live.langgraph",
    "ltm_live.testing",
    "ltm_live.hooks",
    "ltm_live.hooks.functions",
    "ltm_live.hooks.pydantic_ai",
    "ltm_live.hooks.openai_agents",
    "ltm_live.hooks.google_adk",
    "ltm_live.hooks.celery",
]
#: What the hooks import. If it is not installed, empty classes take its place.
FRAMEWORKS = [
    "agents",
    "celery",
    "google.adk.events.event",
    "google.adk.plugins.base_plugin",
    "google.adk.sessions.base_session_service",
    "google.adk.sessions.session",
    "pydantic_ai.capabilities",
]


class Absent(types.ModuleType):
    """A framework that is not installed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        # Generic classes are subscripted.
        return type(name, (), {"__class_getitem__": classmethod(lambda cls, _: cls), "__module__": self.__name__})


def stand_in(framework: str) -> None:
    try:
        importlib.import_module(framework)
    except ModuleNotFoundError:
        parts = framework.split(".")
        for end in range(1, len(parts) + 1):
            name = ".".join(parts[:end])
            sys.modules.setdefault(name, Absent(name))


def main() -> int:
    for framework in FRAMEWORKS:
        stand_in(framework)
    folder = Path(sys.argv[1])
    pdoc.render.configure(docformat="markdown")
    pdoc.pdoc(*MODULES, output_directory=folder)
    missing = [name for name in MODULES if not (folder / f"{name.replace('.', '/')}.html").exists()]
    assert missing == [], missing
    print(f"the reference is at {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
