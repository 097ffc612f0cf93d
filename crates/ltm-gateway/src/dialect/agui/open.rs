//! What a run has begun and must end before it ends itself: clients reject a run otherwise.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::event::{OWNER, small};

/// What can be open in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Something open. The subscribers of a run share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub kind: Opened,
    /// Its id; the name of a step.
    pub id: Box<str>,
    /// The subagent that it belongs to. A client rejects an event that names another one than the first event did.
    pub owner: Option<Box<str>>,
    /// The members of its first event, beside its type, its id and its owner; `None` if only the state has them.
    more: Option<Vec<(&'static str, Box<str>)>>,
}

/// The most that is open in a run. More would be memory for each subscriber.
pub(super) const MAX_OPEN: usize = 1000;

/// What is open in a run, in the order in which it began.
#[derive(Default)]
pub(super) struct OpenItems(Vec<Arc<Open>>);

/// A run would have more open than [`MAX_OPEN`], and nothing of it is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyOpen;

impl OpenItems {
    pub(super) fn has(&self, open: &Open) -> bool {
        self.position(open).is_some()
    }

    /// Whether this subagent is open.
    pub(super) fn has_subagent(&self, id: &str) -> bool {
        let is_it = |it: &Arc<Open>| it.kind == Opened::Subagent && &*it.id == id;
        self.0.iter().any(is_it)
    }

    /// Adds what is not open. Returns the oldest message or tool call if it must end for that.
    pub(super) fn push(&mut self, open: Arc<Open>) -> Result<Option<Arc<Open>>, TooManyOpen> {
        let mut ended = None;
        if self.0.len() >= MAX_OPEN {
            let oldest = self.0.iter().position(|it| it.kind.is_of_message());
            ended = Some(self.0.remove(oldest.ok_or(TooManyOpen)?));
        }
        self.0.push(open);
        Ok(ended)
    }

    pub(super) fn remove(&mut self, open: &Open) -> Option<Arc<Open>> {
        let place = self.position(open)?;
        Some(self.0.remove(place))
    }

    /// Removes the messages and tool calls, the last one first.
    pub(super) fn take_messages(&mut self) -> impl Iterator<Item = Arc<Open>> + use<> {
        let all = std::mem::take(&mut self.0).into_iter();
        let (messages, others): (Vec<_>, Vec<_>) = all.partition(|it| it.kind.is_of_message());
        self.0 = others;
        messages.into_iter().rev()
    }

    /// Removes all, the last one first.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arc<Open>> + use<> {
        std::mem::take(&mut self.0).into_iter().rev()
    }

    fn position(&self, open: &Open) -> Option<usize> {
        // What an event concerns began lately.
        self.0.iter().rposition(|it| it.is_same(open))
    }
}

impl Opened {
    /// Whether it is part of the list of messages.
    fn is_of_message(self) -> bool {
        matches!(self, Self::Text | Self::ToolCall | Self::Reasoning)
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
    pub(super) fn message(kind: Opened, id: &str, role: &str, owner: Option<&str>) -> Self {
        Self {
            more: Some(vec![("role", role.into())]),
            ..Self::plain(kind, id, owner)
        }
    }

    /// A tool call of a message.
    pub(super) fn tool_call(id: &str, name: &str, message: &str, owner: Option<&str>) -> Self {
        let more = vec![
            ("toolCallName", name.into()),
            ("parentMessageId", message.into()),
        ];
        Self {
            more: Some(more),
            ..Self::plain(Opened::ToolCall, id, owner)
        }
    }

    /// The same as something of another kind: what is said about a message may be its text, or its reasoning.
    pub(super) fn of_kind(self, kind: Opened) -> Self {
        match kind {
            Opened::Span => Self::of_event(kind, &self.id, self.owner.as_deref()),
            _ => Self { kind, ..self },
        }
    }

    /// What an event concerns whose first event the client may lack: it resumes in the middle.
    pub(super) fn of_event(kind: Opened, id: &str, owner: Option<&str>) -> Self {
        let more = match kind {
            Opened::ToolCall => None,
            Opened::Text => Some(vec![("role", "assistant".into())]),
            Opened::Reasoning => Some(vec![("role", "reasoning".into())]),
            Opened::Subagent => Some(vec![("name", id.into())]),
            Opened::Step | Opened::Span => Some(Vec::new()),
        };
        // The id of a subagent is no owner.
        let owner = owner.filter(|_| kind != Opened::Subagent);
        Self {
            more,
            ..Self::plain(kind, id, owner)
        }
    }

    fn plain(kind: Opened, id: &str, owner: Option<&str>) -> Self {
        Self {
            kind,
            id: id.into(),
            owner: owner.map(Box::from),
            more: None,
        }
    }

    /// Whether both are the same thing. Two subagents may be in steps of one name.
    fn is_same(&self, other: &Self) -> bool {
        let same_owner = self.kind != Opened::Step || self.owner == other.owner;
        self.kind == other.kind && self.id == other.id && same_owner
    }

    /// The bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        let more = self.more.iter().flatten();
        let more: usize = more.map(|(_, value)| value.len() + 64).sum();
        size_of::<Self>() + self.id.len() + self.owner.as_deref().map_or(0, str::len) + more + 64
    }

