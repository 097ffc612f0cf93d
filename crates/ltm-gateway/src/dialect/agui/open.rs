//! What a run has begun and must end before it ends itself: clients reject a run otherwise.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde_json::{Value, json};

use super::event::small;

/// What can be open in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Opened {
    Step,
    Text,
    ToolCall,
    Span,
    Reasoning,
    Subagent,
}

/// What an event does to something that can be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Starts,
    Continues,
    Ends,
}

/// Something open.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub kind: Opened,
    /// Its id; the name of a step.
    pub id: String,
    /// The members of its first event, beside its type and id.
    more: Vec<(&'static str, String)>,
}

/// What is open in a run, in the order in which it began. A run can have thousands of messages open.
#[derive(Default)]
pub(super) struct OpenItems {
    places: HashMap<(Opened, String), u64>,
    items: BTreeMap<u64, Open>,
    next: u64,
}

impl OpenItems {
    pub(super) fn has(&self, kind: Opened, id: &str) -> bool {
        self.places.contains_key(&(kind, id.to_owned()))
    }

    pub(super) fn push(&mut self, open: Open) {
        let place = (open.kind, open.id.clone());
        if let Some(before) = self.places.insert(place, self.next) {
            self.items.remove(&before);
        }
        self.items.insert(self.next, open);
        self.next += 1;
    }

    pub(super) fn remove(&mut self, kind: Opened, id: &str) -> Option<Open> {
        let place = self.places.remove(&(kind, id.to_owned()))?;
        self.items.remove(&place)
    }

    /// Removes all, the last one first.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Open> + use<> {
        self.places.clear();
        std::mem::take(&mut self.items).into_values().rev()
    }
}

/// What an event of this type does, and the member with the id of what it concerns.
pub(super) fn effect(r#type: &str) -> Option<(Opened, Effect, &'static str)> {
    use Effect::{Continues, Ends, Starts};
    use Opened::{Reasoning, Span, Step, Subagent, Text, ToolCall};
    Some(match r#type {
        "STEP_STARTED" => (Step, Starts, "stepName"),
        "STEP_FINISHED" => (Step, Ends, "stepName"),
        "TEXT_MESSAGE_START" => (Text, Starts, "messageId"),
        "TEXT_MESSAGE_CONTENT" => (Text, Continues, "messageId"),
        "TEXT_MESSAGE_END" => (Text, Ends, "messageId"),
        "TOOL_CALL_START" => (ToolCall, Starts, "toolCallId"),
        "TOOL_CALL_ARGS" => (ToolCall, Continues, "toolCallId"),
        "TOOL_CALL_END" => (ToolCall, Ends, "toolCallId"),
        "REASONING_START" => (Span, Starts, "messageId"),
        "REASONING_END" => (Span, Ends, "messageId"),
        "REASONING_MESSAGE_START" => (Reasoning, Starts, "messageId"),
        "REASONING_MESSAGE_CONTENT" => (Reasoning, Continues, "messageId"),
        "REASONING_MESSAGE_END" => (Reasoning, Ends, "messageId"),
        "SUBAGENT_STARTED" => (Subagent, Starts, "subagentRunId"),
        "SUBAGENT_FINISHED" | "SUBAGENT_ERROR" => (Subagent, Ends, "subagentRunId"),
        _ => return None,
    })
}

impl Open {
    /// A text or reasoning message.
    pub(super) fn message(kind: Opened, id: &str, role: &str) -> Self {
        Self {
            kind,
            id: id.into(),
            more: vec![("role", role.into())],
        }
    }

    /// A tool call of a message.
    pub(super) fn tool_call(id: &str, name: &str, message: &str) -> Self {
        let more = vec![
            ("toolCallName", name.into()),
            ("parentMessageId", message.into()),
        ];
        Self {
            kind: Opened::ToolCall,
            id: id.into(),
            more,
        }
    }

    /// The same as something of another kind: what is said about a message may be its text, or its reasoning.
    pub(super) fn of_kind(self, kind: Opened) -> Self {
        Self { kind, ..self }
    }

    /// Something whose first event the client got.
    pub(super) fn begun(kind: Opened, id: &str) -> Self {
        Self {
            kind,
            id: id.into(),
            more: Vec::new(),
        }
    }

    /// Something whose first event the client did not get: it resumes in the middle. `None` for a tool call, whose
    /// name only the state tells.
    pub(super) fn anew(kind: Opened, id: &str) -> Option<Self> {
        let more = match kind {
            Opened::ToolCall => return None,
            Opened::Text => vec![("role", "assistant".into())],
            Opened::Reasoning => vec![("role", "reasoning".into())],
            Opened::Subagent => vec![("name", id.into())],
            Opened::Step | Opened::Span => Vec::new(),
        };
        Some(Self {
            kind,
            id: id.into(),
            more,
        })
    }

    /// The event that begins it.
    pub(super) fn start(&self) -> Bytes {
        let r#type = match self.kind {
            Opened::Step => "STEP_STARTED",
            Opened::Text => "TEXT_MESSAGE_START",
            Opened::ToolCall => "TOOL_CALL_START",
            Opened::Span => "REASONING_START",
            Opened::Reasoning => "REASONING_MESSAGE_START",
            Opened::Subagent => "SUBAGENT_STARTED",
        };
        let mut event = self.event(r#type);
        for (name, value) in &self.more {
            event[*name] = value.as_str().into();
        }
        small(&event)
    }

    /// An event with more of its text.
    pub(super) fn content(&self, text: &str) -> Value {
        let mut event = self.event(match self.kind {
            Opened::ToolCall => "TOOL_CALL_ARGS",
            Opened::Reasoning => "REASONING_MESSAGE_CONTENT",
            _ => "TEXT_MESSAGE_CONTENT",
        });
        event["delta"] = text.into();
        event
    }

    /// The event that ends it.
    pub(super) fn end(&self) -> Bytes {
        small(&self.event(match self.kind {
            Opened::Step => "STEP_FINISHED",
            Opened::Text => "TEXT_MESSAGE_END",
            Opened::ToolCall => "TOOL_CALL_END",
            Opened::Span => "REASONING_END",
            Opened::Reasoning => "REASONING_MESSAGE_END",
            Opened::Subagent => "SUBAGENT_FINISHED",
        }))
    }

    fn event(&self, r#type: &str) -> Value {
        let id = effect(r#type).map_or("id", |(_, _, member)| member);
        json!({"type": r#type, id: self.id})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_ends_in_the_reverse_order_and_once() {
        let mut open = OpenItems::default();
        for id in ["1", "2", "3", "1"] {
            open.push(Open::begun(Opened::Text, id));
        }
        open.push(Open::begun(Opened::Step, "2"));
        assert!(open.has(Opened::Text, "2") && !open.has(Opened::ToolCall, "2"));
        assert!(open.remove(Opened::Text, "2").is_some());
        assert!(open.remove(Opened::Text, "2").is_none());
        let ended: Vec<_> = open.take().map(|it| (it.kind, it.id)).collect();
        let text = |id: &str| (Opened::Text, id.to_owned());
        assert_eq!(ended, [(Opened::Step, "2".into()), text("1"), text("3")]);
        assert!(!open.has(Opened::Text, "1"));
    }
}
