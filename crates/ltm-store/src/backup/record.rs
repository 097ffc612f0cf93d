//! The records of a backup.

use std::collections::BTreeMap;

use ltm_types::{Cursor, LtmId};
use serde::{Deserialize, Serialize};

/// The fields of a hash in Redis.
pub(super) type Fields = BTreeMap<String, String>;

/// An entry as it is stored: its cursor, the name of its kind, and its payload, byte by byte.
pub type StoredEntry = (Cursor, String, String);

/// One record of a backup. As JSON it is an object with one member, whose name is that of the variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first record.
    Start(Start),
    /// An LTM begins: all its keys but the log.
    Ltm(Box<LtmKeys>),
    /// The next entries of its log.
    Entries(Vec<StoredEntry>),
    /// What was said of this LTM counts no more. It may begin again.
    Again(LtmId),
    /// The LTM is complete.
    End(LtmId),
    /// An LTM that was deleted: its id stays taken.
    Deleted {
        /// Its id.
        id: LtmId,
        /// The last cursor of its log.
        cursor: Cursor,
    },
    /// The record of a key whose LTM was deleted.
    Key {
        /// The class.
        fqn: String,
        /// The key.
        key: String,
        /// The id of the LTM.
        id: LtmId,
    },
    /// The Idempotency-Key of a creation.
    Creation {
        /// The key.
        key: String,
        /// What is stored for it.
        value: String,
        /// When it is forgotten, in milliseconds since 1970.
        until: i64,
    },
    /// The revoked credentials.
    Revocations(Fields),
    /// The highest id that the counter has given.
    Ids(u64),
    /// The last record: how much the backup holds.
    Complete(Count),
}

/// How a backup began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The version of the form of the records.
    pub form: u32,
    /// The version of the program.
    pub program: String,
    /// The time.
    pub time: String,
    /// Which LTMs were chosen; empty: everything.
    pub chosen: Vec<String>,
    /// The Redis that was read, as [`Redis::shown_database`](crate::Redis::shown_database) says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
}

impl Start {
    /// The form of the records that this version writes and reads.
    pub const FORM: u32 = 1;
}

/// The keys of an LTM beside its log, as they were at one moment. An absent key has no fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LtmKeys {
    /// Its id.
    pub id: LtmId,
    /// The hash `meta`.
    pub meta: Fields,
    /// The state at the beginning of a trimmed log.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub base: Fields,
    /// A stored state.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub checkpoint: Fields,
    /// The latest Idempotency-Keys.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub idem: Fields,
}

impl LtmKeys {
    /// The head of its log.
    pub(crate) fn head(&self) -> Option<Cursor> {
        self.meta.get("cursor")?.parse().ok()
    }

    /// The cursor before the first entry of its log.
    pub(crate) fn origin(&self) -> Option<Cursor> {
        match self.base.get("cursor") {
            Some(cursor) => cursor.parse().ok(),
            None => Some(Cursor::ORIGIN),
        }
    }

    /// Its class.
    pub fn fqn(&self) -> &str {
        self.meta.get("fqn").map_or("", String::as_str)
    }

    /// The number of entries in its log.
    pub fn entries(&self) -> u64 {
        let seq = |cursor: Option<Cursor>| cursor.map_or(0, |cursor| cursor.seq);
        seq(self.head()).saturating_sub(seq(self.origin()))
    }

    pub(crate) fn is_on_playground(&self) -> bool {
        self.meta.get("playground").is_some_and(|flag| flag == "1")
    }
}

/// How much a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// LTMs.
    pub ltms: u64,
    /// Entries of their logs.
    pub entries: u64,
}
