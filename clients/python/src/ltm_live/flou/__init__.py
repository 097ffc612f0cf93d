"""Flou: its engines write each step to ltm-live, without a change of Flou's files.

    ENGINE__ENGINE=ltm_live.flou.CeleryEngine      # or ltm_live.flou.DummyEngine, the engine that runs steps in line
    LTM_URL=http://localhost:8080
    LTM_TOKEN=…                                    # if the services ask for one

Each LTM of Flou is an LTM of the same class; its key is Flou's id, and so is its id, if that is free. After each step
the engine appends to it what Flou's database has and ltm-live has not: steps, rollbacks and errors, each once, in the
order of the database. If the services do not answer, Flou goes on, and the next step of the LTM brings it up to date.
`python -m ltm_live.flou` does so for all LTMs of the database.

It needs PostgreSQL, as Flou's task queue does.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CeleryEngine", "DummyEngine"]


def __getattr__(name: str) -> Any:
    # Flou's engine with the task queue makes a Celery app when it is imported.
    if name == "CeleryEngine":
        from .queue import CeleryEngine

        return CeleryEngine
    if name == "DummyEngine":
        from .inline import DummyEngine

        return DummyEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
