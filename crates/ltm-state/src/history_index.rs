//! Where an LTM's snapshots are in its log.
//!
//! A log only grows: a rollback is an entry, and the snapshots that it takes out of the LTM's
//! history stay where they are. The index says which entries are the history now, and which were
//! it when each rollback was made. It has one mark for each entry that is no snapshot; everything
//! between two marks is snapshots, so that an index is a place in the log without reading it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an LTM's log holds, as an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryIndex {
    origin: Origin,
    /// The place of the last entry.
    head: u64,
    marks: Vec<Mark>,
}

/// What came before the entries that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The place (`seq`) of the last entry that is not kept; 0 where all are.
    pub seq: u64,
    /// How many snapshots the LTM had there.
    pub snapshots_count: u64,
    /// How many rollbacks had been made.
    pub rollbacks: u64,
}

/// An entry that is no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    seq: u64,
    /// The LTM's snapshots once the entry is there.
    count: u64,
    kind: MarkKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MarkKind {
    /// Back to fewer snapshots, or, where a rollback is named, to those that it had taken out.
    #[serde(rename = "r")]
    Rollback(Option<u64>),
    #[serde(rename = "e")]
    Error(Uuid),
    #[serde(rename = "o")]
    Other,
}

/// Snapshots that follow one another in the history and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The index of the first.
    pub index: u64,
    /// The place of the first in the log.
    pub seq: u64,
    /// How many there are, at least one.
    pub len: u64,
}

/// A history of an LTM: the one it has, or one that a rollback took out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The place in the log after which the state is that of the first `trimmed` snapshots.
    pub base: u64,
    /// How many snapshots at the beginning are no longer kept one by one.
    pub trimmed: u64,
    /// The others, in order.
    pub spans: Vec<Span>,
}

impl Branch {
    /// How many snapshots the history has, with those that are not kept.
    pub fn count(&self) -> u64 {
        self.spans
            .last()
            .map_or(self.trimmed, |span| span.index + span.len)
    }

    /// The first index whose state is known.
    pub fn first_index(&self) -> u64 {
        self.trimmed.saturating_sub(1)
    }

    /// The place in the log after which the state is that of the snapshot `index`; `None` where
    /// there is no such snapshot, or it is no longer kept.
    pub fn place(&self, index: u64) -> Option<u64> {
        if index.checked_add(1) == Some(self.trimmed) {
            return Some(self.base);
        }
        let span = self
            .spans
            .iter()
            .find(|span| (span.index..span.index + span.len).contains(&index))?;
        Some(span.seq + (index - span.index))
    }
}

impl HistoryIndex {
    /// The outline of a log whose first entries are gone.
    pub fn begin_at(origin: Origin) -> Self {
        Self {
            origin,
            head: origin.seq,
            marks: Vec::new(),
        }
    }

    /// What came before the entries that are kept.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The place of the last entry.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The LTM's snapshots now.
    pub fn count(&self) -> u64 {
        self.count_at(self.head)
    }

    /// Bytes that this takes in memory, about.
    pub fn bytes(&self) -> usize {
        self.marks.len() * size_of::<Mark>()
    }

    /// Notes that the next entry is a snapshot.
    pub fn push_snapshot(&mut self) {
        self.head += 1;
    }

    /// Notes that the next entry is a rollback after which there are `count` snapshots; `undone` is
    /// the rollback that it undoes.
    pub fn push_rollback(&mut self, count: u64, undone: Option<u64>) {
        self.push(count, MarkKind::Rollback(undone));
    }

    /// Whether the next entry can be a rollback after which there are `count` snapshots: it goes back
    /// to some of those that there are, or undoes a rollback and brings back those before it.
    pub fn admits(&self, count: u64, undone: Option<u64>) -> bool {
        let Some(index) = undone else {
            return count <= self.count();
        };
        match index.checked_sub(self.origin.rollbacks) {
            Some(nth) => usize::try_from(nth)
                .ok()
                .and_then(|nth| self.rollback_places().get(nth).copied())
                .is_some_and(|place| count == self.count_at(place.saturating_sub(1))),
            // It is no longer kept; no history has more snapshots than the log had entries.
            None => count <= self.head,
        }
    }

    /// Notes that the next entry is about this error.
    pub fn push_error(&mut self, id: Uuid) {
        self.push(self.count(), MarkKind::Error(id));
    }