    /// Whether its first event can be made.
    pub(super) fn has_start(&self) -> bool {
        self.more.is_some()
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
        for (name, value) in self.more.iter().flatten() {
            event[*name] = (**value).into();
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
        let mut event = json!({"type": r#type, id: self.id});
        if let Some(owner) = &self.owner {
            event[OWNER] = (**owner).into();
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(kind: Opened, id: &str, owner: Option<&str>) -> Arc<Open> {
        Arc::new(Open::of_event(kind, id, owner))
    }

    #[test]
    fn what_is_open_ends_in_the_reverse_order_and_once() {
        let mut items = OpenItems::default();
        let text = |id: &str| open(Opened::Text, id, None);
        for id in ["1", "2", "3"] {
            items.push(text(id)).unwrap();
        }
        items.push(open(Opened::Step, "2", None)).unwrap();
        assert!(items.has(&text("2")) && !items.has(&open(Opened::ToolCall, "2", None)));
        assert!(items.remove(&text("2")).is_some());
        assert!(items.remove(&text("2")).is_none());
        let messages: Vec<_> = items.take_messages().collect();
        assert_eq!(messages, [text("3"), text("1")]);
        let others: Vec<_> = items.take().collect();
        assert_eq!(others, [open(Opened::Step, "2", None)]);
        assert!(!items.has(&text("1")));
    }

    #[test]
    fn each_subagent_has_its_own_steps_and_a_message_is_the_same_for_all() {
        let mut items = OpenItems::default();
        items.push(open(Opened::Step, "think", Some("a"))).unwrap();
        items.push(open(Opened::Text, "m", Some("a"))).unwrap();
        for owner in [None, Some("b"), Some("")] {
            assert!(!items.has(&open(Opened::Step, "think", owner)));
            assert!(items.has(&open(Opened::Text, "m", owner)));
        }
        let step = items
            .remove(&open(Opened::Step, "think", Some("a")))
            .unwrap();
        let end = String::from_utf8(step.end().to_vec()).unwrap();
        assert!(end.contains(r#""subagentRunId":"a""#), "{end}");
    }

    #[test]
    fn a_run_keeps_a_bounded_number_open_and_ends_the_oldest_message() {
        let mut items = OpenItems::default();
        for id in 0..MAX_OPEN {
            let kind = if id == 1 { Opened::Text } else { Opened::Step };
            assert_eq!(items.push(open(kind, &id.to_string(), None)), Ok(None));
        }
        let one = open(Opened::Text, "1", None);
        assert_eq!(items.push(open(Opened::Step, "x", None)), Ok(Some(one)));
        assert_eq!(items.push(open(Opened::Text, "y", None)), Err(TooManyOpen));
        assert_eq!(items.0.len(), MAX_OPEN);
    }
}
