"""Flou's own tutorial, with a text in the place of the model, and LTMs for what else may happen."""

from __future__ import annotations

from typing import Any

from flou.ltm import LTM
from flou.registry import registry


class WaitingForInstructions(LTM):
    name = "waiting_for_instructions"


class UpdateInstructions(LTM):
    name = "update_instructions"

    def run(self, payload: Any = None) -> None:
        self.root.update_state({"writing_instructions": payload["writing_instructions"]})
        self.transition("instructions_updated")


class Idle(LTM):
    name = "idle"


class WritingStory(LTM):
    name = "writing_story"

    def run(self, payload: Any = None) -> None:
        stories = list(self.root.state["stories"])
        story = {"title": f"Tale {len(stories) + 1}", "content": "A fox named Ñandú counted stars."}
        self.root.update_state({"stories": [*stories, story]})
        self.transition("story_written", payload={"story": story})


class BedtimeStoryWriter(LTM):
    name = "bedtime_story_writer"
    init = [WaitingForInstructions]
    transitions = [
        {"from": WaitingForInstructions, "label": "update_instructions", "to": UpdateInstructions},
        {"from": UpdateInstructions, "label": "instructions_updated", "to": Idle},
        {"from": Idle, "label": "write_story", "to": WritingStory},
        {"from": WritingStory, "label": "story_written", "to": Idle},
        {"from": Idle, "label": "update_instructions", "to": UpdateInstructions},
    ]

    def get_initial_state(self) -> dict[str, Any]:
        return {"writing_instructions": "", "stories": []}


class Wait(LTM):
    name = "wait"


class Fails(LTM):
    """Fails as often as its payload says."""

    name = "fails"

    def run(self, payload: Any = None) -> None:
        raise ZeroDivisionError("in the step")


class Fragile(LTM):
    name = "fragile"
    init = [Wait]
    transitions = [{"from": Wait, "label": "go", "to": Fails}]


class Worker(LTM):
    name = "worker_{n}"

    def run(self, payload: Any = None) -> None:
        self.root.atomic_state_append("done", self.params["n"])


class Crowd(LTM):
    """Many states at the same time."""

    name = "crowd"
    init = [Wait]
    transitions = [{"from": Wait, "label": "start_{n}", "to": Worker}]

    def get_initial_state(self) -> dict[str, Any]:
        return {"done": []}


registry.register(BedtimeStoryWriter)
registry.register(Fragile)
registry.register(Crowd)
