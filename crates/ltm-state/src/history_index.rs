//! The history index: the `seq` of every snapshot of an LTM.
//!
//! The invariant: the marks up to any `seq` that the log still contains give the history at that `seq`.
//!
//! A log is append-only. A rollback is an entry, and the snapshots that it removes from the history stay in the
//! log. The index has one mark for each entry that is not a snapshot; all entries between two marks are
//! snapshots. So it gives the current history, and the history before each rollback, without reading the log.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The index of an LTM's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryIndex {
    origin: Origin,
    /// The `seq` of the last entry.
    head: u64,
    marks: Vec<Mark>,
}

/// A summary of the entries that retention removed from the beginning of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The `seq` of the last removed entry; 0 if none was removed.
    pub seq: u64,
    /// The number of snapshots in the history at that entry.
    pub snapshots_count: u64,
    /// The number of removed rollbacks.
    pub rollbacks: u64,
}

/// An entry that is not a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    seq: u64,
    /// The number of snapshots in the history after the entry.
    count: u64,
    kind: MarkKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MarkKind {
    /// A rollback. It goes back to fewer snapshots; if it names an earlier rollback, it restores the history
    /// before that one.
    #[serde(rename = "r")]
    Rollback(Option<u64>),
    #[serde(rename = "e")]
    Error(Uuid),
    #[serde(rename = "o")]
    Other,
}

/// Snapshots that are consecutive in the history and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRange {
    /// The index of the first snapshot.
    pub index: u64,
    /// The `seq` of the first snapshot.
    pub seq: u64,
    /// The number of snapshots, at least one.
    pub len: u64,
}

/// A history of an LTM: the current one, or the one before a rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The `seq` of the entry after which the state is that of the first `trimmed` snapshots.
    pub base: u64,
    /// The number of snapshots at the beginning that retention removed.
    pub trimmed: u64,
    /// The other snapshots, in order.
    pub ranges: Vec<SnapshotRange>,
}

impl Branch {
    /// The number of snapshots in the history, including the removed ones.
    pub fn count(&self) -> u64 {
        self.ranges
            .last()
            .map_or(self.trimmed, |range| range.index + range.len)
    }

    /// The first index whose state can still be computed.
    pub fn first_index(&self) -> u64 {
        self.trimmed.saturating_sub(1)
    }

    /// The `seq` of the entry after which the state is that of the snapshot `index`. `None` if the history has no
    /// such snapshot, or retention removed it.
    pub fn seq_of(&self, index: u64) -> Option<u64> {
        if index.checked_add(1) == Some(self.trimmed) {
            return Some(self.base);
        }
        let range = self
            .ranges
            .iter()
            .find(|range| (range.index..range.index + range.len).contains(&index))?;
        Some(range.seq + (index - range.index))
    }
}

impl HistoryIndex {
    /// The index of a log that has only the removed entries of `origin` so far.
    pub fn begin_at(origin: Origin) -> Self {
        Self {
            origin,
            head: origin.seq,
            marks: Vec::new(),
        }
    }

    /// The summary of the removed entries.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The `seq` of the last entry.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The number of snapshots in the current history.
    pub fn count(&self) -> u64 {
        self.count_at(self.head)
    }

    /// The approximate memory of this index in bytes.
    pub fn bytes(&self) -> usize {
        self.marks.len() * size_of::<Mark>()
    }

    /// Adds a snapshot.
    pub fn push_snapshot(&mut self) {
        self.head += 1;
    }

    /// Adds a rollback after which the history has `count` snapshots. `undone` is the index of the rollback that
    /// it undoes.
    pub fn push_rollback(&mut self, count: u64, undone: Option<u64>) {
        self.push(count, MarkKind::Rollback(undone));
    }

    /// Whether the next entry can be a rollback after which the history has `count` snapshots: it goes back
    /// within the current history, or restores the history before the rollback `undone`.
    pub fn admits(&self, count: u64, undone: Option<u64>) -> bool {
        let Some(index) = undone else {
            return count <= self.count();
        };
        match index.checked_sub(self.origin.rollbacks) {
            Some(nth) => usize::try_from(nth)
                .ok()
                .and_then(|nth| self.rollback_seqs().get(nth).copied())
                .is_some_and(|seq| count == self.count_at(seq.saturating_sub(1))),
            // Retention removed that rollback. No history has more snapshots than the log had entries.
            None => count <= self.head,
        }
    }

    /// Adds an entry about this error.
    pub fn push_error(&mut self, id: Uuid) {
        self.push(self.count(), MarkKind::Error(id));
    }

    /// Adds an entry of any other kind.
    pub fn push_other(&mut self) {
        self.push(self.count(), MarkKind::Other);
    }

    fn push(&mut self, count: u64, kind: MarkKind) {
        self.head += 1;
        self.marks.push(Mark {
            seq: self.head,
            count,
            kind,
        });
    }

    /// The number of all rollbacks, including the removed ones.
    pub fn rollbacks_count(&self) -> u64 {
        self.origin.rollbacks + self.rollback_seqs().len() as u64
    }

    /// The rollbacks that the log still contains: the index of each among all rollbacks, and its `seq`.
    pub fn rollbacks(&self) -> impl Iterator<Item = (u64, u64)> {
        (self.origin.rollbacks..).zip(self.rollback_seqs())
    }

    /// The number of snapshots in the history right before the entry at `seq`, which the log must still contain.
    pub fn count_before(&self, seq: u64) -> u64 {
        self.count_at(seq.saturating_sub(1))
    }

