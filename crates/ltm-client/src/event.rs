//! What a subscriber hears.

use std::{str::FromStr, time::Duration};

use ltm_state::json::{self, ReadError};
use ltm_types::Cursor;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::Error;

/// What a subscriber hears.
#[derive(Debug)]
pub enum Event {
    /// The gateway says something.
    Message(Message),
    /// There is no connection; after the pause there is another try. Nothing is missed by that.
    Disconnected {
        /// What happened.
        reason: Error,
        /// How long it takes until the next try.
        pause: Duration,
    },
}

/// A message of the gateway.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where the subscriber stands once it has it.
    pub cursor: Cursor,
    /// What it says.
    pub change: Change,
    text: Utf8Bytes,
}

/// Why a text is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of the gateway: {0}")]
pub struct MessageError(String);

/// What a message says. JSON that is only carried is text, so that numbers keep their digits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A step was taken.
    Snapshot(Snapshot),
    /// The LTM went back, or undid that.
    Rollback(Rollback),
    /// An error was recorded, or changed: an object with its `id`.
    Error(Box<RawValue>),
    /// What was known before is replaced.
    Reset(Reset),
    /// Everything has been sent that was there at the connect.
    Live,
    /// The LTM was deleted; nothing comes after that.
    Deleted,
    /// What a newer version says.
    Unknown,
}

/// A step of an LTM.
#[derive(Clone, Debug, Deserialize)]
pub struct Snapshot {
    /// When it was taken: RFC 3339, UTC.
    pub time: String,
    /// Why.
    pub reason: String,
    /// What was executed; any JSON.
    pub item: Box<RawValue>,
    /// RFC 6902, from the state before to the state after.
    pub patch: Box<RawValue>,
    /// The executions that this step queued: an array.
    pub execute_queue: Box<RawValue>,
    /// The transitions that this step queued: an array.
    pub transitions_queue: Box<RawValue>,
}

/// A way back.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// The last snapshot that is kept; -1 where none is, none where a rollback was undone.
    pub snapshot_index: Option<i64>,
    /// When: RFC 3339, UTC.
    pub time: String,
    /// Why: `manual`, `replay`, or `recover rollback` where a rollback was undone.
    pub reason: String,
    /// RFC 6902, from the state before to the state after.
    pub patch: Box<RawValue>,
    /// How many snapshots there are from then on.
    pub snapshots_count: u64,
}

/// A whole state.
#[derive(Clone, Debug, Deserialize)]
pub struct Reset {
    /// Why it was sent: `requested`, `trimmed` (the entries since the cursor are no longer kept), `forked` (the history
    /// is another one), or what a newer version says.
    pub reason: String,
    /// The state: an object.
    pub state: Box<RawValue>,
    /// How many snapshots led to it.
    pub snapshots_count: u64,
}

/// The members of a message: one of them beside the cursor.
#[derive(Deserialize)]
struct Members {
    cursor: Cursor,
    snapshot: Option<Snapshot>,
    rollback: Option<Back>,
    snapshot_index: Option<i64>,
    error: Option<Box<RawValue>>,
    reset: Option<Reset>,
    deleted: Option<bool>,
    live: Option<bool>,
}

#[derive(Deserialize)]
struct Back {
    time: String,
    reason: String,
    patch: Box<RawValue>,
    snapshots_count: u64,
}

impl FromStr for Message {
    type Err = MessageError;

    fn from_str(text: &str) -> Result<Self, MessageError> {
        Self::read(text.into()).map_err(|e| MessageError(e.to_string()))
    }
}

impl Message {
    /// Reads a message.
    pub(crate) fn read(text: Utf8Bytes) -> Result<Self, ReadError> {
        let members: Members = json::read(&text)?;
        let cursor = members.cursor;
        let change = members.change();
        Ok(Self {
            cursor,
            change,
            text,
        })
    }

    /// The message as it came: JSON.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Members {
    fn change(self) -> Change {
        let Self {
            snapshot_index,
            deleted,
            live,
            ..
        } = self;
        if let Some(snapshot) = self.snapshot {
            Change::Snapshot(snapshot)
        } else if let Some(back) = self.rollback {
            Change::Rollback(Rollback {
                snapshot_index,
                time: back.time,
                reason: back.reason,
                patch: back.patch,
                snapshots_count: back.snapshots_count,
            })
        } else if let Some(error) = self.error {
            Change::Error(error)
        } else if let Some(reset) = self.reset {
            Change::Reset(reset)
        } else if deleted == Some(true) {
            Change::Deleted
        } else if live == Some(true) {
            Change::Live
        } else {
            Change::Unknown
        }
    }
}
