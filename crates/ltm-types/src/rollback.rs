//! Rollbacks.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The content of an entry of kind `rollback`: the members of its message.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rollback<'a> {
    /// The index of the last snapshot that is kept; -1 if none is; null if it undoes a rollback.
    pub snapshot_index: Option<i64>,
    /// The change that it makes.
    #[serde(borrow)]
    pub rollback: RollbackChange<'a>,
}

/// What a rollback does to the state and the snapshots.
#[derive(Debug, Serialize, Deserialize)]
pub struct RollbackChange<'a> {
    /// The time of the rollback: RFC 3339, UTC, six digits of a second.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// The reason: `manual`, `replay`, or `recover rollback` if it undoes a rollback.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    /// RFC 6902, from the state before to the state after.
    #[serde(borrow)]
    pub patch: &'a RawValue,
    /// The number of snapshots after it.
    pub snapshots_count: u64,
    /// The rollback that it undoes: its index among all rollbacks of the LTM, from 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollback_index: Option<u64>,
}