    /// Whether the log still contains an error.
    pub fn has_errors(&self) -> bool {
        let is_error = |mark: &Mark| matches!(mark.kind, MarkKind::Error(_));
        self.marks.iter().any(is_error)
    }

    /// The errors, in the order in which they were first recorded: the id of each, and the `seq` of its latest
    /// entry.
    pub fn errors(&self) -> Vec<(Uuid, u64)> {
        let mut order = Vec::new();
        let mut latest = HashMap::new();
        for mark in &self.marks {
            if let MarkKind::Error(id) = mark.kind
                && latest.insert(id, mark.seq).is_none()
            {
                order.push(id);
            }
        }
        let latest = |id: Uuid| latest.get(&id).map(|&seq| (id, seq));
        order.into_iter().filter_map(latest).collect()
    }

    /// The current history.
    pub fn branch(&self) -> Branch {
        self.branch_at(self.head)
    }

    /// The history before the rollback `index`; `None` if there is no such rollback, or retention removed it.
    pub fn branch_before(&self, index: u64) -> Option<Branch> {
        let nth = index.checked_sub(self.origin.rollbacks)?;
        let seq = *self.rollback_seqs().get(usize::try_from(nth).ok()?)?;
        Some(self.branch_at(seq - 1))
    }

    /// Removes the marks of the entries up to `seq`.
    pub fn trim(&mut self, seq: u64) {
        if seq <= self.origin.seq || seq > self.head {
            return;
        }
        let dropped = self
            .rollback_seqs()
            .partition_point(|&rollback| rollback <= seq);
        self.origin = Origin {
            seq,
            snapshots_count: self.count_at(seq),
            rollbacks: self.origin.rollbacks + dropped as u64,
        };
        self.marks.retain(|mark| mark.seq > seq);
    }

    /// The number of snapshots in the history right after the entry at `seq`, which the log must still contain,
    /// or right after the last removed entry.
    fn count_at(&self, seq: u64) -> u64 {
        let before = self.marks.partition_point(|mark| mark.seq <= seq);
        match before.checked_sub(1).and_then(|last| self.marks.get(last)) {
            Some(mark) => mark.count + (seq - mark.seq),
            None => self.origin.snapshots_count + seq.saturating_sub(self.origin.seq),
        }
    }

    fn rollback_seqs(&self) -> Vec<u64> {
        let is_rollback = |mark: &&Mark| matches!(mark.kind, MarkKind::Rollback(_));
        let marks = self.marks.iter().filter(is_rollback);
        marks.map(|mark| mark.seq).collect()
    }

    /// The history right after the entry at `seq`.
    ///
    /// It is built from its end. First come the snapshots since the latest rollback. Then come the snapshots that
    /// this rollback kept: of the history before it, or of the history that it restored; and so on.
    fn branch_at(&self, seq: u64) -> Branch {
        let rollbacks = self.rollback_seqs();
        let seq_of = |index: u64| {
            let nth = index.checked_sub(self.origin.rollbacks)?;
            rollbacks.get(usize::try_from(nth).ok()?).copied()
        };
        let mut found = BranchBuilder {
            limit: u64::MAX,
            base: self.origin.seq,
            ranges: Vec::new(),
        };
        let mut until = seq;
        let mut end = self.marks.len();
        loop {
            end = self
                .marks
                .get(..end)
                .map_or(0, |marks| marks.partition_point(|mark| mark.seq <= until));
            let Some(mark) = end.checked_sub(1).and_then(|last| self.marks.get(last)) else {
                found.take(self.origin.seq, until, self.origin.snapshots_count);
                found.narrow(self.origin.snapshots_count, self.origin.seq);
                break;
            };
            found.take(mark.seq, until, mark.count);
            until = mark.seq - 1;
            if let MarkKind::Rollback(undone) = mark.kind {
                found.narrow(mark.count, mark.seq);
                match undone.map(seq_of) {
                    None => {}
                    // The marks in between belong to another history.
                    Some(Some(undone)) => until = undone - 1,
                    // Retention removed the history that this rollback restored.
                    Some(None) => break,
                }
            }
            if found.limit == 0 {
                break;
            }
        }
        found.ranges.reverse();
        Branch {
            base: found.base,
            trimmed: found.limit,
            ranges: found.ranges,
        }
    }
}

/// Builds a history from its end.
struct BranchBuilder {
    /// Only snapshots with lower indices are still missing.
    limit: u64,
    /// The `seq` of the entry after which the history has `limit` snapshots.
    base: u64,
    ranges: Vec<SnapshotRange>,
}

impl BranchBuilder {
    /// Adds the snapshots after the entry at `after`, up to the one at `until`. `index` is that of the first.
    fn take(&mut self, after: u64, until: u64, index: u64) {
        let len = (until.saturating_sub(after)).min(self.limit.saturating_sub(index));
        if len > 0 {
            self.ranges.push(SnapshotRange {
                index,
                seq: after + 1,
                len,
            });
            self.limit = index;
            self.base = after;
        }
    }

    /// Keeps only the first `count` of the missing snapshots. The history had `count` snapshots at `seq`.
    fn narrow(&mut self, count: u64, seq: u64) {
        if count <= self.limit {
            self.limit = count;
            self.base = seq;
        }
    }
}

#[cfg(test)]
#[path = "history_index/tests.rs"]
mod tests;
