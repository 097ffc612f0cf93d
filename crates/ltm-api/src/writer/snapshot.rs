//! Appending a snapshot: a step, and what it changed.

use ltm_state::{
    Limits, State,
    json::{self, Shape},
};
use ltm_types::{Kind, Snapshot, canonical_time, now};
use serde_json::value::RawValue;

use super::{
    draft::{Change, Write, to_payload},
    error::WriteError,
};

/// The fields of a snapshot as a request gives them.
#[derive(Default)]
pub(crate) struct SnapshotFields<'a> {
    pub(crate) reason: String,
    pub(crate) time: Option<String>,
    pub(crate) item: Option<&'a RawValue>,
    pub(crate) patch: Option<&'a RawValue>,
    pub(crate) state: Option<&'a RawValue>,
    pub(crate) merge: Option<&'a RawValue>,
    pub(crate) execute_queue: Option<&'a RawValue>,
    pub(crate) transitions_queue: Option<&'a RawValue>,
}

/// A snapshot to append.
pub(crate) struct SnapshotWrite {
    pub(crate) reason: String,
    /// When it was taken; `None` for now.
    pub(crate) time: Option<String>,
    pub(crate) item: Box<RawValue>,
    pub(crate) execute_queue: Box<RawValue>,
    pub(crate) transitions_queue: Box<RawValue>,
    pub(crate) change: ltm_state::Change,
    pub(crate) limits: Limits,
}

impl SnapshotWrite {
    /// Reads the fields of a request.
    pub(crate) fn read(fields: SnapshotFields<'_>, limits: Limits) -> Result<Self, WriteError> {
        let pass = |field, value, absent, shape| {
            json::passthrough(field, value, absent, shape, limits.max_depth)
        };
        let queue = |field, value| pass(field, value, "[]", Shape::Array);
        Ok(Self {
            time: time(fields.time.as_deref())?,
            item: pass("item", fields.item, "null", Shape::Any)?,
            execute_queue: queue("execute_queue", fields.execute_queue)?,
            transitions_queue: queue("transitions_queue", fields.transitions_queue)?,
            change: ltm_state::Change::read(fields.patch, fields.state, fields.merge, &limits)?,
            reason: fields.reason,
            limits,
        })
    }

    /// Applies the change to `state`.
    pub(crate) fn apply_to(&self, state: &mut State) -> Result<Change, WriteError> {
        let snapshots_count = state.snapshots_count() + 1;
        let (patch, undo) = self.change.apply(&mut state.tree, &self.limits)?;
        let snapshot = Snapshot {
            time: &self.time.clone().unwrap_or_else(now),
            reason: &self.reason,
            item: &self.item,
            patch: &patch,
            execute_queue: &self.execute_queue,
            transitions_queue: &self.transitions_queue,
        };
        match to_payload(&snapshot) {
            Ok(payload) => Ok(Change {
                kind: Kind::Snapshot,
                payload,
                snapshots_count,
                undo: Some(undo),
            }),
            Err(error) => {
                state.tree.undo(undo);
                Err(error)
            }
        }
    }
}

impl Write for SnapshotWrite {
    async fn apply(&self, state: &mut State) -> Result<Change, WriteError> {
        self.apply_to(state)
    }
}

/// The field `time`, in the one spelling that entries have.
pub(crate) fn time(text: Option<&str>) -> Result<Option<String>, WriteError> {
    text.map(canonical_time)
        .transpose()
        .map_err(|e| WriteError::invalid("time", format!("`time`: {e}")))
}
