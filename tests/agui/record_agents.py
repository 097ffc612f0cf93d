"""Agents of others behind AG-UI, with models that say what they are told: LangGraph at /langgraph, Pydantic AI at /pydantic.

Prints the address when it listens. Between two words of an answer they wait for as many seconds as PACE says.
"""

import asyncio
import operator
import os
import socket
from typing import Annotated

import uvicorn
from ag_ui.core import EventType, StateDeltaEvent, StateSnapshotEvent
from ag_ui_langgraph import LangGraphAgent, add_langgraph_fastapi_endpoint
from fastapi import FastAPI, Request
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from pydantic_ai import Agent, ToolReturn
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from pydantic_ai.ui.ag_ui import AGUIAdapter
from typing_extensions import TypedDict

PACE = float(os.environ.get("PACE", "0.05"))
WORDS = ["Lund, ", "Oslo, ", "Bergen ", "and ", "Tromsø"]


class State(TypedDict):
    messages: Annotated[list, add_messages]
    notes: Annotated[list[str], operator.add]


async def plan(state):
    await asyncio.sleep(PACE)
    return {"notes": ["plan"]}


async def talk(state):
    model = GenericFakeChatModel(messages=iter([AIMessage("".join(WORDS))]))
    pieces = []
    async for piece in model.astream(state["messages"]):
        pieces.append(piece.content)
        await asyncio.sleep(PACE)
    return {"messages": [AIMessage("".join(pieces))], "notes": ["talk"]}


async def close(state):
    await asyncio.sleep(PACE)
    return {"notes": ["close"]}


def graph():
    builder = StateGraph(State)
    for node in (plan, talk, close):
        builder.add_node(node.__name__, node)
    builder.add_edge(START, "plan").add_edge("plan", "talk").add_edge("talk", "close").add_edge("close", END)
    return builder.compile(checkpointer=InMemorySaver())


async def answer(messages, info):
    """Calls the tool, then says the words."""
    if not any(part.part_kind == "tool-return" for message in messages for part in message.parts):
        yield {0: DeltaToolCall(name="note", json_args='{"pla', tool_call_id="call-1")}
        await asyncio.sleep(PACE)
        yield {0: DeltaToolCall(json_args='ce": "Lund"}')}
        return
    for word in WORDS:
        yield word
        await asyncio.sleep(PACE)


assistant = Agent(FunctionModel(stream_function=answer))


@assistant.tool_plain
def note(place: str) -> ToolReturn:
    """Notes a place."""
    delta = [{"op": "add", "path": "/notes/-", "value": "Oslo"}]
    return ToolReturn(
        return_value=f"noted {place}",
        metadata=[
            StateSnapshotEvent(type=EventType.STATE_SNAPSHOT, snapshot={"notes": [place]}),
            StateDeltaEvent(type=EventType.STATE_DELTA, delta=delta),
        ],
    )


app = FastAPI()
add_langgraph_fastapi_endpoint(app, LangGraphAgent(name="graph", graph=graph()), "/langgraph")


@app.post("/pydantic")
async def pydantic(request: Request):
    return await AGUIAdapter.dispatch_request(request, agent=assistant)


with socket.create_server(("127.0.0.1", 0)) as listener:
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
