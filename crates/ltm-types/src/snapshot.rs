//! One step of an LTM's history.

use serde::Serialize;
use serde_json::value::RawValue;

/// One step of an LTM's history, its JSON parts as text.
///
/// The fields are written in this order, which is the order that the reference's socket uses.
#[derive(Debug, Serialize)]
pub struct Snapshot<'a> {
    /// When it was taken: RFC 3339, UTC, six digits of a second.
    pub time: &'a str,
    /// Why: `start`, `execute`, `transition`, or what the producer says.
    pub reason: &'a str,
    /// What was executed; any JSON.
    pub item: &'a RawValue,
    /// RFC 6902, from the state before to the state after.
    pub patch: &'a RawValue,
    /// The executions that this step queued: a JSON array.
    pub execute_queue: &'a RawValue,
    /// The transitions that this step queued: a JSON array.
    pub transitions_queue: &'a RawValue,
}
