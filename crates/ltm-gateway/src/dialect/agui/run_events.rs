//! The first and the last event of a run. What they tell of the log is made once, for all subscribers: an outcome may be
//! as large as a state.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    event::{MAX_EVENT, TooLarge, cursor_member, one_line, share_large},
    state::{Members, Status, quoted},
};
use crate::dialect::answer::Events;

static RUN_ID: Bytes = Bytes::from_static(br#","runId":"#);

/// The members of an event after those of the subscriber, with the end of the event.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    /// The line with the cursor, if the client can resume after the event.
    id: Bytes,
    text: Bytes,
    /// How many characters the clients count.
    characters: usize,
}

/// The end of an event without more members.
pub(super) static EMPTY: Tail = Tail {
    id: Bytes::new(),
    text: Bytes::from_static(b"}\n\n"),
    characters: 3,
};

/// The ids of a run, as JSON.
#[derive(Clone, Debug)]
pub(super) struct RunIds {
    pub thread: Bytes,
    pub run: Bytes,
}

/// The begin of a recorded run.
#[derive(Debug)]
pub(super) struct Started {
    /// The recorded ids, as JSON.
    pub thread: Option<Bytes>,
    pub run: Option<Bytes>,
    pub tail: Tail,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    Finished(Tail),
    Failed(Tail),
}

impl Tail {
    /// The members in a text, each with a comma before it.
    fn new(cursor: Option<&str>, members: &str) -> Self {
        let text = format!("{}}}\n\n", one_line(members));
        let characters = match text.len() > MAX_EVENT {
            true => text.encode_utf16().count(),
            false => text.len(),
        };
        let id = cursor.map(|cursor| format!("id: {cursor}\n"));
        Self {
            id: id.unwrap_or_default().into(),
            text: text.into(),
            characters,
        }
    }

    /// The bytes that it holds.
    fn bytes(&self) -> usize {
        self.id.len() + self.text.len()
    }

    /// Writes the event that begins with these parts.
    pub(super) fn write(&self, begin: &[&Bytes], events: &mut Events) -> Result<(), TooLarge> {
        let length: usize = begin.iter().map(|part| part.len()).sum();
        if length + self.characters > MAX_EVENT {
            return Err(TooLarge);
        }
        events.write(&self.id);
        events.write(b"data: ");
        for part in begin {
            share_large(part, events);
        }
        share_large(&self.text, events);
        Ok(())
    }
}

impl RunIds {
    /// Writes the event that begins the run.
    pub(super) fn start(
        &self,
        version: Option<&str>,
        tail: &Tail,
        events: &mut Events,
    ) -> Result<(), TooLarge> {
        let version = version.map(|version| format!(r#","protocolVersion":{}"#, quoted(version)));
        let version = version.unwrap_or_default().into();
        let begin = Bytes::from_static(br#"{"type":"RUN_STARTED","threadId":"#);
        tail.write(
            &[&begin, &self.thread, &RUN_ID, &self.run, &version],
            events,
        )
    }
}

impl Started {
    /// What a recorded `RUN_STARTED` tells. The version of the protocol is that of the client.
    pub(super) fn of(item: &Members<'_>) -> Self {
        let own = ["type", "threadId", "runId", "protocolVersion", "rawEvent"];
        let id = |name| item.text(name).map(|id| Bytes::from(id.to_owned()));
        Self {
            thread: id("threadId"),
            run: id("runId"),
            tail: Tail::new(None, &item.without(&own)),
        }
    }

    /// The bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        let ids = [&self.thread, &self.run].into_iter().flatten();
        self.tail.bytes() + ids.map(Bytes::len).sum::<usize>()
    }
}

impl Ending {
    /// What a recorded `RUN_FINISHED` or `RUN_ERROR` tells. A client resumes after it.
    pub(super) fn of(cursor: &str, is_error: bool, item: &Members<'_>) -> Self {
        if is_error {
            return Self::failed(Some(cursor), Some(item), "the run failed");
        }
        let (outcome, result) = (item.get("outcome"), item.get("result"));
        let mut members = String::new();
        for (name, value) in [("outcome", outcome), ("result", result)] {
            if let Some(value) = value {
                members.extend([",\"", name, "\":", value.get()]);
            }
        }
        members.push_str(&cursor_member(cursor));
        Self::Finished(Tail::new(Some(cursor), &members))
    }

    /// The end that a status means; `None` if the run goes on. `run` is what the state of a recorded LTM tells of the run.
    pub(super) fn of_status(
        status: Status,
        is_recorded: bool,
        run: Option<&Members<'_>>,
    ) -> Option<Self> {
        let otherwise = match status {
            Status::Finished => r#"{"type":"success"}"#,
            Status::Interrupted if is_recorded => r#"{"type":"interrupt","interrupts":[]}"#,
            Status::Error => {
                let error = run.and_then(|run| run.get("error"));
                let error = error.map(Members::of);
                return Some(Self::failed(None, error.as_ref(), "the LTM has failed"));
            }
            Status::Interrupted | Status::Other => return None,
        };
        let member = |name| {
            let value = run.and_then(|run| run.get(name));
            value.map(RawValue::get).filter(|it| *it != "null")
        };
        let outcome = member("outcome").unwrap_or(otherwise);
        let result = member("result").map(|it| format!(r#","result":{it}"#));
        let members = format!(r#","outcome":{outcome}{}"#, result.unwrap_or_default());
        Some(Self::Finished(Tail::new(None, &members)))
    }

    /// The error of a run, and its code.
    pub(super) fn error(cursor: Option<&str>, code: &str, message: &str) -> Self {
        Self::error_of(cursor, &quoted(code), &quoted(message))
    }

    fn failed(cursor: Option<&str>, item: Option<&Members<'_>>, otherwise: &str) -> Self {
        let text = |name| item.and_then(|item| item.text(name));
        let message = text("message").map_or_else(|| quoted(otherwise), str::to_owned);
        Self::error_of(cursor, text("code").unwrap_or(r#""ltm-error""#), &message)
    }

    fn error_of(cursor: Option<&str>, code: &str, message: &str) -> Self {
        let metadata = cursor.map(cursor_member).unwrap_or_default();
        let members = format!(r#","message":{message},"code":{code}{metadata}"#);
        Self::Failed(Tail::new(cursor, &members))
    }

    /// Writes the event that ends the run with these ids.
    pub(super) fn write(&self, ids: Option<&RunIds>, events: &mut Events) -> Result<(), TooLarge> {
        match self {
            Self::Finished(tail) => {
                let begin = Bytes::from_static(br#"{"type":"RUN_FINISHED","threadId":"#);
                let none = Bytes::from_static(br#""""#);
                let (thread, run) = ids.map_or((&none, &none), |ids| (&ids.thread, &ids.run));
                tail.write(&[&begin, thread, &RUN_ID, run], events)
            }
            Self::Failed(tail) => {
                let begin = Bytes::from_static(br#"{"type":"RUN_ERROR""#);
                tail.write(&[&begin], events)
            }
        }
    }

    /// The bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        let (Self::Finished(tail) | Self::Failed(tail)) = self;
        tail.bytes()
    }
}
