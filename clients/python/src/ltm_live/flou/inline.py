"""Flou's engine that runs steps in line, within the call of its API."""

from __future__ import annotations

from typing import Any

from flou.engine.dummy import DummyEngine as FlouEngine

from .mirror import mirror


class DummyEngine(FlouEngine):  # type: ignore[misc]
    """Runs steps as Flou does, and writes each to ltm-live."""

    def __init__(self, conf: Any) -> None:
        super().__init__(conf)
        mirror().attach()

    def consume_queues(self, ltm: Any) -> None:
        """Writes the step before those that follow it run."""
        mirror().sync(ltm.root.id)
        super().consume_queues(ltm)
