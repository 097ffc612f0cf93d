//! What the API answers.

use std::{fmt::Display, ops::Deref};

use ltm_state::json;
use ltm_types::{Cursor, LtmId};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{Error, ServerUrl};

/// An answer as it came: JSON text.
#[derive(Clone, Debug)]
pub struct Body {
    pub(crate) text: String,
    pub(crate) server: ServerUrl,
}

impl Body {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it holds.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`] where it is something else.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        self.part(&self.text)
    }

    /// What a part of it holds.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`] where it is something else.
    pub fn part<'a, T: Deserialize<'a>>(&self, text: &'a str) -> Result<T, Error> {
        json::read(text).map_err(|e| unreadable(&self.server, &e))
    }
}

/// The error for a text that cannot be read.
pub(crate) fn unreadable(server: &ServerUrl, error: &impl Display) -> Error {
    Error::Unreadable {
        server: server.clone(),
        detail: error.to_string(),
    }
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows: an array.
    pub rows: Body,
    /// Where the next page begins: before this LTM.
    pub next: Option<LtmId>,
}

/// An answer: its members, and the text that they were read from.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The text as it came; it has more members.
    pub text: String,
    /// The members.
    pub value: T,
}

impl<T> Deref for Answer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// What is known once an LTM was created.
#[derive(Clone, Debug, Deserialize)]
pub struct Created {
    /// The new LTM.
    pub id: LtmId,
    /// Where its log is.
    pub cursor: Cursor,
}

/// What is known once a snapshot was appended.
#[derive(Clone, Debug, Deserialize)]
pub struct Appended {
    /// Where the log is.
    pub cursor: Cursor,
    /// Which snapshot it is, from 0.
    pub index: u64,
}

/// What is known once an LTM went back.
#[derive(Clone, Debug, Deserialize)]
pub struct WentBack {
    /// Where the log is.
    pub cursor: Cursor,
    /// The last snapshot that is kept; none where a rollback was undone.
    pub snapshot_index: Option<i64>,
    /// How many snapshots there are now.
    pub snapshots_count: u64,
}

/// What is known once an error was recorded.
#[derive(Clone, Debug, Deserialize)]
pub struct Recorded {
    /// Where the log is.
    pub cursor: Cursor,
    /// The error as it stands now, with its id.
    pub error: Box<RawValue>,
}

/// What is known once an LTM was copied.
#[derive(Clone, Debug, Deserialize)]
pub struct Copied {
    /// The copy.
    pub copy_id: LtmId,
}

/// A state as of a snapshot.
#[derive(Clone, Debug, Deserialize)]
pub struct StateAt {
    /// Where the log was.
    pub cursor: Cursor,
    /// The snapshot, from 0; -1 is before the first.
    pub index: i64,
    /// The state.
    pub state: Map<String, Value>,
}
