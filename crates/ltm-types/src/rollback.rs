//! Going back in an LTM's history.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What an entry of the kind `rollback` holds: the members of its message.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rollback<'a> {
    /// The last snapshot that is kept; -1 where none is; null where a rollback was undone.
    pub snapshot_index: Option<i64>,
    /// What it does.
    #[serde(borrow)]
    pub rollback: RollbackChange<'a>,
}

/// What a rollback does to the state and the snapshots.
#[derive(Debug, Serialize, Deserialize)]
pub struct RollbackChange<'a> {
    /// When it was made: RFC 3339, UTC, six digits of a second.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// Why: `manual`, `replay`, or `recover rollback` where a rollback was undone.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    /// RFC 6902, from the state before to the state after.
    #[serde(borrow)]
    pub patch: &'a RawValue,
    /// How many snapshots there are from then on.
    pub snapshots_count: u64,
    /// The rollback that was undone, by its place among all rollbacks of the LTM, from 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollback_index: Option<u64>,
}
