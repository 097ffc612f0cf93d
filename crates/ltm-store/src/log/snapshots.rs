//! Reads the snapshots of a history from the log.

use std::collections::VecDeque;

use ltm_state::SnapshotRange;
use ltm_types::{Cursor, Entry, Kind, LtmId};

use crate::{
    error::StoreError,
    log::read::{Store, WindowBounds, damaged},
};

/// Reads snapshots of one LTM, window by window.
pub struct SnapshotReader {
    store: Store,
    id: LtmId,
    /// The snapshots that are still to be read.
    ranges: VecDeque<SnapshotRange>,
    /// The cursor of the last entry that was read.
    cursor: Option<Cursor>,
    bounds: WindowBounds,
}

impl Store {
    /// Reads the snapshots in `ranges`, which are in the order of the log, in windows of `bounds`.
    pub fn snapshots(
        &self,
        id: LtmId,
        ranges: Vec<SnapshotRange>,
        bounds: WindowBounds,
    ) -> SnapshotReader {
        SnapshotReader {
            store: self.clone(),
            id,
            ranges: ranges.into(),
            cursor: None,
            bounds,
        }
    }
}

impl SnapshotReader {
    /// The next snapshots; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Trimmed`] if retention removed them; [`StoreError::Damaged`] if the log does not match the
    /// ranges, or no longer does; [`StoreError::Unavailable`].
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        let (Some(first), Some(last)) = (self.ranges.front(), self.ranges.back()) else {
            return Ok(None);
        };
        // A window can contain several ranges, and the entries between them.
        let continued = self.cursor.filter(|at| at.seq + 1 >= first.seq);
        let after = continued.unwrap_or(just_before(first.seq));
        let most = self.bounds;
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
            // A failover has replaced these entries, or lost them.
            _ => return Err(StoreError::Trimmed(self.id)),
        }
        self.cursor = window.entries.last().map(|entry| entry.cursor);
        self.select(window.entries).map(Some)
    }

    /// Selects the snapshots of the ranges from a window, and removes them from the ranges.
    fn select(&mut self, entries: Vec<Entry>) -> Result<Vec<Entry>, StoreError> {
        let mut snapshots = Vec::with_capacity(entries.len());
        for entry in entries {
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
        Ok(snapshots)
    }

    fn changed(&self, seq: u64) -> StoreError {
        let at = Cursor { seq, check: 0 };
        damaged(self.id, at, "the log changed while it was read")
    }
}

/// The last cursor before the entry at `seq`. No entry has it.
fn just_before(seq: u64) -> Cursor {
    Cursor {
        seq: seq.saturating_sub(1),
        // The id of the entry before has a lower check, so XRANGE begins after it.
        check: u64::MAX,
    }
}
