//! What a run has begun and not ended. A client rejects a run that finishes with something open.

use super::event::{Event, EventError, MAX_NAME, MAX_OPEN};

/// What a run has begun and not ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    /// The texts, and whether each is one of reasoning.
    pub(super) texts: Vec<(String, bool)>,
    pub(super) calls: Vec<String>,
    spans: Vec<String>,
    /// The steps, and the subagents that take them.
    steps: Vec<(Option<String>, String)>,
    subagents: Vec<String>,
}

impl Open {
    /// Notes that `event` begins or ends something. False if it begins what is open, or ends what is not: a client rejects
    /// the run then, so the event is left out.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let owner = || event.text("subagentRunId").map(str::to_owned);
        let message = || event.id("messageId").to_owned();
        match event.kind() {
            "TEXT_MESSAGE_START" => begin(&mut self.texts, (message(), false)),
            "REASONING_MESSAGE_START" => begin(&mut self.texts, (message(), true)),
            "TEXT_MESSAGE_END" => end(&mut self.texts, &(message(), false)),
            "REASONING_MESSAGE_END" => end(&mut self.texts, &(message(), true)),
            "TOOL_CALL_START" => begin(&mut self.calls, event.id("toolCallId").into()),
            "TOOL_CALL_END" => end(&mut self.calls, &event.id("toolCallId").into()),
            "REASONING_START" => begin(&mut self.spans, message()),
            "REASONING_END" => end(&mut self.spans, &message()),
            "STEP_STARTED" => begin(&mut self.steps, (owner(), event.id("stepName").into())),
            "STEP_FINISHED" => end(&mut self.steps, &(owner(), event.id("stepName").into())),
            "SUBAGENT_STARTED" => begin(&mut self.subagents, event.id("subagentRunId").into()),
            "SUBAGENT_FINISHED" | "SUBAGENT_ERROR" => {
                end(&mut self.subagents, &event.id("subagentRunId").into())
            }
            _ => true,
        }
    }

    /// Checks that there is room for what `event` begins.
    pub(super) fn check(&self, event: &Event) -> Result<(), EventError> {
        if !self.may_begin(event) {
            return Ok(());
        }
        for member in ["messageId", "toolCallId", "stepName", "subagentRunId"] {
            if event.id(member).len() > MAX_NAME {
                let kind = event.kind().into();
                return Err(EventError::LongName { kind, member });
            }
        }
        let messages = self.texts.len() + self.calls.len();
        let open = messages + self.spans.len() + self.steps.len() + self.subagents.len();
        match open < MAX_OPEN {
            true => Ok(()),
            false => Err(EventError::TooManyOpen),
        }
    }

    /// Whether an event begins something, or is a piece of what is not open: the recorder opens that first.
    fn may_begin(&self, event: &Event) -> bool {
        let id = event.id("messageId");
        match event.kind() {
            "TEXT_MESSAGE_START"
            | "REASONING_MESSAGE_START"
            | "TOOL_CALL_START"
            | "REASONING_START"
            | "STEP_STARTED"
            | "SUBAGENT_STARTED" => true,
            "TEXT_MESSAGE_CONTENT" => !self.has_text(id, false),
            "REASONING_MESSAGE_CONTENT" => !self.has_text(id, true),
            "TOOL_CALL_ARGS" => !self.calls.iter().any(|it| it == event.id("toolCallId")),
            _ => false,
        }
    }

    /// Whether this text is open.
    pub(super) fn has_text(&self, id: &str, reasoning: bool) -> bool {
        let same = |(open, kind): &(String, bool)| open == id && *kind == reasoning;
        self.texts.iter().any(same)
    }

    /// The text of a reasoning that was opened last.
    pub(super) fn last_reasoning(&self) -> Option<&str> {
        let mut texts = self.texts.iter().rev();
        let last = texts.find(|(_, reasoning)| *reasoning);
        last.map(|(id, _)| id.as_str())
    }

    /// The reasoning that was opened last.
    pub(super) fn last_span(&self) -> Option<&str> {
        self.spans.last().map(String::as_str)
    }

    /// Whether this reasoning is open.
    pub(super) fn has_span(&self, id: &str) -> bool {
        self.spans.iter().any(|open| open == id)
    }

    /// The events that end the open messages.
    pub(super) fn end_messages(&self) -> Vec<Event> {
        let texts = self.texts.iter().map(|(id, reasoning)| {
            let kind = match reasoning {
                true => "REASONING_MESSAGE_END",
                false => "TEXT_MESSAGE_END",
            };
            Event::new(kind, &[("messageId", id)])
        });
        let calls = self.calls.iter();
        let calls = calls.map(|id| Event::new("TOOL_CALL_END", &[("toolCallId", id)]));
        texts.chain(calls).collect()
    }

    /// The events that end everything.
    pub(super) fn end_all(&self) -> Vec<Event> {
        let mut events = self.end_messages();
        for id in &self.spans {
            events.push(Event::new("REASONING_END", &[("messageId", id)]));
        }
        for (owner, name) in &self.steps {
            let mut event = Event::new("STEP_FINISHED", &[("stepName", name)]);
            if let Some(owner) = owner {
                event.set("subagentRunId", owner.as_str());
            }
            events.push(event);
        }
        for id in self.subagents.iter().rev() {
            events.push(Event::new("SUBAGENT_FINISHED", &[("subagentRunId", id)]));
        }
        events
    }
}

fn begin<T: PartialEq>(open: &mut Vec<T>, new: T) -> bool {
    let is_new = !open.contains(&new);
    if is_new {
        open.push(new);
    }
    is_new
}

fn end<T: PartialEq>(open: &mut Vec<T>, old: &T) -> bool {
    let before = open.len();
    open.retain(|it| it != old);
    open.len() < before
}
