//! Snapshots: the steps of a history.

use serde::Serialize;
use serde_json::value::RawValue;

/// One step of the history of an LTM, with its JSON parts as text.
///
/// The fields are written in this order, which is the order of Flou.
#[derive(Debug, Serialize)]
pub struct Snapshot<'a> {
    /// The time of the snapshot: RFC 3339, UTC, six digits of a second.
    pub time: &'a str,
    /// The reason: `start`, `execute`, `transition`, or another text of the producer.
    pub reason: &'a str,
    /// The item that was executed: any JSON.
    pub item: &'a RawValue,
    /// RFC 6902, from the state before to the state after.
    pub patch: &'a RawValue,
    /// The executions that this step queued: a JSON array.
    pub execute_queue: &'a RawValue,
    /// The transitions that this step queued: a JSON array.
    pub transitions_queue: &'a RawValue,
}
