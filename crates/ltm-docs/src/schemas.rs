//! The schemas of what the services send. The services write most of it as text, so that JSON keeps its digits;
//! these types only describe it, and `make interfaces` compares the description with real answers and messages.

#![allow(dead_code, reason = "only described, never constructed")]

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

/// An id in a request: a number, or its text. Null stands for an absent id.
pub fn id_or_text() -> Schema {
    let of = |kind| ObjectBuilder::new().schema_type(SchemaType::Type(kind));
    let number = of(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1));
    let text = of(Type::String).pattern(Some("^[1-9][0-9]{0,18}$"));
    let any = OneOfBuilder::new().item(number).item(text);
    Schema::OneOf(any.item(of(Type::Null)).build())
}

/// One operation of a JSON Patch (RFC 6902).
#[derive(ToSchema)]
#[schema(example = json!({"op": "replace", "path": "/n", "value": 1}))]
pub struct Operation {
    /// The operation.
    op: OperationName,
    /// The target, as a JSON Pointer (RFC 6901).
    path: String,
    /// The source of `move` and `copy`.
    #[schema(nullable = false)]
    from: Option<String>,
    /// The value of `add`, `replace` and `test`.
    value: Option<Value>,
}

/// The name of an operation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OperationName {
    /// Adds a value (RFC 6902 section 4.1).
    Add,
    /// Removes the value (RFC 6902 section 4.2).
    Remove,
    /// Replaces the value (RFC 6902 section 4.3).
    Replace,
    /// Moves a value (RFC 6902 section 4.4).
    Move,
    /// Copies a value (RFC 6902 section 4.5).
    Copy,
    /// Fails if the value differs (RFC 6902 section 4.6).
    Test,
}

/// One snapshot of an LTM's history.
#[derive(ToSchema)]
pub struct Snapshot {
    /// The trace of the entry (W3C Trace Context), if it has one.
    #[schema(nullable = false)]
    traceparent: Option<String>,
    /// The time of the snapshot: RFC 3339, UTC.
    #[schema(format = DateTime)]
    time: String,
    /// `start`, `execute`, `transition`, or any word of the producer. `trimmed`: the snapshot replaces all that
    /// retention removed.
    reason: String,
    /// What the LTM executed.
    #[schema(required = true)]
    item: Value,
    /// The patch from the state before to the state after.
    patch: Vec<Operation>,
    /// The executions that this snapshot queued.
    execute_queue: Vec<Value>,
    /// The transitions that this snapshot queued.
    transitions_queue: Vec<Value>,
}

/// A rollback, in a message to subscribers.
#[derive(ToSchema)]
pub struct RollbackChange {
    /// The time of the rollback: RFC 3339, UTC.
    #[schema(format = DateTime)]
    time: String,
    /// `manual`, `replay`, or `recover rollback` if a rollback was undone.
    reason: String,
    /// The patch from the state before to the state after.
    patch: Vec<Operation>,
    /// The number of snapshots after the rollback.
    snapshots_count: u64,
    /// The index of the rollback that was undone, among all rollbacks of the LTM, from 0.
    #[schema(nullable = false)]
    rollback_index: Option<u64>,
}

/// A rollback, in the document: what it removed from the history.
#[derive(ToSchema)]
pub struct Rollback {
    /// The time of the rollback: RFC 3339, UTC.
    #[schema(format = DateTime)]
    time: String,
    /// `manual`, `replay`, or `recover rollback` if a rollback was undone.
    reason: String,
    /// The state before it.
    #[schema(value_type = Object)]
    state: Value,
    /// The snapshots before it.
    snapshots: Vec<Snapshot>,
    /// The index of the first of these snapshots.
    first_index: u64,
}

/// A recorded error, and its retries.
#[derive(ToSchema)]
pub struct RecordedError {
    /// The trace of the entry (W3C Trace Context), if it has one.
    #[schema(nullable = false)]
    traceparent: Option<String>,
    /// A UUID that the producer chose.
    #[schema(format = "uuid")]
    id: String,
    /// The id of the LTM.
    #[schema(minimum = 1)]
    ltm_id: u64,
    /// The operation that failed.
    reason: String,
    /// What the LTM was executing.
    #[schema(required = true)]
    item: Value,
    /// The retries so far.
    retries: Vec<Value>,
    /// Whether a retry is running.
    retrying: bool,
    /// Whether a retry succeeded.
    success: bool,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// One row of a list.
#[derive(ToSchema)]
pub struct Row {
    /// The id.
    #[schema(minimum = 1)]
    id: u64,
    /// The name.
    name: String,
    /// The class.
    fqn: String,
    /// The key, if it has one.
    #[schema(required = true)]
    key: Option<String>,
    /// The status: `_status` of the state, if it is known.
    #[schema(required = true)]
    status: Option<String>,
    /// The number of snapshots.
    snapshots_count: u64,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time of the last entry: RFC 3339, UTC.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// How many LTMs there are.
#[derive(ToSchema)]
pub struct ListCounts {
    /// All of them.
    total: u64,
    /// The number of LTMs with each status, for at most 100 statuses, the most frequent ones.
    status: BTreeMap<String, u64>,
    /// The number of LTMs of each class, for at most 100 classes, the largest ones.
    fqn: BTreeMap<String, u64>,
}

/// Why a subscriber gets a reset.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResetReason {
    /// The subscriber asked for it.
    Requested,
    /// Retention has removed the entries after its cursor.
    Trimmed,
    /// The log no longer contains its cursor: it was lost in a failover, or the log was recreated.
    Forked,
}

/// The full state; the subscriber replaces its own with it.
#[derive(ToSchema)]
pub struct Reset {
    reason: ResetReason,
    /// The state.
    #[schema(value_type = Object)]
    state: Value,
    /// The number of snapshots.
    snapshots_count: u64,
}

/// A whole page of a list.
#[derive(ToSchema)]
pub struct ListReset {
    reason: ResetReason,
    /// The rows, the highest id first.
    rows: Vec<Row>,
    /// The parameter `before` of the next page, if there is one.
    #[schema(required = true)]
    next: Option<u64>,
}

/// The changes on a page of a list.
#[derive(ToSchema)]
pub struct ListChange {
    /// New rows, and rows that replace those with the same id.
    rows: Vec<Row>,
    /// The ids of rows that are no longer on the page.
    removed: Vec<u64>,
    /// The parameter `before` of the next page, if there is one.
    #[schema(required = true)]
    next: Option<u64>,
}

/// The end of a subscription. A WebSocket for one LTM would close with this code.
#[derive(ToSchema)]
pub struct End {
    /// The close code.
    code: u16,
    /// The reason.
    reason: String,
}

/// An error response (RFC 9457).
#[derive(ToSchema)]
pub struct Problem {
    /// `urn:ltm-live:problem:` and the name of the kind.
    r#type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened, and what to do.
    detail: String,
    /// The invalid field, header or parameter.
    #[schema(nullable = false)]
    field: Option<String>,
    /// The index of the patch operation that failed.
    #[schema(nullable = false)]
    operation: Option<usize>,
    /// The LTM's current cursor, if the request named another one.
    #[schema(nullable = false)]
    cursor: Option<String>,
    /// The id of the request; the service's log contains it.
    #[schema(nullable = false)]
    request_id: Option<String>,
}
