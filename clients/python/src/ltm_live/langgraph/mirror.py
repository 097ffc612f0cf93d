"""Threads of LangGraph as LTMs: each superstep is a step, a fork goes back by a rollback."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._sync.client import Client
from ..hooks.mirrored import Mirrored
from ..problems import DeletedLtm, LtmError
from .checkpoints import interrupt_of, is_pending, item_of, node_of, nodes_run, visible

_log = logging.getLogger("ltm_live")

#: Where the state keeps the id of the checkpoint that it is as of.
_CHECKPOINT = "_checkpoint"
_INTERRUPTS = "_interrupts"
#: How many checkpoints of a thread are kept in memory; older ones are looked up in its history.
_INDICES = 10_000
#: How many threads are kept in memory.
_THREADS = 1000


class Mirror:
    """Writes what the threads of a graph do to LTMs."""

    def __init__(self, client: Client, fqn: str, structure: Callable[[], Any], strict: bool) -> None:
        self._client, self._fqn, self._structure, self._strict = client, fqn, structure, strict
        self._threads: OrderedDict[str, Thread] = OrderedDict()
        self._lock = threading.Lock()

    def thread(self, name: str) -> Thread:
        """The LTM of a thread."""
        with self._lock:
            if name not in self._threads:
                self._threads[name] = Thread(self._client, self._fqn, name, self._structure)
            self._threads.move_to_end(name)
            while len(self._threads) > _THREADS:
                # It is read again if it goes on.
                self._threads.popitem(last=False)
            return self._threads[name]

    def knows(self, name: str, parent: str | None) -> bool:
        """Whether it is known which nodes had run at a checkpoint."""
        thread = self.thread(name)
        with thread.lock:
            return parent is None or thread.seen_at == parent

    def checkpoint(
        self,
        name: str,
        parent: str | None,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        seen: Mapping[str, Any] | None,
    ) -> None:
        """A checkpoint was stored. `seen` is what nodes had seen at its parent, unless that is known."""
        self.attempt(name, lambda thread: thread.checkpoint(parent, checkpoint, metadata, seen))

    def writes(self, name: str, checkpoint: str, writes: Iterable[tuple[str, Any]], task_path: str) -> None:
        """A task has written."""
        self.attempt(name, lambda thread: thread.writes(checkpoint, writes, task_path))

    def delete(self, name: str) -> None:
        """A thread was deleted."""
        self.attempt(name, lambda thread: thread.delete())
        with self._lock:
            self._threads.pop(name, None)

    def attempt(self, name: str, act: Callable[[Thread], None]) -> None:
        """Does something with the LTM of a thread. A failure is logged, unless the mirror is strict."""
        thread = self.thread(name)
        with thread.lock:
            try:
                act(thread)
            except LtmError as error:
                # The next step brings the LTM up to date.
                thread.forget()
                if self._strict:
                    raise
                _log.error("a step of LangGraph is not in its LTM", extra={"thread_id": name, "error": str(error)})


class Thread(Mirrored):
    """The LTM of one thread. Its caller holds the lock."""

    def __init__(self, client: Client, fqn: str, name: str, structure: Callable[[], Any]) -> None:
        super().__init__(client, fqn, name, params={"thread_id": name}, structure=structure)
        #: The checkpoint of each snapshot, as far as this process has seen them.
        self._indices: dict[str, int] = {}
        #: What the nodes had seen at the latest checkpoint.
        self._seen: Mapping[str, Any] = {}
        self.seen_at: str | None = None
        #: What tasks wrote before their checkpoint arrived.
        self._early: dict[str, list[tuple[str, Any, str | None]]] = {}
        self._pushed: dict[str, set[str]] = {}

    def checkpoint(
        self,
        parent: str | None,
        checkpoint: Mapping[str, Any],
        metadata: Mapping[str, Any],
        seen: Mapping[str, Any] | None,
    ) -> None:
        """Appends the step that led to a checkpoint."""
        id, source = str(checkpoint["id"]), str(metadata.get("source", "loop"))
        if parent is not None and parent != self.known().get(_CHECKPOINT):
            self._go_back(parent)
        nodes = self._pushed.pop(parent or "", set())
        if source == "loop":
            nodes |= set(nodes_run(self._seen if seen is None else seen, checkpoint["versions_seen"]))
        self._seen, self.seen_at = checkpoint["versions_seen"], id
        payload = {"checkpoint_id": id, "step": metadata.get("step"), "source": source}
        values = checkpoint["channel_values"]
        status = "active" if is_pending(values) else "finished"
        reason = "execute" if source == "loop" else source
        after = {**visible(values), "_status": status, _CHECKPOINT: id}
        self._indices[id] = self.advance(reason, after, item_of(self._fqn, nodes, payload), f"checkpoint:{id}")
        if len(self._indices) > _INDICES:
            del self._indices[next(iter(self._indices))]
        for channel, value, node in self._early.pop(id, ()):
            self._apply(channel, value, node)

    def writes(self, checkpoint: str, writes: Iterable[tuple[str, Any]], task_path: str) -> None:
        """Notes which node ran; shows interrupts and errors at once."""
        node = node_of(task_path)
        if node is not None:
            self._pushed.setdefault(checkpoint, set()).add(node)
        for channel, value in writes:
            if channel not in ("__interrupt__", "__error__"):
                continue
            if self._is_known and self._state.get(_CHECKPOINT) == checkpoint:
                self._apply(channel, value, node)
            else:
                self._early.setdefault(checkpoint, []).append((channel, value, node))

    def delete(self) -> None:
        """Deletes the LTM."""
        try:
            self.ltm.delete()
        except DeletedLtm:
            pass

    def interrupted(self, interrupts: Iterable[Any], nodes: Iterable[str]) -> None:
        """Shows what the graph waits for."""
        state = self.known()
        shown = [interrupt_of(interrupt) for interrupt in interrupts]
        before = [old for old in state.get(_INTERRUPTS, []) if old["id"] not in [new["id"] for new in shown]]
        after = {**state, "_status": "interrupted", _INTERRUPTS: [*before, *shown]}
        self.advance("interrupt", after, item_of(self._fqn, nodes, {}))

    def _apply(self, channel: str, value: Any, node: str | None) -> None:
        nodes = [] if node is None else [node]
        if channel == "__interrupt__":
            self.interrupted(value if isinstance(value, (tuple, list)) else [value], nodes)
        else:
            self.failed(value, item_of(self._fqn, nodes, {}))

    def _go_back(self, parent: str) -> None:
        """Goes back to the step of a checkpoint, from which the graph goes on."""
        index = self._indices.get(parent)
        if index is None or self._checkpoint_at(index) != parent:
            found = {self._id_in(step["item"]): at for at, step in enumerate(self.ltm.history())}
            index = found.get(parent)
        if index is None:
            # A rollback has removed this step, or it was never recorded: the difference leads there, too.
            return
        self.ltm.rollback(index)
        self.forget()

    def _checkpoint_at(self, index: int) -> str | None:
        page = self.ltm.snapshots(index, limit=1)["snapshots"]
        return self._id_in(page[0]["item"]) if page else None

    @staticmethod
    def _id_in(item: Any) -> str | None:
        payload = item.get("payload") if isinstance(item, dict) else None
        return payload.get("checkpoint_id") if isinstance(payload, dict) else None
