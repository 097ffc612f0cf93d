//! The rollbacks of an LTM: when and why each was made, and how many snapshots there were before and after it.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use ltm_store::StoreError;
use ltm_types::{Entry, LtmId, Rollback};
use serde::Serialize;

use super::{error::ReadError, point_in_time::PointInTime, shared_reads::SharedReads};

/// How many bytes of entries are read at once.
const AT_ONCE: usize = 128 * 1024;

/// A walk over rollbacks that writes a row for each.
pub(super) struct RollbackRows {
    reads: Arc<SharedReads>,
    id: LtmId,
    left: VecDeque<RowOfIndex>,
    has_items: bool,
}

/// What the history index knows of a rollback.
#[derive(Clone, Copy)]
struct RowOfIndex {
    index: u64,
    seq: u64,
    snapshots_before: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    index: u64,
    cursor: String,
    time: &'a str,
    reason: &'a str,
    snapshot_index: Option<i64>,
    rollback_index: Option<u64>,
    snapshots_before: u64,
    snapshots_count: u64,
}

impl RollbackRows {
    /// The rollbacks from the index `from` to before `until`.
    pub(super) fn new(reads: &Arc<SharedReads>, now: &PointInTime, from: u64, until: u64) -> Self {
        let rollbacks = now.index.rollbacks();
        let asked = rollbacks.filter(|(index, _)| (from..until).contains(index));
        let row = |(index, seq)| RowOfIndex {
            index,
            seq,
            snapshots_before: now.index.count_before(seq),
        };
        Self {
            reads: reads.clone(),
            id: now.id,
            left: asked.map(row).collect(),
            has_items: false,
        }
    }

    /// The next rows with their commas; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let _permit = self.reads.permit().await;
        let seqs: Vec<u64> = self.left.iter().map(|row| row.seq).collect();
        let store = &self.reads.store;
        let (count, entries) = store.some_entries(self.id, &seqs, AT_ONCE).await?;
        if entries.len() < count {
            return Err(StoreError::Trimmed(self.id).into());
        }
        let rows: Vec<RowOfIndex> = self.left.drain(..count).collect();
        let bytes = entries.iter().map(|entry| entry.payload.len()).sum();
        let has_items = std::mem::replace(&mut self.has_items, true);
        let write = move || write_rows(&rows, &entries, has_items);
        let rows = self.reads.json_work.run(bytes, write).await??;
        Ok(Some(rows))
    }
}

fn write_rows(
    rows: &[RowOfIndex],
    entries: &[Entry],
    mut has_items: bool,
) -> Result<Bytes, ReadError> {
    let mut text = BytesMut::new();
    for (known, entry) in rows.iter().zip(entries) {
        let back: Rollback<'_> = serde_json::from_str(&entry.payload)?;
        let row = Row {
            index: known.index,
            cursor: entry.cursor.to_string(),
            time: &back.rollback.time,
            reason: &back.rollback.reason,
            snapshot_index: back.snapshot_index,
            rollback_index: back.rollback.rollback_index,
            snapshots_before: known.snapshots_before,
            snapshots_count: back.rollback.snapshots_count,
        };
        if std::mem::replace(&mut has_items, true) {
            text.extend_from_slice(b",");
        }
        text.extend_from_slice(serde_json::to_string(&row)?.as_bytes());
    }
    Ok(text.freeze())
}
