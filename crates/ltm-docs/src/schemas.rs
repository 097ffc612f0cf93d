//! What is on the wire. Answers and messages are written as text where they arise, so these types are only
//! their description; `tests/tests/interfaces.rs` holds what the services really send against it.

#![allow(dead_code, reason = "described, never made")]

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One operation of a JSON Patch (RFC 6902).
#[derive(ToSchema)]
#[schema(example = json!({"op": "replace", "path": "/n", "value": 1}))]
pub struct Operation {
    /// What it does.
    op: OperationName,
    /// Where, as a JSON Pointer (RFC 6901).
    path: String,
    /// Where from, of `move` and `copy`.
    #[schema(nullable = false)]
    from: Option<String>,
    /// The value, of `add`, `replace` and `test`.
    value: Option<Value>,
}

/// What an operation does.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OperationName {
    /// Puts a value there (RFC 6902 section 4.1).
    Add,
    /// Takes the value away (RFC 6902 section 4.2).
    Remove,
    /// Puts another value there (RFC 6902 section 4.3).
    Replace,
    /// Moves a value there (RFC 6902 section 4.4).
    Move,
    /// Copies a value there (RFC 6902 section 4.5).
    Copy,
    /// Fails where another value is there (RFC 6902 section 4.6).
    Test,
}

/// One step of an LTM's history.
#[derive(ToSchema)]
pub struct Snapshot {
    /// The trace that it belongs to (W3C Trace Context), where it does.
    #[schema(nullable = false)]
    traceparent: Option<String>,
    /// When it was taken: RFC 3339, UTC.
    #[schema(format = DateTime)]
    time: String,
    /// Why: `start`, `execute`, `transition`, `trimmed` for the one that stands for all that retention removed, or what the
    /// producer said.
    reason: String,
    /// What was executed.
    #[schema(required = true)]
    item: Value,
    /// From the state before to the state after.
    patch: Vec<Operation>,
    /// The executions that this step queued.
    execute_queue: Vec<Value>,
    /// The transitions that this step queued.
    transitions_queue: Vec<Value>,
}

/// A rollback as subscribers hear of it.
#[derive(ToSchema)]
pub struct RollbackChange {
    /// When it was made: RFC 3339, UTC.
    #[schema(format = DateTime)]
    time: String,
    /// `manual`, `replay`, or `recover rollback` where a rollback was undone.
    reason: String,
    /// From the state before to the state after.
    patch: Vec<Operation>,
    /// How many snapshots there are from then on.
    snapshots_count: u64,
    /// The rollback that was undone, by its place among all of the LTM, from 0.
    #[schema(nullable = false)]
    rollback_index: Option<u64>,
}

/// What a rollback took out, in the document.
#[derive(ToSchema)]
pub struct Rollback {
    /// When it was made: RFC 3339, UTC.
    #[schema(format = DateTime)]
    time: String,
    /// `manual`, `replay`, or `recover rollback` where a rollback was undone.
    reason: String,
    /// The state before it.
    #[schema(value_type = Object)]
    state: Value,
    /// The snapshots before it.
    snapshots: Vec<Snapshot>,
    /// The index of the first of them.
    first_index: u64,
}

/// An error that was recorded, and what became of it.
#[derive(ToSchema)]
pub struct RecordedError {
    /// The trace that it belongs to (W3C Trace Context), where it does.
    #[schema(nullable = false)]
    traceparent: Option<String>,
    /// A UUID that the producer chose.
    #[schema(format = "uuid")]
    id: String,
    /// The LTM.
    #[schema(minimum = 1)]
    ltm_id: u64,
    /// What failed.
    reason: String,
    /// Of what.
    #[schema(required = true)]
    item: Value,
    /// What was tried since.
    retries: Vec<Value>,
    /// Whether it is being tried again.
    retrying: bool,
    /// Whether that worked.
    success: bool,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// One row of the list.
#[derive(ToSchema)]
pub struct Row {
    /// Its id.
    #[schema(minimum = 1)]
    id: u64,
    /// Its name.
    name: String,
    /// Its class.
    fqn: String,
    /// What it does, by its own word (`_status` of the state), where that is known.
    #[schema(required = true)]
    status: Option<String>,
    /// How many snapshots it has.
    snapshots_count: u64,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its log last grew.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// Why a subscriber is told to replace what it has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResetReason {
    /// It asked for it.
    Requested,
    /// What came after its cursor is no longer kept.
    Trimmed,
    /// The log does not go on from its cursor: lost in a failover, or made anew.
    Forked,
}

/// The whole state, to replace what a subscriber has.
#[derive(ToSchema)]
pub struct Reset {
    reason: ResetReason,
    /// The state.
    #[schema(value_type = Object)]
    state: Value,
    /// How many snapshots there are.
    snapshots_count: u64,
}

/// A whole page of the list.
#[derive(ToSchema)]
pub struct ListReset {
    reason: ResetReason,
    /// The rows, the highest id first.
    rows: Vec<Row>,
    /// `before` of the next page.
    #[schema(required = true)]
    next: Option<u64>,
}

/// What changed on a page of the list.
#[derive(ToSchema)]
pub struct ListChange {
    /// Rows that are new or take the place of those with their id.
    rows: Vec<Row>,
    /// The ids of those that are no longer on the page.
    removed: Vec<u64>,
    /// `before` of the next page.
    #[schema(required = true)]
    next: Option<u64>,
}

/// What on a socket of its own would be the close.
#[derive(ToSchema)]
pub struct End {
    /// The close code.
    code: u16,
    /// Why.
    reason: String,
}

/// An error answer (RFC 9457).
#[derive(ToSchema)]
pub struct Problem {
    /// `urn:ltm-live:problem:` and the name of the kind.
    r#type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened here, and what to do.
    detail: String,
    /// The field, header or parameter that is wrong.
    #[schema(nullable = false)]
    field: Option<String>,
    /// The index of the patch operation that failed.
    #[schema(nullable = false)]
    operation: Option<usize>,
    /// The LTM's current cursor, where the request was about another.
    #[schema(nullable = false)]
    cursor: Option<String>,
    /// The id of the request, as the service's log has it.
    #[schema(nullable = false)]
    request_id: Option<String>,
}
