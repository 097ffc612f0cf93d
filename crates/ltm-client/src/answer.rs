//! The answers of the API.

use std::{collections::BTreeMap, ops::Deref};

use ltm_state::json;
use ltm_types::{Cursor, LtmId};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

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

/// A document with all of its rollbacks, which the API returns page by page.
#[derive(Default)]
pub(crate) struct RollbackPages {
    rollbacks: Vec<Box<RawValue>>,
    /// The index of the first of them.
    first: u64,
    pages: usize,
}

/// What a document says about its page of rollbacks.
#[derive(Deserialize)]
struct RollbackPage {
    #[serde(default)]
    rollbacks: Vec<Box<RawValue>>,
    #[serde(default)]
    first_rollback: u64,
    next_rollback: Option<u64>,
}

impl RollbackPages {
    /// Adds the page of `document`. Returns the index with which the next page begins, if there is one.
    pub(crate) fn add(&mut self, document: &RawAnswer) -> Result<Option<u64>, Error> {
        let page: RollbackPage = document.read()?;
        self.pages += 1;
        // Retention may have removed rollbacks between two pages.
        if self.first + self.rollbacks.len() as u64 != page.first_rollback {
            self.rollbacks.clear();
        }
        if self.rollbacks.is_empty() {
            self.first = page.first_rollback;
        }
        self.rollbacks.extend(page.rollbacks);
        Ok(page.next_rollback)
    }

    /// The last document, with the rollbacks of all pages.
    pub(crate) fn all(self, last: RawAnswer) -> Result<RawAnswer, Error> {
        if self.pages == 1 {
            return Ok(last);
        }
        let mut members: BTreeMap<String, Box<RawValue>> = last.read()?;
        let unreadable = |e: serde_json::Error| Error::unreadable(&last.server, e);
        members.insert(
            "rollbacks".into(),
            to_raw_value(&self.rollbacks).map_err(unreadable)?,
        );
        members.insert(
            "first_rollback".into(),
            to_raw_value(&self.first).map_err(unreadable)?,
        );
        let text = serde_json::to_string(&members).map_err(unreadable)?;
        let server = last.server;
        Ok(RawAnswer { text, server })
    }
}

/// A page of the list of LTMs.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows: an array.
    pub rows: RawAnswer,
    /// The next page begins before this LTM; `None` after the last page.
    pub next: Option<LtmId>,
    /// Whether the page may lack LTMs: a server of a Redis Cluster is down, or the API does not know yet which have errors.
    pub is_incomplete: bool,
}

/// The number of LTMs, by status and class.
#[derive(Clone, Debug)]
pub struct Counts {
    /// The numbers: an object with `total`, `status` and `fqn`.
    pub numbers: RawAnswer,
    /// Whether the numbers lack LTMs: the API still counts those of an older version, or there are too many statuses and
    /// classes.
    pub is_incomplete: bool,
}

/// Which LTMs a list shows: those for which every part holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Whether to list the playground instead.
    pub playground: bool,
    /// Only LTMs with one of these statuses; empty for any.
    pub statuses: Vec<String>,
    /// Only LTMs of this class, or of all classes under a prefix: `app.*`.
    pub fqn: Option<String>,
    /// Only LTMs whose name has, for each word of this text, a word that begins with it.
    pub name: Option<String>,
    /// Only LTMs that were created at this time or later: RFC 3339.
    pub created_after: Option<String>,
    /// Only LTMs that were created before this time.
    pub created_before: Option<String>,
    /// Only LTMs whose last entry was written at this time or later.
    pub updated_after: Option<String>,
    /// Only LTMs whose last entry was written before this time.
    pub updated_before: Option<String>,
    /// Only LTMs with a recorded error, or only those without.
    pub has_errors: Option<bool>,
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

/// The answer to a batch.
#[derive(Clone, Debug, Deserialize)]
pub struct AppendedBatch {
    /// The id of the LTM.
    pub id: LtmId,
    /// The cursor of the log after the write.
    pub cursor: Cursor,
    /// The index of the last snapshot, from 0.
    pub index: u64,
    /// The cursors of all snapshots, in order.
    pub cursors: Vec<Cursor>,
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
