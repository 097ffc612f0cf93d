"""OpenAI Agents SDK: a run is an LTM.

    async with LtmHooks(client, fqn="app.Agent") as hooks:
        result = await Runner.run(agent, "Hello", hooks=hooks)

The state has the current `agent`, the `turn`, the `messages`, the `usage`, the tools that are `running`, and in the end
the `output`. `_status` is `active`, `finished`, `error` or `cancelled`. The block records an exception as an error;
without the block, an exception is not seen.
"""

from __future__ import annotations

import asyncio
from typing import Any

from agents import Agent, RunHooks
from typing_extensions import Self

from .._sync.client import Client
from .._sync.ltm import Ltm
from .recording import Recording


class LtmHooks(RunHooks[Any]):
    """Records one run, or several of the same conversation: they go on with the LTM of the same `key`."""

    def __init__(
        self, client: Client, *, fqn: str = "openai_agents.Agent", key: str | None = None, strict: bool = False
    ) -> None:
        self._agent: Any = None
        self._run = Recording(client, fqn, key, structure=self._structure, strict=strict)
        self._turn = 0

    @property
    def ltm(self) -> Ltm:
        """The LTM of the run."""
        return self._run.ltm

    async def on_agent_start(self, context: Any, agent: Any) -> None:
        """An agent begins."""
        self._agent = self._agent or agent
        members = {"_status": "active", "agent": agent.name, "turn": self._turn, "running": []}
        await self._run.achange("begin", members, self._run.item(agent.name))

    async def on_llm_start(self, context: Any, agent: Any, system_prompt: str | None, input_items: Any) -> None:
        """The model is asked."""
        self._turn += 1
        members = {"agent": agent.name, "turn": self._turn, "messages": input_items}
        await self._run.achange("ask", members, self._run.item(agent.name, system_prompt=system_prompt))

    async def on_llm_end(self, context: Any, agent: Any, response: Any) -> None:
        """The model has answered."""
        answer = self._run.json(response.to_input_items())
        usage = self._run.members({"usage": context.usage})

        def answered(state: dict[str, Any]) -> dict[str, Any]:
            return {"messages": [*state.get("messages", []), *answer], **usage}

        await self._run.achange("execute", answered, self._run.item(agent.name, turn=self._turn))

    async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
        """A tool begins."""
        name, arguments = tool.name, getattr(context, "tool_arguments", None)
        item = self._run.item(name, arguments=arguments)
        await self._run.achange("call", lambda state: {"running": [*state.get("running", []), name]}, item)

    async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: Any) -> None:
        """A tool has returned."""
        name, call = tool.name, getattr(context, "tool_call_id", None)
        output = self._run.members({"type": "function_call_output", "call_id": call, "output": result})

        def returned(state: dict[str, Any]) -> dict[str, Any]:
            running = list(state.get("running", []))
            if name in running:
                running.remove(name)
            return {"messages": [*state.get("messages", []), output], "running": running}

        await self._run.achange("execute", returned, self._run.item(name, call_id=call))

    async def on_handoff(self, context: Any, from_agent: Any, to_agent: Any) -> None:
        """An agent hands over to another one."""
        item = {"label": f"handoff to {to_agent.name}", "namespace": self._run.fqn}
        await self._run.achange("transition", {"agent": to_agent.name}, item)

    async def on_agent_end(self, context: Any, agent: Any, output: Any) -> None:
        """An agent has its output."""
        members = {"_status": "finished", "running": [], **self._run.members({"output": output})}
        await self._run.achange("finish", members, self._run.item(agent.name))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, asyncio.CancelledError):
            await self._run.achange("cancel", {"_status": "cancelled"})
        elif isinstance(error, Exception):
            await self._run.afail(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception):
            self._run.fail(error)

    def _structure(self) -> dict[str, Any]:
        """The agents that can be reached, and their tools."""
        fqn = self._run.fqn
        nodes: list[str] = []
        edges: list[tuple[str, str, str]] = []
        left = [] if self._agent is None else [self._agent]
        while left:
            agent = left.pop(0)
            if agent.name in nodes:
                continue
            nodes.append(agent.name)
            for handoff in getattr(agent, "handoffs", []):
                name = handoff.name if isinstance(handoff, Agent) else handoff.agent_name
                edges.append((agent.name, name, f"handoff to {name}"))
                left += [handoff] if isinstance(handoff, Agent) else []
            for tool in getattr(agent, "tools", []):
                edges += [(agent.name, tool.name, tool.name), (tool.name, agent.name, agent.name)]
        names = list(dict.fromkeys([*nodes, *(name for edge in edges for name in edge[:2])]))
        return {
            "name": fqn.rpartition(".")[2],
            "fqn": fqn,
            "init": nodes[:1],
            "ltms": [{"name": name, "fqn": f"{fqn}.{name}"} for name in names],
            "transitions": [{"from": a, "to": b, "label": label, "namespace": fqn} for a, b, label in edges],
        }
