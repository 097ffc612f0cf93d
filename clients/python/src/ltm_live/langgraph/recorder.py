"""Records the runs of a graph whose checkpoints do not have its values, or that has no checkpointer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from .._sync.client import Client
from .._sync.ltm import Ltm
from .checkpoints import item_of
from .mirror import Mirror, Thread
from .saver import LtmSaver
from .structure import delta_channels, name_of, structure_of

_OWN_MODES = ("values", "tasks")


def record(graph: Any, client: Client, *, fqn: str | None = None, strict: bool = False) -> Any:
    """Records a compiled graph: after each superstep, the state of an LTM equals the values of the graph.

    Returns the graph with an `LtmSaver` around its checkpointer. Returns a `Recorder` if it has none, or if it has a
    `DeltaChannel`: its checkpoints do not have the values of such channels.
    """
    inner = graph.checkpointer
    if isinstance(inner, LtmSaver):
        return graph
    if isinstance(inner, BaseCheckpointSaver) and not delta_channels(graph):
        saver = LtmSaver(inner, client, fqn=fqn, graph=graph, strict=strict)
        return graph.copy({"checkpointer": saver})
    return Recorder(graph, client, fqn or f"langgraph.{name_of(graph) or 'Graph'}", strict)


class Recorder:
    """A graph whose runs are recorded. Each run is an LTM, or each `thread_id` of the configuration.

    It has `invoke`, `ainvoke`, `stream` and `astream`; all else is that of the graph. If the run is cancelled, or you
    do not read its stream to the end, `_status` is `cancelled`.
    """

    def __init__(self, graph: Any, client: Client, fqn: str, strict: bool) -> None:
        self._graph, self._fqn = graph, fqn
        self._mirror = Mirror(client, fqn, lambda: structure_of(graph, fqn), strict)
        #: The LTM of the latest run.
        self.ltm: Ltm | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:
        """Runs the graph, and returns its values."""
        values = None
        for part in self.stream(input, config, stream_mode="values", **options):
            values = part
        return values

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:
        """Runs the graph, and returns its values."""
        values = None
        async for part in self.astream(input, config, stream_mode="values", **options):
            values = part
        return values

    def stream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        stream_mode: str | Sequence[str] = "updates",
        **options: Any,
    ) -> Iterator[Any]:
        """Runs the graph, and gives what LangGraph streams in these modes."""
        run = self._run(config)
        modes = _modes(stream_mode)
        try:
            for part in self._graph.stream(input, config, stream_mode=modes, **options):
                self._note(run, part)
                if (asked := _asked(part, stream_mode)) is not None:
                    yield asked[0]
        except Exception as error:
            self._do(run, run.fail, error)
            raise
        except BaseException:
            # Such as `GeneratorExit`: the caller reads no more parts.
            self._do(run, run.cancel)
            raise
        self._do(run, run.finish)

    async def astream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        stream_mode: str | Sequence[str] = "updates",
        **options: Any,
    ) -> AsyncIterator[Any]:
        """Runs the graph, and gives what LangGraph streams in these modes."""
        run = await asyncio.to_thread(self._run, config)
        modes = _modes(stream_mode)
        try:
            async for part in self._graph.astream(input, config, stream_mode=modes, **options):
                await asyncio.to_thread(self._note, run, part)
                if (asked := _asked(part, stream_mode)) is not None:
                    yield asked[0]
        except Exception as error:
            await asyncio.to_thread(self._do, run, run.fail, error)
            raise
        except BaseException:
            # The task was cancelled, or the caller reads no more parts.
            await asyncio.to_thread(self._do, run, run.cancel)
            raise
        await asyncio.to_thread(self._do, run, run.finish)

    def _run(self, config: RunnableConfig | None) -> _Run:
        configurable: Mapping[str, Any] = (config or {}).get("configurable") or {}
        name = str(configurable.get("thread_id") or uuid.uuid4())
        thread = self._mirror.thread(name)
        self._mirror.attempt(name, lambda thread: setattr(self, "ltm", thread.ltm))
        return _Run(name, thread, self._fqn)

    def _note(self, run: _Run, part: Any) -> None:
        # With `subgraphs`, a part begins with its namespace.
        namespace, mode, payload = part if len(part) == 3 else ((), *part)
        if not namespace and mode in _OWN_MODES:
            self._do(run, run.note, mode, payload)

    def _do(self, run: _Run, act: Callable[..., None], *arguments: Any) -> None:
        self._mirror.attempt(run.name, lambda _: act(*arguments))


class _Run:
    """One run."""

    def __init__(self, name: str, thread: Thread, fqn: str) -> None:
        self.name, self._thread, self._fqn = name, thread, fqn
        self._nodes: set[str] = set()
        self._values: dict[str, Any] = {}
        self._step = -1
        self._is_interrupted = False

    def note(self, mode: str, payload: Mapping[str, Any]) -> None:
        """Values are a step; tasks are what led to it."""
        if mode == "tasks":
            self._nodes.add(payload["name"])
            if interrupts := payload.get("interrupts"):
                self._is_interrupted = True
                self._thread.interrupted(interrupts, [payload["name"]])
            return
        values = {name: value for name, value in payload.items() if not name.startswith("__")}
        if not self._is_interrupted:
            self._step += 1
            self._values, nodes, self._nodes = values, self._nodes, set()
            self._advance("execute" if nodes else "input", "active", nodes)

    def finish(self) -> None:
        """The run has ended."""
        if not self._is_interrupted:
            self._advance("finish", "finished", ())

    def cancel(self) -> None:
        """The run does not go on."""
        if not self._is_interrupted:
            self._advance("cancel", "cancelled", self._nodes)

    def fail(self, error: BaseException) -> None:
        """The run has failed."""
        self._thread.failed(error, item_of(self._fqn, self._nodes, {}))

    def _advance(self, reason: str, status: str, nodes: Any) -> None:
        item = item_of(self._fqn, nodes, {"step": self._step})
        self._thread.advance(reason, {**self._values, "_status": status}, item)


def _modes(asked: str | Sequence[str]) -> list[str]:
    modes = [asked] if isinstance(asked, str) else list(asked)
    return [*modes, *(mode for mode in _OWN_MODES if mode not in modes)]


def _asked(part: Any, asked: str | Sequence[str]) -> tuple[Any] | None:
    """What the caller gets of a part; None if it asked for another mode."""
    *namespace, mode, payload = part
    if mode not in ([asked] if isinstance(asked, str) else asked):
        return None
    parts = [*namespace, payload] if isinstance(asked, str) else [*namespace, mode, payload]
    return (parts[0] if len(parts) == 1 else tuple(parts),)