    /// Notes that the next entry is none of these.
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

    /// How many rollbacks have been made, with those that are no longer kept.
    pub fn rollbacks_count(&self) -> u64 {
        self.origin.rollbacks + self.rollback_places().len() as u64
    }

    /// The rollbacks that are kept: which it is among all, and its place in the log.
    pub fn rollbacks(&self) -> impl Iterator<Item = (u64, u64)> {
        (self.origin.rollbacks..).zip(self.rollback_places())
    }

    /// The errors, in the order in which they were first recorded: each with the place of its
    /// latest entry.
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
        let place = |id: Uuid| latest.get(&id).map(|&seq| (id, seq));
        order.into_iter().filter_map(place).collect()
    }

    /// The history now.
    pub fn branch(&self) -> Branch {
        self.branch_at(self.head)
    }

    /// The history that the rollback `index` took out; `None` where there is no such rollback, or
    /// it is no longer kept.
    pub fn branch_before(&self, index: u64) -> Option<Branch> {
        let nth = index.checked_sub(self.origin.rollbacks)?;
        let place = *self.rollback_places().get(usize::try_from(nth).ok()?)?;
        Some(self.branch_at(place - 1))
    }

    /// Forgets what is only about entries up to the place `seq`.
    pub fn trim(&mut self, seq: u64) {
        if seq <= self.origin.seq || seq > self.head {
            return;
        }
        let dropped = self
            .rollback_places()
            .partition_point(|&place| place <= seq);
        self.origin = Origin {
            seq,
            snapshots_count: self.count_at(seq),
            rollbacks: self.origin.rollbacks + dropped as u64,
        };
        self.marks.retain(|mark| mark.seq > seq);
    }

    /// The LTM's snapshots right after the entry at `seq`, which must be kept or the origin.
    fn count_at(&self, seq: u64) -> u64 {
        let before = self.marks.partition_point(|mark| mark.seq <= seq);
        match before.checked_sub(1).and_then(|last| self.marks.get(last)) {
            Some(mark) => mark.count + (seq - mark.seq),
            None => self.origin.snapshots_count + seq.saturating_sub(self.origin.seq),
        }
    }

    fn rollback_places(&self) -> Vec<u64> {
        let is_rollback = |mark: &&Mark| matches!(mark.kind, MarkKind::Rollback(_));
        let marks = self.marks.iter().filter(is_rollback);
        marks.map(|mark| mark.seq).collect()
    }

    /// The history as it was right after the entry at `seq`.
    ///
    /// It is found from its end: the snapshots since the latest rollback before that place, then as
    /// many as that rollback kept of the history before it, or of the one that it brought back.
    fn branch_at(&self, seq: u64) -> Branch {
        let rollbacks = self.rollback_places();
        let place_of = |index: u64| {
            let nth = index.checked_sub(self.origin.rollbacks)?;
            rollbacks.get(usize::try_from(nth).ok()?).copied()
        };
        let mut found = Backwards {
            limit: u64::MAX,
            base: self.origin.seq,
            spans: Vec::new(),
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
                match undone.map(place_of) {
                    None => {}
                    // Marks between are of a history that this one is not.
                    Some(Some(place)) => until = place - 1,
                    // What it brought back is no longer kept.
                    Some(None) => break,
                }
            }
            if found.limit == 0 {
                break;
            }
        }
        found.spans.reverse();
        Branch {
            base: found.base,
            trimmed: found.limit,
            spans: found.spans,
        }
    }
}

/// A history that is put together from its end.
struct Backwards {
    /// Only snapshots with lower indices are still part of it.
    limit: u64,
    /// The place in the log after which the state is that of `limit` snapshots.
    base: u64,
    spans: Vec<Span>,
}

impl Backwards {
    /// Takes the snapshots after the place `after`, up to `until`, the first of which has `index`.
    fn take(&mut self, after: u64, until: u64, index: u64) {
        let len = (until.saturating_sub(after)).min(self.limit.saturating_sub(index));
        if len > 0 {
            self.spans.push(Span {
                index,
                seq: after + 1,
                len,
            });
            self.limit = index;
            self.base = after;
        }
    }

    /// Notes that at the place `seq` there were `count` snapshots.
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
