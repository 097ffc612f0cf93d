//! The events of a subscriber.

use std::{str::FromStr, time::Duration};

use ltm_state::json::{self, JsonError};
use ltm_types::Cursor;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::Error;

/// An event of a subscriber.
#[derive(Debug)]
pub enum Event {
    /// The gateway sent a message.
    Message(Message),
    /// The connection is lost, and the client reconnects after the pause. It will not miss a message.
    Disconnected {
        /// Why the connection was lost, or could not be opened.
        reason: Error,
        /// The pause before the next attempt.
        pause: Duration,
    },
}

/// A message of the gateway.
#[derive(Clone, Debug)]
pub struct Message {
    /// The subscriber's cursor after this message.
    pub cursor: Cursor,
    /// What has changed.
    pub change: Change,
    text: Utf8Bytes,
}

/// The error for a text that is not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of the gateway: {0}")]
pub struct MessageError(String);

/// What has changed. JSON that the client only passes on is text, so that numbers keep their digits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// The engine appended a snapshot.
    Snapshot(Snapshot),
    /// The LTM was rolled back, or a rollback was undone.
    Rollback(Rollback),
    /// An error was recorded or updated: an object with its `id`.
    Error(Box<RawValue>),
    /// A full state replaces the previous one.
    Reset(Reset),
    /// The gateway has sent everything that was in the log at the time of the connect.
    Live,
    /// The LTM was deleted. This is the last message.
    Deleted,
    /// A change that only a newer version of the client knows.
    Unknown,
}

/// One step of the history.
#[derive(Clone, Debug, Deserialize)]
pub struct Snapshot {
    /// The time of the snapshot: RFC 3339, UTC.
    pub time: String,
    /// The reason of the snapshot.
    pub reason: String,
    /// What the engine executed; any JSON.
    pub item: Box<RawValue>,
    /// The JSON Patch (RFC 6902) from the state before to the state after.
    pub patch: Box<RawValue>,
    /// The executions that this snapshot queued: an array.
    pub execute_queue: Box<RawValue>,
    /// The transitions that this snapshot queued: an array.
    pub transitions_queue: Box<RawValue>,
}

/// A rollback, or the undoing of one.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// The index of the last snapshot that is kept; -1 if none is, `None` if a rollback was undone.
    pub snapshot_index: Option<i64>,
    /// The time of the rollback: RFC 3339, UTC.
    pub time: String,
    /// `manual`, `replay`, or `recover rollback` if a rollback was undone.
    pub reason: String,
    /// The JSON Patch (RFC 6902) from the state before to the state after.
    pub patch: Box<RawValue>,
    /// The number of snapshots after the rollback.
    pub snapshots_count: u64,
}

/// A full state.
#[derive(Clone, Debug, Deserialize)]
pub struct Reset {
    /// Why it was sent: `requested`, `trimmed` (the log no longer has the entries since the cursor), `forked` (the log
    /// no longer contains the cursor), or a reason that a newer version has.
    pub reason: String,
    /// The state: an object.
    pub state: Box<RawValue>,
    /// The number of snapshots that led to the state.
    pub snapshots_count: u64,
}

/// The members of a message: the cursor and one of the others.
#[derive(Deserialize)]
struct Members {
    cursor: Cursor,
    snapshot: Option<Snapshot>,
    rollback: Option<RollbackMembers>,
    snapshot_index: Option<i64>,
    error: Option<Box<RawValue>>,
    reset: Option<Reset>,
    deleted: Option<bool>,
    live: Option<bool>,
}

#[derive(Deserialize)]
struct RollbackMembers {
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
    /// Parses a message.
    pub(crate) fn read(text: Utf8Bytes) -> Result<Self, JsonError> {
        let members: Members = json::read(&text)?;
        let cursor = members.cursor;
        let change = members.change();
        Ok(Self {
            cursor,
            change,
            text,
        })
    }

    /// The message as the gateway sent it: JSON.
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
