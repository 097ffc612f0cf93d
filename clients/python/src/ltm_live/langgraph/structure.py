"""The picture of a graph: its nodes and edges as the `structure` of an LTM (`docs/formats.md`)."""

from __future__ import annotations

from typing import Any

_START, _END = "__start__", "__end__"


def structure_of(graph: Any, fqn: str) -> dict[str, Any]:
    """The structure of a compiled graph, or of a builder that can be compiled."""
    drawn = (graph if hasattr(graph, "get_graph") else graph.compile()).get_graph()
    edges = [edge for edge in drawn.edges if edge.target != _END]
    return {
        "name": fqn.rpartition(".")[2],
        "fqn": fqn,
        "init": [edge.target for edge in edges if edge.source == _START],
        "ltms": [{"name": name, "fqn": f"{fqn}.{name}"} for name in drawn.nodes if name not in (_START, _END)],
        "transitions": [
            {
                "from": edge.source,
                "to": edge.target,
                "label": str(edge.data or edge.target),
                "namespace": fqn,
            }
            for edge in edges
            if edge.source != _START
        ],
    }


def delta_channels(graph: Any) -> list[str]:
    """The channels of a graph whose values are not in its checkpoints, only what was written to them."""
    channels = getattr(graph, "channels", None) or {}
    return sorted(name for name, channel in channels.items() if type(channel).__name__ == "DeltaChannel")


def name_of(graph: Any) -> str | None:
    """The name of a graph, if it has one of its own."""
    name = getattr(graph, "name", None)
    return name if isinstance(name, str) and name not in ("", "LangGraph") else None
