"""Pydantic AI: each run of an agent is an LTM.

    agent = Agent(model, capabilities=[LtmCapability(client)])

After each node of the run the state has its `messages`, its `usage` and its `step`; in the end also its `output`.
`_status` is `active`, `finished`, `error` or `cancelled`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic_ai import ModelMessagesTypeAdapter, RunContext
from pydantic_ai.capabilities import AbstractCapability

from .._sync.client import Client
from .._sync.ltm import Ltm
from .recording import Recording

_NODES = ("UserPromptNode", "ModelRequestNode", "CallToolsNode")
_EDGES = ((0, 1), (1, 2), (2, 1))


class LtmCapability(AbstractCapability[Any]):
    """Records the runs of an agent.

    - `fqn`: the class of the LTMs. Default: `pydantic_ai.` and the name of the agent.
    - `key`: gets the context of a run, and returns the key of its LTM. Default: the id of the run. To keep a
      conversation in one LTM: `key=lambda context: context.conversation_id`.
    """

    def __init__(
        self,
        client: Client,
        *,
        fqn: str | None = None,
        key: Callable[[RunContext[Any]], str | None] | None = None,
        strict: bool = False,
    ) -> None:
        self._client, self._fqn, self._key, self._strict = client, fqn, key, strict
        self._recording: Recording | None = None
        self._latest: Recording | None = None

    @property
    def ltm(self) -> Ltm | None:
        """The LTM of the latest run."""
        return None if self._latest is None else self._latest.ltm

    async def for_run(self, ctx: RunContext[Any]) -> LtmCapability:
        """A capability of one run."""
        name = (ctx.agent.name if ctx.agent else None) or "Agent"
        fqn = self._fqn or f"pydantic_ai.{name}"
        own = LtmCapability(self._client, fqn=fqn, key=self._key, strict=self._strict)
        key = self._key(ctx) if self._key else ctx.run_id
        own._recording = Recording(self._client, fqn, key, structure=lambda: _structure(fqn), strict=self._strict)
        self._latest = own._recording
        return own

    async def wrap_run(self, ctx: RunContext[Any], *, handler: Any) -> Any:
        """Records the begin and the end of a run."""
        run = self._run
        await run.achange("begin", {"_status": "active", "messages": _messages(ctx), "step": 0}, run.item("run"))
        try:
            result = await handler()
        except asyncio.CancelledError:
            await run.achange("cancel", {"_status": "cancelled"}, run.item("run"))
            raise
        except Exception as error:
            await run.afail(error, run.item("run"))
            raise
        output = run.members({"output": result.output})
        messages = ModelMessagesTypeAdapter.dump_python(result.all_messages(), mode="json")
        await run.achange("finish", {"_status": "finished", "messages": messages, **output}, run.item("run"))
        return result

    async def after_node_run(self, ctx: RunContext[Any], *, node: Any, result: Any) -> Any:
        """Records a node."""
        members = {"messages": _messages(ctx), "usage": ctx.usage, "step": ctx.run_step}
        await self._run.achange("execute", members, self._run.item(type(node).__name__))
        return result

    @property
    def _run(self) -> Recording:
        if self._recording is None:
            raise RuntimeError("no run of an agent has begun")
        return self._recording


def _messages(ctx: RunContext[Any]) -> Any:
    return ModelMessagesTypeAdapter.dump_python(ctx.messages, mode="json")


def _structure(fqn: str) -> dict[str, Any]:
    edges = [(_NODES[before], _NODES[after]) for before, after in _EDGES]
    return {
        "name": fqn.rpartition(".")[2],
        "fqn": fqn,
        "init": [_NODES[0]],
        "ltms": [{"name": node, "fqn": f"{fqn}.{node}"} for node in _NODES],
        "transitions": [{"from": a, "to": b, "label": b, "namespace": fqn} for a, b in edges],
    }
