//! The short form of messages: `…_CHUNK` events, of which the first begins a message and the next one ends it.

use std::collections::BTreeMap;

use super::event::{Event, EventError};

/// The message that chunks of a subagent continue; `None` is the agent itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes(BTreeMap<Option<String>, Lane>);

#[derive(Clone, Debug)]
struct Lane {
    form: &'static Form,
    id: String,
}

/// The names of one kind of message.
#[derive(Debug)]
struct Form {
    chunk: &'static str,
    start: &'static str,
    content: &'static str,
    end: &'static str,
    id: &'static str,
    /// The members of a chunk that belong to the beginning.
    begins: &'static [&'static str],
}

static FORMS: [Form; 3] = [
    Form {
        chunk: "TEXT_MESSAGE_CHUNK",
        start: "TEXT_MESSAGE_START",
        content: "TEXT_MESSAGE_CONTENT",
        end: "TEXT_MESSAGE_END",
        id: "messageId",
        begins: &["role", "name", "subagentRunId", "timestamp"],
    },
    Form {
        chunk: "TOOL_CALL_CHUNK",
        start: "TOOL_CALL_START",
        content: "TOOL_CALL_ARGS",
        end: "TOOL_CALL_END",
        id: "toolCallId",
        begins: &[
            "toolCallName",
            "parentMessageId",
            "subagentRunId",
            "timestamp",
        ],
    },
    Form {
        chunk: "REASONING_MESSAGE_CHUNK",
        start: "REASONING_MESSAGE_START",
        content: "REASONING_MESSAGE_CONTENT",
        end: "REASONING_MESSAGE_END",
        id: "messageId",
        begins: &["subagentRunId", "timestamp"],
    },
];

/// The events that belong to no lane, so that they end no message.
const ASIDE: [&str; 5] = [
    "RAW",
    "ACTIVITY_SNAPSHOT",
    "ACTIVITY_DELTA",
    "REASONING_ENCRYPTED_VALUE",
    "SUBAGENT_STARTED",
];
/// The events that end the messages of all lanes.
const ENDS_ALL: [&str; 4] = [
    "RUN_STARTED",
    "RUN_FINISHED",
    "RUN_ERROR",
    "MESSAGES_SNAPSHOT",
];

impl Lanes {
    /// The long form of an event.
    pub(super) fn expand(&mut self, event: Event) -> Result<Vec<Event>, EventError> {
        if let Some(form) = FORMS.iter().find(|form| form.chunk == event.kind()) {
            return self.chunk(form, event);
        }
        let mut events = if ASIDE.contains(&event.kind()) {
            Vec::new()
        } else if ENDS_ALL.contains(&event.kind()) {
            self.end_all()
        } else {
            self.end(&event.text("subagentRunId").map(Into::into))
        };
        events.push(event);
        Ok(events)
    }

    fn chunk(&mut self, form: &'static Form, mut event: Event) -> Result<Vec<Event>, EventError> {
        let named = event.text(form.id).map(str::to_owned);
        let owner = self.owner(form, named.as_deref(), &event);
        let continues = self.0.get(&owner).filter(|lane| {
            lane.form.chunk == form.chunk && named.as_ref().is_none_or(|id| *id == lane.id)
        });
        let (id, mut events) = match continues {
            Some(lane) => (lane.id.clone(), Vec::new()),
            None => {
                let missing = |member| EventError::Member {
                    kind: form.chunk.into(),
                    member,
                };
                let id = named.ok_or(missing(form.id))?;
                let mut events = self.end(&owner);
                let mut start = Event::new(form.start, &[(form.id, &id)]);
                start.inherit(&event, form.begins);
                if form.id == "toolCallId" && start.text("toolCallName").is_none() {
                    return Err(missing("toolCallName"));
                }
                if event.text("delta").is_none() {
                    start.inherit(&event, &["metadata"]);
                    event.take("metadata");
                }
                events.push(start);
                let lane = Lane {
                    form,
                    id: id.clone(),
                };
                self.0.insert(owner, lane);
                (id, events)
            }
        };
        if event.text("delta").is_some() || event.metadata().is_some() {
            let mut content = Event::new(form.content, &[(form.id, &id), ("delta", "")]);
            content.inherit(&event, &["delta", "subagentRunId", "timestamp", "metadata"]);
            events.push(content);
        }
        Ok(events)
    }

    /// The subagent whose message a chunk continues or begins.
    fn owner(&self, form: &Form, named: Option<&str>, event: &Event) -> Option<String> {
        let mut open = self.0.iter();
        let is_open = |lane: &Lane| lane.form.chunk == form.chunk;
        if let Some(id) = named
            && let Some((owner, _)) = open.find(|(_, lane)| is_open(lane) && lane.id == id)
        {
            return owner.clone();
        }
        if let Some(owner) = event.text("subagentRunId") {
            return Some(owner.into());
        }
        if named.is_some() || self.0.get(&None).is_some_and(is_open) {
            return None;
        }
        let mut others = self.0.iter().filter(|(_, lane)| is_open(lane));
        others.next().and_then(|(owner, _)| owner.clone())
    }

    fn end(&mut self, owner: &Option<String>) -> Vec<Event> {
        let ended = self.0.remove(owner);
        ended.map(Lane::end).into_iter().collect()
    }

    fn end_all(&mut self) -> Vec<Event> {
        let lanes = std::mem::take(&mut self.0);
        lanes.into_values().map(Lane::end).collect()
    }
}

impl Lane {
    fn end(self) -> Event {
        Event::new(self.form.end, &[(self.form.id, &self.id)])
    }
}
