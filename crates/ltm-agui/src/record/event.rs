//! One AG-UI event.

use ltm_state::json;
use ltm_types::shorten;
use serde_json::{Map, Value};

/// Members in which `null` is a value. Elsewhere it means that the member is absent; some frameworks write that.
const VALUES: [&str; 4] = ["snapshot", "value", "result", "event"];

/// An AG-UI event: an object with a `type`, and the members that the recorder needs for this type.
#[derive(Clone, Debug, PartialEq)]
pub struct Event(Map<String, Value>);

/// Why a text is not an event. An AG-UI client rejects the run at such an event, too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The text is not a JSON object.
    #[error("an event is not a JSON object: {0}")]
    NotAnObject(String),
    /// A member is missing, or has another type.
    #[error("an event of type {kind:?} has no valid `{member}`")]
    Member {
        /// The type of the event; empty if that is what is missing.
        kind: String,
        /// The member.
        member: &'static str,
    },
    /// An id or a name is too long.
    #[error("an event of type {kind} has a `{member}` of more than {MAX_NAME} bytes")]
    LongName {
        /// The type of the event.
        kind: String,
        /// The member.
        member: &'static str,
    },
    /// Too much is open at once.
    #[error(
        "more than {MAX_OPEN} texts, tool calls, reasonings, steps and subagents are open at once; end some before you begin others"
    )]
    TooManyOpen,
}

impl EventError {
    /// The `code` of the `RUN_ERROR` with which the run ends.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject(_) | Self::Member { .. } => "bad-event",
            Self::LongName { .. } => "event-too-large",
            Self::TooManyOpen => "too-many-open",
        }
    }
}

/// The most things that may be open at once: each write copies them, and the end of the run ends each.
pub(super) const MAX_OPEN: usize = 1000;
/// The most bytes of the id or the name of one.
pub(super) const MAX_NAME: usize = 1024;

/// What the value of a member must be.
enum Shape {
    Text,
    Any,
    Object,
    Array,
}

/// The members that an event of this type must have.
fn required(kind: &str) -> &'static [(&'static str, Shape)] {
    use Shape::{Any, Array, Object, Text};
    match kind {
        "TEXT_MESSAGE_START"
        | "TEXT_MESSAGE_END"
        | "REASONING_START"
        | "REASONING_END"
        | "REASONING_MESSAGE_START"
        | "REASONING_MESSAGE_END" => &[("messageId", Text)],
        "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT" => {
            &[("messageId", Text), ("delta", Text)]
        }
        "THINKING_TEXT_MESSAGE_CONTENT" => &[("delta", Text)],
        "TOOL_CALL_START" => &[("toolCallId", Text), ("toolCallName", Text)],
        "TOOL_CALL_ARGS" => &[("toolCallId", Text), ("delta", Text)],
        "TOOL_CALL_END" => &[("toolCallId", Text)],
        "TOOL_CALL_RESULT" => &[("messageId", Text), ("toolCallId", Text), ("content", Any)],
        "STATE_SNAPSHOT" => &[("snapshot", Any)],
        "STATE_DELTA" => &[("delta", Array)],
        "MESSAGES_SNAPSHOT" => &[("messages", Array)],
        "ACTIVITY_SNAPSHOT" => &[
            ("messageId", Text),
            ("activityType", Text),
            ("content", Object),
        ],
        "ACTIVITY_DELTA" => &[
            ("messageId", Text),
            ("activityType", Text),
            ("patch", Array),
        ],
        "REASONING_ENCRYPTED_VALUE" => &[
            ("subtype", Text),
            ("entityId", Text),
            ("encryptedValue", Text),
        ],
        "STEP_STARTED" | "STEP_FINISHED" => &[("stepName", Text)],
        "CUSTOM" => &[("name", Text)],
        "RUN_ERROR" => &[("message", Text)],
        "SUBAGENT_STARTED" | "SUBAGENT_FINISHED" | "SUBAGENT_ERROR" => &[("subagentRunId", Text)],
        _ => &[],
    }
}

