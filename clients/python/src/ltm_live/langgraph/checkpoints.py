"""What a checkpoint of LangGraph says: the values of the graph, the nodes that ran, and what is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_TASKS = "__pregel_tasks"


def visible(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the graph, without the channels by which LangGraph controls it.

    Of a `DeltaChannel` only some checkpoints have the value, so none is shown.
    """
    return {
        name: value
        for name, value in values.items()
        if not _is_control(name) and type(value).__name__ != "_DeltaSnapshot"
    }


def is_pending(values: Mapping[str, Any]) -> bool:
    """Whether a node is left to run."""
    for name, value in values.items():
        if name.startswith("branch:to:") or name == "__start__" or (name == _TASKS and value):
            return True
        if name.startswith("join:"):
            sources = name.removeprefix("join:").rpartition(":")[0].split("+")
            if set(sources) <= set(value or ()):
                return True
    return False


def nodes_run(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The nodes that ran between two checkpoints, from their `versions_seen`."""
    return [name for name, seen in after.items() if not name.startswith("__") and seen != before.get(name)]


def node_of(task_path: str) -> str | None:
    """The node of a task, from its path, such as `~__pregel_pull, plan`."""
    name = task_path.rpartition(", ")[2]
    known = task_path.startswith("~__pregel_pull, ") and not name.startswith("__")
    return name if known else None


def item_of(fqn: str, nodes: Iterable[str], payload: Mapping[str, Any]) -> dict[str, Any]:
    """The item of a step: the node that ran, or all of them."""
    names = sorted(set(nodes))
    if len(names) == 1:
        return {"fqn": f"{fqn}.{names[0]}", "payload": payload}
    if names:
        return {"label": ", ".join(names), "nodes": [f"{fqn}.{name}" for name in names], "payload": payload}
    return {"payload": payload}


def interrupt_of(interrupt: Any) -> dict[str, Any]:
    """An interrupt, as the state shows it."""
    return {"id": getattr(interrupt, "id", None), "value": getattr(interrupt, "value", interrupt)}


def _is_control(name: str) -> bool:
    return name.startswith(("branch:", "join:", "__"))
