//! Appending snapshots: one, or a batch of which all land or none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ltm_state::{Limits, State, Work};
use ltm_types::{Cursor, Kind};

use super::{
    draft::{Change, Write, undo_all},
    error::WriteError,
    snapshot::SnapshotWrite,
};
use crate::json_work::JsonWork;

/// Snapshots to append together.
pub(crate) struct Snapshots {
    snapshots: Vec<SnapshotWrite>,
    /// Whether the request is a batch: an error names the snapshot.
    is_batch: bool,
    /// The cursor at which to write; `None` for any.
    base: Option<Cursor>,
    limits: Limits,
}

impl Snapshots {
    /// The snapshot of a request that has no other.
    pub(crate) fn one(snapshot: SnapshotWrite) -> Self {
        Self {
            is_batch: false,
            base: snapshot.base,
            limits: snapshot.limits,
            snapshots: vec![snapshot],
        }
    }

    /// The snapshots of a batch: at least one.
    pub(crate) fn batch(
        snapshots: Vec<SnapshotWrite>,
        base: Option<Cursor>,
        limits: Limits,
    ) -> Self {
        Self {
            snapshots,
            is_batch: true,
            base,
            limits,
        }
    }

    /// Applies the changes to `state`: all or none.
    pub(crate) fn apply_to(&mut self, state: &mut State) -> Result<Change, WriteError> {
        let count = self.snapshots.len();
        let mut work = Work::within(&self.limits);
        let (mut payloads, mut undo) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (index, snapshot) in self.snapshots.iter_mut().enumerate() {
            match snapshot.apply_to(state, &mut work) {
                Ok((payload, change)) => {
                    payloads.push(payload);
                    undo.push(change);
                }
                Err(error) => {
                    undo_all(undo, state);
                    return Err(if self.is_batch {
                        error.in_snapshot(index)
                    } else {
                        error
                    });
                }
            }
        }
        Ok(Change {
            kind: Kind::Snapshot,
            snapshots_count: state.snapshots_count() + payloads.len() as u64,
            payloads,
            undo,
        })
    }

    /// The bytes of JSON that it takes to apply them, at a guess.
    fn cost(&self, state: &State) -> usize {
        let costs = self.snapshots.iter().map(|it| it.change.cost(&state.tree));
        costs.fold(0, usize::saturating_add)
    }
}

/// Snapshots to append to an LTM whose state may be large.
pub(crate) struct SnapshotsAppend {
    snapshots: Arc<Mutex<Snapshots>>,
    json_work: JsonWork,
}

impl SnapshotsAppend {
    pub(crate) fn new(snapshots: Snapshots, json_work: JsonWork) -> Self {
        Self {
            snapshots: Arc::new(Mutex::new(snapshots)),
            json_work,
        }
    }

    /// Whether the request is a batch.
    pub(crate) fn is_batch(&self) -> bool {
        lock(&self.snapshots).is_batch
    }
}

fn lock(snapshots: &Mutex<Snapshots>) -> MutexGuard<'_, Snapshots> {
    snapshots.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Write for SnapshotsAppend {
    fn base(&self) -> Option<Cursor> {
        lock(&self.snapshots).base
    }

    async fn apply(&mut self, state: &mut State) -> Result<Change, WriteError> {
        let snapshots = self.snapshots.clone();
        let cost = lock(&snapshots).cost(state);
        let work = move |state: &mut State| lock(&snapshots).apply_to(state);
        self.json_work.run_on(cost, state, work).await?
    }
}
