"""Flou's engine with the task queue."""

from __future__ import annotations

from typing import Any

from flou.engine.celery import CeleryEngine as FlouEngine

from .mirror import mirror


class CeleryEngine(FlouEngine):  # type: ignore[misc]
    """Queues steps as Flou does, and writes each to ltm-live."""

    def __init__(self, conf: Any) -> None:
        super().__init__(conf)
        mirror().attach()

    def consume_queues(self, ltm: Any) -> None:
        """Writes the step before those that follow it can run."""
        mirror().sync(ltm.root.id)
        super().consume_queues(ltm)
