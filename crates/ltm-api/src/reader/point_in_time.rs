//! An LTM at one moment: where its history is in the log.

use ltm_state::{Branch, HistoryIndex};
use ltm_store::BasePoint;
use ltm_types::{Cursor, LtmId};

use super::error::ReadError;

/// How often something is read again because the log was trimmed meanwhile.
const TRIES: u32 = 3;

/// Reads again if the log was trimmed between looking up where its entries are and reading them.
pub(crate) async fn despite_trims<T>(
    read: impl AsyncFn() -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let mut tries = 1;
    loop {
        match read().await {
            Err(error) if error.is_trimmed() && tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

/// An LTM at one moment.
pub(crate) struct PointInTime {
    pub(crate) id: LtmId,
    /// The log's head.
    pub(crate) cursor: Cursor,
    /// Where the snapshots are, as far as they are kept.
    pub(crate) index: HistoryIndex,
    /// Where a trimmed log begins.
    pub(crate) base: Option<BasePoint>,
}

impl PointInTime {
    pub(super) fn new(
        id: LtmId,
        cursor: Cursor,
        mut index: HistoryIndex,
        base: Option<BasePoint>,
    ) -> Self {
        if let Some(base) = &base {
            index.trim(base.cursor.seq);
        }
        Self {
            id,
            cursor,
            index,
            base,
        }
    }

    /// The history that a rollback took out, or else the current one.
    pub(super) fn branch(&self, rollback: Option<u64>) -> Result<Branch, ReadError> {
        let Some(index) = rollback else {
            return Ok(self.index.branch());
        };
        self.index.branch_before(index).ok_or_else(|| {
            let (first, count) = (self.index.origin().rollbacks, self.index.rollbacks_count());
            let id = self.id;
            let problem = match count.checked_sub(1) {
                Some(last) if first <= last => {
                    format!("LTM {id} has no rollback {index}; it has {first} to {last}")
                }
                _ => format!("LTM {id} has no rollbacks"),
            };
            ReadError::invalid("rollback", problem)
        })
    }
}
