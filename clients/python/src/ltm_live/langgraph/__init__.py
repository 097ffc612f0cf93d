"""LangGraph: after each superstep, the state of an LTM is the state of the graph.

    agent = record(agent, Client())

`record` takes any compiled graph. `LtmSaver` is the checkpointer that it uses, for `compile(checkpointer=…)`.
"""

from .recorder import Recorder, record
from .saver import LtmSaver

__all__ = ["LtmSaver", "Recorder", "record"]
