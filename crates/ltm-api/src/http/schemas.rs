//! The answers that are streamed. They are written as text, so these types only describe them; `make interfaces`
//! compares them with real answers.

#![allow(dead_code, reason = "described, never made")]

use ltm_docs::schemas::{RecordedError, Rollback, Snapshot};
use serde_json::Value;
use utoipa::ToSchema;

/// An LTM: its state, its history and its errors.
#[derive(ToSchema)]
pub(crate) struct Document {
    #[schema(minimum = 1)]
    id: u64,
    /// The cursor to follow from.
    cursor: String,
    name: String,
    /// The state now.
    #[schema(value_type = Object)]
    state: Value,
    /// The history.
    snapshots: Vec<Snapshot>,
    /// The index of the first of them: more than 0 if retention removed those before.
    first_index: u64,
    /// The class.
    fqn: String,
    /// The key, if it has one.
    #[schema(required = true)]
    key: Option<String>,
    #[schema(value_type = Object)]
    params: Value,
    /// The machine: `name`, `fqn`, and its parts.
    #[schema(value_type = Object)]
    structure: Value,
    #[schema(value_type = Object)]
    concurrent_instances: Value,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    snapshots_count: u64,
    /// The number of rollbacks, including those that retention removed.
    rollbacks_count: u64,
    /// The LTM that this one is a copy of.
    #[schema(nullable = false)]
    source_id: Option<u64>,
    errors: Vec<RecordedError>,
    /// The index of the first of `rollbacks`, if the request asked for them.
    #[schema(nullable = false)]
    first_rollback: Option<u64>,
    /// The histories that rollbacks took out, if the request asked for them: a page of at most 100.
    #[schema(nullable = false)]
    rollbacks: Option<Vec<Rollback>>,
    /// The first rollback of the next page (`from_rollback`), if there is one.
    #[schema(nullable = false)]
    next_rollback: Option<u64>,
}

/// A page of the rollbacks.
#[derive(ToSchema)]
pub(crate) struct RollbacksPage {
    #[schema(minimum = 1)]
    id: u64,
    cursor: String,
    /// The index of the first rollback on the page.
    from: u64,
    rollbacks: Vec<RollbackRow>,
    /// The index of the first rollback that is kept.
    first_rollback: u64,
    /// The number of rollbacks, including those that retention removed.
    rollbacks_count: u64,
}

/// A rollback.
#[derive(ToSchema)]
pub(crate) struct RollbackRow {
    /// Its index among all rollbacks, from 0.
    index: u64,
    /// The cursor of its entry.
    cursor: String,
    #[schema(format = DateTime)]
    time: String,
    /// `manual`, `replay`, or `recover rollback` if it undoes a rollback.
    reason: String,
    /// The index of the last snapshot that is kept: -1 if none is, null if it undoes a rollback.
    #[schema(minimum = -1)]
    snapshot_index: Option<i64>,
    /// The rollback that it undoes.
    rollback_index: Option<u64>,
    /// The number of snapshots before it. `GET /ltm/{id}/snapshots?rollback=` has them.
    snapshots_before: u64,
    /// The number of snapshots after it.
    snapshots_count: u64,
}

/// A page of a history.
#[derive(ToSchema)]
pub(crate) struct SnapshotsPage {
    #[schema(minimum = 1)]
    id: u64,
    cursor: String,
    /// The index of the first snapshot on the page.
    from: u64,
    snapshots: Vec<Snapshot>,
    /// The index of the first snapshot that is kept.
    first_index: u64,
    /// The number of snapshots in the history.
    snapshots_count: u64,
}

/// A state, and the snapshot after which it is the state.
#[derive(ToSchema)]
pub(crate) struct StateAt {
    #[schema(minimum = 1)]
    id: u64,
    cursor: String,
    /// The snapshot's index; -1 before the first.
    #[schema(minimum = -1)]
    index: i64,
    #[schema(value_type = Object)]
    state: Value,
}
