"""A LangGraph agent with a tool and a fake model. The inspector shows each step: http://127.0.0.1:8000."""

from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from ltm_live import Client
from ltm_live.langgraph import record


def search(query: str) -> str:
    """Searches the web."""
    return f"{query}: berries, roots and fish"


call = {"name": "search", "args": {"query": "what bears eat"}, "id": "call-1"}
model = FakeMessagesListChatModel(responses=[AIMessage("", tool_calls=[call]), AIMessage("Berries, roots and fish.")])
graph = StateGraph(MessagesState)
graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
graph.add_node("tools", ToolNode([search]))
graph.add_edge(START, "model").add_conditional_edges("model", tools_condition).add_edge("tools", "model")
agent = record(graph.compile(checkpointer=InMemorySaver()), Client(), fqn="examples.Agent")
config = {"configurable": {"thread_id": "bears"}}
print(agent.invoke({"messages": [HumanMessage("What do bears eat?")]}, config)["messages"][-1].content)
