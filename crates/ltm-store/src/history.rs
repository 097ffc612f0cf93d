//! Walking through a log up to where it was when the walk began.

use ltm_types::{Cursor, Entry, LtmId};

use crate::{
    error::StoreError,
    log::{Store, WindowBounds, damaged},
};

/// A walk through the log of one LTM, window by window.
pub struct History {
    store: Store,
    id: LtmId,
    position: Cursor,
    until: Cursor,
}

impl Store {
    /// Walks through the log of `id` after the place `from` (a `seq`), up to `until`.
    pub fn history(&self, id: LtmId, from: u64, until: Cursor) -> History {
        // The highest check, so that the walk begins after whatever entry has this seq.
        let position = if from == 0 {
            Cursor::ORIGIN
        } else {
            Cursor {
                seq: from,
                check: u64::MAX,
            }
        };
        History {
            store: self.clone(),
            id,
            position,
            until,
        }
    }
}

impl History {
    /// The next entries; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Trimmed`] where the first entries are no longer kept; [`StoreError::Damaged`]
    /// where the log does not lead to `until` (any more); [`StoreError::Unavailable`].
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        if self.position.seq >= self.until.seq {
            return Ok(None);
        }
        let window = self
            .store
            .window(self.id, self.position, WindowBounds::default())
            .await?;
        let mut entries = window.entries;
        entries.retain(|entry| entry.cursor.seq <= self.until.seq);
        let lost = || damaged(self.id, self.until, "it changed while it was read");
        let (first, last) = (
            entries.first().ok_or_else(lost)?,
            entries.last().ok_or_else(lost)?,
        );
        if first.cursor.seq != self.position.seq + 1 {
            return Err(StoreError::Trimmed(self.id));
        }
        let joined = self.position.check == u64::MAX || first.continues(self.position);
        let arrived = last.cursor.seq < self.until.seq || last.cursor == self.until;
        if !joined || !arrived {
            return Err(lost());
        }
        self.position = last.cursor;
        Ok(Some(entries))
    }
}