impl Shape {
    fn fits(&self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Text => value.is_string(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
        }
    }
}

impl Event {
    /// Reads the text of an event.
    ///
    /// # Errors
    ///
    /// [`EventError`] says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, EventError> {
        let members: Map<String, Value> = json::read(text)
            .map_err(|e| EventError::NotAnObject(shorten(&e.to_string()).into()))?;
        Self::of(members)
    }

    /// An event with these members.
    ///
    /// # Errors
    ///
    /// As [`Event::read`].
    pub fn of(mut members: Map<String, Value>) -> Result<Self, EventError> {
        members.retain(|name, value| !value.is_null() || VALUES.contains(&name.as_str()));
        members.remove("rawEvent");
        let event = Self(members);
        let wrong = |member| EventError::Member {
            kind: shorten(event.kind()).into(),
            member,
        };
        if event.kind().is_empty() {
            return Err(wrong("type"));
        }
        for (member, shape) in required(event.kind()) {
            if !event.0.get(*member).is_some_and(|it| shape.fits(it)) {
                return Err(wrong(member));
            }
        }
        Ok(event)
    }

    /// An event of this type with these members.
    pub(super) fn new(kind: &str, members: &[(&str, &str)]) -> Self {
        let mut event = Self(Map::new());
        event.set("type", kind);
        for (name, value) in members {
            event.set(name, *value);
        }
        event
    }

    /// The type.
    pub fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    /// A member that is text.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.0.get(member)?.as_str()
    }

    /// A member that is text; empty if it is missing. [`Event::of`] has checked the required ones.
    pub(super) fn id(&self, member: &str) -> &str {
        self.text(member).unwrap_or_default()
    }

    /// A member.
    pub(super) fn get(&self, member: &str) -> Option<&Value> {
        self.0.get(member)
    }

    pub(super) fn set(&mut self, member: &str, value: impl Into<Value>) {
        self.0.insert(member.into(), value.into());
    }

    /// Sets a member to that of `other`, if it has one.
    pub(super) fn inherit(&mut self, other: &Self, members: &[&str]) {
        for member in members {
            if let Some(value) = other.0.get(*member) {
                self.set(member, value.clone());
            }
        }
    }

    pub(super) fn take(&mut self, member: &str) -> Option<Value> {
        self.0.remove(member)
    }

    /// The metadata, if it has some.
    pub(super) fn metadata(&self) -> Option<&Map<String, Value>> {
        let metadata = self.0.get("metadata")?.as_object()?;
        (!metadata.is_empty()).then_some(metadata)
    }

    /// The event as JSON.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// Adds an event to those that are written together. Neighbouring pieces of one text become one piece.
pub fn join(events: &mut Vec<Event>, next: Event) {
    let Some(last) = events.last_mut() else {
        return events.push(next);
    };
    let of = match next.kind() {
        "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT" | "THINKING_TEXT_MESSAGE_CONTENT" => {
            "messageId"
        }
        "TOOL_CALL_ARGS" => "toolCallId",
        _ => return events.push(next),
    };
    let same = ["type", of, "subagentRunId"]
        .iter()
        .all(|member| last.get(member) == next.get(member));
    let plain = |event: &Event| event.0.keys().all(|name| JOINED.contains(&name.as_str()));
    if !same || !plain(last) || !plain(&next) {
        return events.push(next);
    }
    let (Some(Value::String(text)), Some(more)) = (last.0.get_mut("delta"), next.text("delta"))
    else {
        return events.push(next);
    };
    text.push_str(more);
}

/// The members of a piece of text that can be joined. `timestamp` is that of the first piece.
const JOINED: [&str; 6] = [
    "type",
    "messageId",
    "toolCallId",
    "delta",
    "subagentRunId",
    "timestamp",
];
