//! The answers of the API.

use std::ops::Deref;

use ltm_state::json;
use ltm_types::{Cursor, LtmId};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

use crate::{Error, ServerUrl};

/// An answer as the API sent it: JSON text.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    pub(crate) text: String,
    pub(crate) server: ServerUrl,
}

impl RawAnswer {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Parses the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`] if it is not a `T`.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        self.part(&self.text)
    }

    /// Parses a part of the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`] if it is not a `T`.
    pub fn part<'a, T: Deserialize<'a>>(&self, text: &'a str) -> Result<T, Error> {
        json::read(text).map_err(|e| Error::unreadable(&self.server, e))
    }

    /// Parses the answer, and keeps its text.
    pub(crate) fn parse<T: DeserializeOwned>(self) -> Result<Answer<T>, Error> {
        let value = self.read()?;
        let text = self.text;
        Ok(Answer { text, value })
    }
}

/// A page of the list of LTMs.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows: an array.
    pub rows: RawAnswer,
    /// The next page begins before this LTM; `None` after the last page.
    pub next: Option<LtmId>,
}

/// A parsed answer, with the text that it was parsed from.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The text as the API sent it; it may have more members.
    pub text: String,
    /// The parsed members.
    pub value: T,
}

impl<T> Deref for Answer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The answer to a creation.
#[derive(Clone, Debug, Deserialize)]
pub struct Created {
    /// The LTM.
    pub id: LtmId,
    /// Where its log is.
    pub cursor: Cursor,
    /// Whether it is new; otherwise it had the key before.
    #[serde(default = "yes")]
    pub created: bool,
}

/// An API of an older version creates or refuses.
fn yes() -> bool {
    true
}

/// The answer to an append.
#[derive(Clone, Debug, Deserialize)]
pub struct Appended {
    /// The cursor of the log after the write.
    pub cursor: Cursor,
    /// The index of the snapshot, from 0.
    pub index: u64,
}

/// The answer to a rollback.
#[derive(Clone, Debug, Deserialize)]
pub struct RolledBack {
    /// The cursor of the log after the write.
    pub cursor: Cursor,
    /// The index of the last snapshot that is kept; `None` if a rollback was undone.
    pub snapshot_index: Option<i64>,
    /// The number of snapshots after the rollback.
    pub snapshots_count: u64,
}

/// The answer to a recorded error.
#[derive(Clone, Debug, Deserialize)]
pub struct Recorded {
    /// The cursor of the log after the write.
    pub cursor: Cursor,
    /// The error as recorded, with its id.
    pub error: Box<RawValue>,
}

/// The answer to a copy.
#[derive(Clone, Debug, Deserialize)]
pub struct Copied {
    /// The id of the copy.
    pub copy_id: LtmId,
}

/// The state after a snapshot.
#[derive(Clone, Debug, Deserialize)]
pub struct StateAt {
    /// The cursor of the log.
    pub cursor: Cursor,
    /// The index of the snapshot, from 0; -1 is before the first.
    pub index: i64,
    /// The state.
    pub state: Map<String, Value>,
}
