//! Going back to a snapshot, or undoing a rollback.

use std::sync::Arc;

use json_patch::PatchOperation;
use ltm_state::{ChangeError, HistoryIndex, Limits, State, Tree, diff};
use ltm_store::Store;
use ltm_types::{Cursor, Kind, LtmId, Rollback, RollbackChange};
use serde_json::{Map, value::to_raw_value};

use super::{
    draft::{Change, Write, to_payload},
    error::WriteError,
};
use crate::{
    json_work::JsonWork,
    reader::{PointInTime, ReadError, Reader, despite_trims},
};

/// The history to go back to.
#[derive(Clone, Copy)]
pub(crate) enum RollbackTarget {
    /// The snapshot with this index is the last that is kept.
    Snapshot(u64),
    /// The engine is about to take the snapshot with this index again: those before it are kept.
    Replay(u64),
    /// The history that this rollback took out.
    Undo(u64),
}

/// A rollback to append.
pub(crate) struct RollbackTo<'a> {
    reader: &'a Reader,
    json_work: &'a JsonWork,
    id: LtmId,
    pub(crate) target: RollbackTarget,
    time: String,
    /// What the target was when it was looked up, before the state was locked: it may be far back.
    found: Option<Arc<Earlier>>,
}

/// The LTM at the target.
struct Earlier {
    tree: Tree,
    snapshots_count: u64,
    /// The rollbacks that there were when it was looked up: an index means the same until the next.
    rollbacks_count: u64,
    /// The log's head then.
    head: Cursor,
}

impl<'a> RollbackTo<'a> {
    pub(crate) fn new(
        reader: &'a Reader,
        json_work: &'a JsonWork,
        id: LtmId,
        target: RollbackTarget,
        time: String,
    ) -> Self {
        Self {
            reader,
            json_work,
            id,
            target,
            time,
            found: None,
        }
    }

    fn store(&self) -> &Store {
        self.reader.store()
    }

    /// Whether `earlier` is the target at `state`, too.
    async fn still_holds(&self, earlier: &Earlier, state: &State) -> Result<bool, WriteError> {
        if state.index.rollbacks_count() != earlier.rollbacks_count {
            return Ok(false);
        }
        // A log that lost its tail may have another history under the same indices.
        let head = earlier.head;
        Ok(state.cursor == head || self.store().entry(self.id, head).await?.is_some())
    }

    async fn find(&self, now: PointInTime) -> Result<Arc<Earlier>, ReadError> {
        let (seq, snapshots_count) = self.target.seq(now.id, &now.index)?;
        let tree = match seq {
            None => Tree::default(),
            Some(seq) => self.reader.state_after(now.id, seq).await?.tree,
        };
        Ok(Arc::new(Earlier {
            tree,
            snapshots_count,
            rollbacks_count: now.index.rollbacks_count(),
            head: now.cursor,
        }))
    }

    async fn go_back(
        &self,
        state: &mut State,
        earlier: Arc<Earlier>,
    ) -> Result<Change, WriteError> {
        let (target, time) = (self.target, self.time.clone());
        let cost = state.tree.bytes().max(earlier.tree.bytes());
        let work = move |state: &mut State| earlier.change(target, &time, state);
        self.json_work.run_on(cost, state, work).await?
    }
}

impl Earlier {
    /// Makes `state` what it was then.
    fn change(
        &self,
        target: RollbackTarget,
        time: &str,
        state: &mut State,
    ) -> Result<Change, WriteError> {
        let none = Map::new();
        let from = state.tree.value().as_object().unwrap_or(&none);
        let to = self.tree.value().as_object().unwrap_or(&none);
        let operations: Vec<PatchOperation> = diff::diff(from, to);
        let payload = to_payload(&Rollback {
            snapshot_index: target.snapshot_index(),
            rollback: RollbackChange {
                time: time.into(),
                reason: target.reason().into(),
                patch: &to_raw_value(&operations).map_err(WriteError::Unwritable)?,
                snapshots_count: self.snapshots_count,
                rollback_index: target.undone(),
            },
        })?;
        // A state that the LTM had may be returned to, whatever the limits are now.
        let undo = state
            .tree
            .apply_owned(operations, &Limits::UNLIMITED)
            .map_err(|source| ChangeError::Patch {
                field: "rollback",
                source,
            })?;
        Ok(Change {
            kind: Kind::Rollback,
            payloads: vec![payload],
            snapshots_count: self.snapshots_count,
            undo: vec![undo],
        })
    }
}

impl Write for RollbackTo<'_> {
    async fn prepare(&mut self) -> Result<(), WriteError> {
        let find = async || self.find(self.reader.now(self.id).await?).await;
        self.found = Some(despite_trims(find).await?);
        Ok(())
    }

    async fn apply(&mut self, state: &mut State) -> Result<Change, WriteError> {
        if let Some(found) = &self.found
            && self.still_holds(found, state).await?
        {
            return self.go_back(state, found.clone()).await;
        }
        let find = async || self.find(self.reader.at(self.id, state).await?).await;
        let found = despite_trims(find).await?;
        self.go_back(state, found).await
    }
}

impl RollbackTarget {
    /// The last snapshot that is kept, as messages spell it.
    pub(crate) fn snapshot_index(self) -> Option<i64> {
        let signed = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
        match self {
            Self::Snapshot(index) => Some(signed(index)),
            Self::Replay(index) => Some(signed(index) - 1),
            Self::Undo(_) => None,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Snapshot(_) => "manual",
            Self::Replay(_) => "replay",
            Self::Undo(_) => "recover rollback",
        }
    }

    /// The rollback that this undoes.
    fn undone(self) -> Option<u64> {
        match self {
            Self::Undo(index) => Some(index),
            Self::Snapshot(_) | Self::Replay(_) => None,
        }
    }

    /// The `seq` in the log after which the state is the target (`None`: before the first entry), and how many
    /// snapshots there are then.
    fn seq(self, id: LtmId, log: &HistoryIndex) -> Result<(Option<u64>, u64), ReadError> {
        let branch = log.branch();
        match self {
            Self::Replay(0) if branch.count() > 0 => Ok((None, 0)),
            Self::Snapshot(index) | Self::Replay(index) => {
                let kept = match self {
                    // The snapshot itself must exist, too.
                    Self::Replay(_) if branch.seq_of(index).is_some() => index.checked_sub(1),
                    Self::Replay(_) => None,
                    _ => Some(index),
                };
                let seq = kept.and_then(|kept| Some((Some(branch.seq_of(kept)?), kept + 1)));
                seq.ok_or_else(|| {
                    let (first, count) = (branch.first_index(), branch.count());
                    let last = i128::from(count) - 1;
                    let problem = format!(
                        "LTM {id} has no snapshot {index} to go back to; it has {first} to {last}"
                    );
                    ReadError::invalid("snapshot.index", problem)
                })
            }
            Self::Undo(index) => {
                let mut rollbacks = log.rollbacks();
                let taken_out = rollbacks
                    .find(|&(nth, _)| nth == index)
                    .and_then(|(_, seq)| Some((Some(seq - 1), log.branch_before(index)?.count())));
                taken_out.ok_or_else(|| {
                    let (first, count) = (log.origin().rollbacks, log.rollbacks_count());
                    let problem = match count.checked_sub(1) {
                        Some(last) if first <= last => {
                            format!("LTM {id} has no rollback {index}; it has {first} to {last}")
                        }
                        _ => format!("LTM {id} has no rollback that can be undone"),
                    };
                    ReadError::invalid("rollback.index", problem)
                })
            }
        }
    }
}
