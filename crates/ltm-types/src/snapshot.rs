//! One step of an LTM's history.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One step of an LTM's history, its JSON parts as text.
///
/// The fields are written in this order, which is the order that the reference's socket uses.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot<'a> {
    /// When it was taken: RFC 3339, UTC, six digits of a second.
    pub time: &'a str,
    /// Why: `start`, `execute`, `transition`, or what the producer says.
    pub reason: String,
    /// What was executed; any JSON.
    #[serde(borrow)]
    pub item: &'a RawValue,
    /// RFC 6902, from the state before to the state after.
    #[serde(borrow)]
    pub patch: &'a RawValue,
    /// The executions that this step queued: a JSON array.
    #[serde(borrow)]
    pub execute_queue: &'a RawValue,
    /// The transitions that this step queued: a JSON array.
    #[serde(borrow)]
    pub transitions_queue: &'a RawValue,
}

/// The time now as snapshots, documents and rows spell it: RFC 3339, UTC, six digits of a second.
pub fn now() -> String {
    format!("{:.6}", Timestamp::now())
}
