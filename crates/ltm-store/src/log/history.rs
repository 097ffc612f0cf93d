//! Walking through a history of an LTM.

use std::collections::VecDeque;

use ltm_state::SnapshotRange;
use ltm_types::{Cursor, Entry, Kind, LtmId};

use crate::{
    error::StoreError,
    log::read::{Store, WindowBounds, damaged},
};

/// A walk through snapshots of one LTM, window by window.
pub struct History {
    store: Store,
    id: LtmId,
    ranges: VecDeque<SnapshotRange>,
    /// The last entry that was read.
    position: Option<Cursor>,
}

impl Store {
    /// Walks through the snapshots in `ranges`, which are in the order of the log.
    pub fn history(&self, id: LtmId, ranges: Vec<SnapshotRange>) -> History {
        History {
            store: self.clone(),
            id,
            ranges: ranges.into(),
            position: None,
        }
    }
}

impl History {
    /// The next snapshots; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Trimmed`] where they are no longer kept; [`StoreError::Damaged`] where the log
    /// is not what the ranges say (any more); [`StoreError::Unavailable`].
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        let (Some(first), Some(last)) = (self.ranges.front(), self.ranges.back()) else {
            return Ok(None);
        };
        // Spans that are close to each other are read in one go, with what is between them.
        let continued = self.position.filter(|at| at.seq + 1 >= first.seq);
        let after = continued.unwrap_or(place_before(first.seq));
        let most = WindowBounds::default();
        let left = last.seq + last.len - 1 - after.seq;
        let bounds = WindowBounds {
            entries: usize::try_from(left).map_or(most.entries, |left| left.min(most.entries)),
            ..most
        };
        let window = self.store.window(self.id, after, bounds).await?;
        match window.entries.first() {
            Some(entry) if entry.cursor.seq > first.seq.max(after.seq + 1) => {
                return Err(StoreError::Trimmed(self.id));
            }
            None if window.head.seq >= first.seq => return Err(StoreError::Trimmed(self.id)),
            Some(entry) if continued.is_none_or(|at| entry.continues(at)) => {}
            _ => return Err(self.changed(first.seq)),
        }
        self.position = window.entries.last().map(|entry| entry.cursor);
        let mut snapshots = Vec::with_capacity(window.entries.len());
        for entry in window.entries {
            let Some(range) = self.ranges.front_mut() else {
                break;
            };
            if entry.cursor.seq < range.seq {
                continue;
            }
            if entry.cursor.seq > range.seq || entry.kind != Kind::Snapshot {
                return Err(self.changed(entry.cursor.seq));
            }
            range.seq += 1;
            range.len -= 1;
            if range.len == 0 {
                self.ranges.pop_front();
            }
            snapshots.push(entry);
        }
        Ok(Some(snapshots))
    }

    fn changed(&self, seq: u64) -> StoreError {
        let at = Cursor { seq, check: 0 };
        damaged(self.id, at, "it changed while it was read")
    }
}

/// A place right before the entry at `seq`, whatever comes before that.
fn place_before(seq: u64) -> Cursor {
    Cursor {
        seq: seq.saturating_sub(1),
        // After whatever entry has that place.
        check: u64::MAX,
    }
}
