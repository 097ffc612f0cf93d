"""A checkpointer that keeps the state of an LTM equal to the state of its graph."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from .._sync.client import Client
from .._sync.ltm import Ltm
from .mirror import Mirror
from .structure import delta_channels, name_of, structure_of


class LtmSaver(BaseCheckpointSaver[Any]):
    """Wraps a checkpointer. After each superstep the state of an LTM equals the values of the graph.

    - Each thread is one LTM, of the class `fqn`, with the thread id as its key.
    - A superstep is a step: `item` names the nodes that ran. A step from an earlier checkpoint first goes back by a
      rollback.
    - `_status` is `active`, `finished`, `error`, or `interrupted`; then `_interrupts` says what the graph waits for.
    - `graph` (compiled, or its builder) is drawn by the inspector. You may also set it later, before the first step.
    - A graph with a `DeltaChannel` is refused, because its checkpoints do not have the values: use `record`. If the
      saver does not know its graph, such channels are left out.
    - With `strict`, a step that cannot be written fails the graph. Else the failure is logged, and the next step brings
      the LTM up to date.
    """

    def __init__(
        self,
        inner: BaseCheckpointSaver[Any],
        client: Client,
        *,
        fqn: str | None = None,
        graph: Any = None,
        strict: bool = False,
    ) -> None:
        super().__init__(serde=inner.serde)
        if names := delta_channels(graph):
            raise ValueError(
                f"{', '.join(names)}: the checkpoints do not have the values of a DeltaChannel. "
                "Use record(graph, client), which takes them from the graph"
            )
        self.inner = inner
        self.graph = graph
        self._fqn = fqn or f"langgraph.{name_of(graph) or 'Graph'}"
        self._mirror = Mirror(client, self._fqn, self._structure, strict)

    def ltm(self, thread_id: str) -> Ltm:
        """The LTM of a thread."""
        thread = self._mirror.thread(thread_id)
        with thread.lock:
            return thread.ltm

    def _structure(self) -> Any:
        return None if self.graph is None else structure_of(self.graph, self._fqn)

    @property
    def config_specs(self) -> list[Any]:
        """The configuration of the wrapped checkpointer."""
        return self.inner.config_specs

    def get_next_version(self, current: Any, channel: None) -> Any:
        """The next version of a channel, by the wrapped checkpointer."""
        return self.inner.get_next_version(current, channel)

    def with_allowlist(self, extra_allowlist: Any) -> Any:
        """Allows more classes to be read, in the wrapped checkpointer."""
        copied: Any = super().with_allowlist(extra_allowlist)
        if copied is not self:
            copied.inner = self.inner.with_allowlist(extra_allowlist)
        return copied

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Reads a checkpoint."""
        return self.inner.get_tuple(config)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Reads a checkpoint."""
        return await self.inner.aget_tuple(config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Lists checkpoints."""
        return self.inner.list(config, filter=filter, before=before, limit=limit)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Lists checkpoints."""
        async for found in self.inner.alist(config, filter=filter, before=before, limit=limit):
            yield found

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Stores a checkpoint, and appends its step."""
        stored = self.inner.put(config, checkpoint, metadata, new_versions)
        if thread := _thread_of(config):
            parent = _checkpoint_of(config)
            seen = None if self._mirror.knows(thread, parent) else _seen_in(self.inner.get_tuple(config))
            self._mirror.checkpoint(thread, parent, checkpoint, metadata, seen)
        return stored

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Stores a checkpoint, and appends its step."""
        stored = await self.inner.aput(config, checkpoint, metadata, new_versions)
        if thread := _thread_of(config):
            parent = _checkpoint_of(config)
            is_known = await asyncio.to_thread(self._mirror.knows, thread, parent)
            seen = None if is_known else _seen_in(await self.inner.aget_tuple(config))
            await asyncio.to_thread(self._mirror.checkpoint, thread, parent, checkpoint, metadata, seen)
        return stored

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Stores what a task wrote; shows interrupts and errors."""
        self.inner.put_writes(config, writes, task_id, task_path)
        if thread := _thread_of(config):
            self._mirror.writes(thread, _checkpoint_of(config) or "", writes, task_path)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Stores what a task wrote; shows interrupts and errors."""
        await self.inner.aput_writes(config, writes, task_id, task_path)
        if thread := _thread_of(config):
            await asyncio.to_thread(self._mirror.writes, thread, _checkpoint_of(config) or "", writes, task_path)

    def delete_thread(self, thread_id: str) -> None:
        """Deletes a thread and its LTM."""
        self.inner.delete_thread(thread_id)
        self._mirror.delete(thread_id)

    async def adelete_thread(self, thread_id: str) -> None:
        """Deletes a thread and its LTM."""
        await self.inner.adelete_thread(thread_id)
        await asyncio.to_thread(self._mirror.delete, thread_id)

    def get_delta_channel_history(self, **arguments: Any) -> Any:
        """Reads the history of a delta channel, from the wrapped checkpointer."""
        return self.inner.get_delta_channel_history(**arguments)

    async def aget_delta_channel_history(self, **arguments: Any) -> Any:
        """Reads the history of a delta channel, from the wrapped checkpointer."""
        return await self.inner.aget_delta_channel_history(**arguments)


def _thread_of(config: RunnableConfig) -> str | None:
    """The thread of a checkpoint; None for the steps within a subgraph, which are no steps of the graph."""
    configurable = config.get("configurable", {})
    return None if configurable.get("checkpoint_ns") else str(configurable["thread_id"])


def _checkpoint_of(config: RunnableConfig) -> str | None:
    """The checkpoint that a configuration names."""
    return config.get("configurable", {}).get("checkpoint_id")


def _seen_in(found: CheckpointTuple | None) -> Mapping[str, Any]:
    """What the nodes had seen at a checkpoint."""
    return {} if found is None else found.checkpoint["versions_seen"]
