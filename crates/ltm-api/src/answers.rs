//! What the calls take and answer, for their description. Bodies are read and answers written as text where they are, so
//! these types are only described; `tests/tests/interfaces.rs` holds what is really answered against it.

#![allow(dead_code, reason = "described, never made")]

use ltm_docs::schemas::{RecordedError, Rollback, Snapshot};
use serde_json::Value;
use utoipa::ToSchema;

/// The answer to a creation.
#[derive(ToSchema)]
pub(crate) struct Created {
    #[schema(minimum = 1)]
    id: u64,
    /// Where its log is: to follow from.
    cursor: String,
}

/// An LTM: all that is known of it.
#[derive(ToSchema)]
pub(crate) struct Document {
    #[schema(minimum = 1)]
    id: u64,
    /// Where its log is: to follow from.
    cursor: String,
    name: String,
    /// The state now.
    #[schema(value_type = Object)]
    state: Value,
    /// Its history.
    snapshots: Vec<Snapshot>,
    /// The index of the first of them: more than 0 where retention removed those before.
    first_index: u64,
    /// Its class.
    fqn: String,
    #[schema(value_type = Object)]
    params: Value,
    /// The machine: `name`, `fqn`, and what it is made of.
    #[schema(value_type = Object)]
    structure: Value,
    #[schema(value_type = Object)]
    concurrent_instances: Value,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    snapshots_count: u64,
    /// The LTM that this is a copy of.
    #[schema(nullable = false)]
    source_id: Option<u64>,
    errors: Vec<RecordedError>,
    /// The number of the first of `rollbacks`; where they were asked for.
    #[schema(nullable = false)]
    first_rollback: Option<u64>,
    /// What rollbacks took out; where it was asked for.
    #[schema(nullable = false)]
    rollbacks: Option<Vec<Rollback>>,
}

/// A page of a history.
#[derive(ToSchema)]
pub(crate) struct SnapshotsPage {
    #[schema(minimum = 1)]
    id: u64,
    cursor: String,
    /// The index of the first on the page.
    from: u64,
    snapshots: Vec<Snapshot>,
    /// The index of the first that is kept.
    first_index: u64,
    /// How many there are.
    snapshots_count: u64,
}

/// A state, and what it is as of.
#[derive(ToSchema)]
pub(crate) struct StateAt {
    #[schema(minimum = 1)]
    id: u64,
    cursor: String,
    /// The snapshot after which it is so; -1 before the first.
    #[schema(minimum = -1)]
    index: i64,
    #[schema(value_type = Object)]
    state: Value,
}

/// The answer to an append.
#[derive(ToSchema)]
pub(crate) struct Appended {
    #[schema(minimum = 1)]
    id: u64,
    cursor: String,
    /// The snapshot's place in the history.
    index: u64,
    /// The snapshot; null where it was appended before, and is no longer kept.
    #[schema(required = true)]
    snapshot: Option<Snapshot>,
}

/// The answer to a rollback.
#[derive(ToSchema)]
pub(crate) struct RolledBack {
    success: bool,
    #[schema(minimum = 1)]
    id: u64,
    cursor: String,
    /// The last snapshot that is kept; -1 where none is, null where a rollback was undone.
    #[schema(required = true)]
    snapshot_index: Option<i64>,
    snapshots_count: u64,
}

/// The answer to the report of an error.
#[derive(ToSchema)]
pub(crate) struct Reported {
    #[schema(minimum = 1)]
    id: u64,
    cursor: String,
    /// The error; null where it was recorded before, and is no longer kept.
    #[schema(required = true)]
    error: Option<RecordedError>,
}

/// The answer to a copy.
#[derive(ToSchema)]
pub(crate) struct Copied {
    #[schema(minimum = 1)]
    copy_id: u64,
    cursor: String,
}

/// The answer to a deletion.
#[derive(ToSchema)]
pub(crate) struct Deleted {
    #[schema(minimum = 1)]
    id: u64,
    /// The last cursor that it will have had.
    cursor: String,
    deleted: bool,
}

/// A ticket.
#[derive(ToSchema)]
pub(crate) struct Ticketed {
    ticket: String,
    /// Seconds.
    expires_in: f64,
}

/// What is kept of an LTM, where that is not what the settings say; null switches a rule off.
#[derive(ToSchema)]
pub(crate) struct Retained {
    /// At least this many of the latest entries are kept.
    max_entries: Option<u64>,
    /// Entries that are older may be removed: `90d`, `12h`.
    max_age: Option<String>,
    /// It is deleted where nobody wrote to it for so long.
    idle_ttl: Option<String>,
}
