//! The snapshots of a history as JSON.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use ltm_state::{SnapshotRange, State, diff};
use ltm_store::{Base, BasePoint, SnapshotReader, StoreError, WindowBounds};
use ltm_types::{Entry, Kind, LtmId, Rollback, Snapshot};
use serde_json::{
    Map,
    value::{RawValue, to_raw_value},
};

use super::{
    error::{NoRoom, ReadError},
    shared_reads::{LARGE, SharedReads, TextKind},
};

/// How much one read of a log returns. A client that reads slowly holds as much.
const WINDOW: usize = 128 * 1024;

/// A walk over snapshots that writes them as the items of a JSON array.
pub(super) struct SnapshotItems {
    reads: Arc<SharedReads>,
    id: LtmId,
    history: SnapshotReader,
    /// What was read and is not yet sent.
    unsent: VecDeque<Bytes>,
    /// Whether the array has an item already.
    has_items: bool,
}

impl SnapshotItems {
    /// The snapshots in `ranges`.
    pub(super) fn new(
        reads: &Arc<SharedReads>,
        id: LtmId,
        ranges: Vec<SnapshotRange>,
        has_items: bool,
    ) -> Self {
        let bounds = WindowBounds {
            bytes: WINDOW,
            ..WindowBounds::default()
        };
        Self {
            reads: reads.clone(),
            id,
            history: reads.store.snapshots(id, ranges, bounds),
            unsent: VecDeque::new(),
            has_items,
        }
    }

    /// The next items with their commas; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let reads = self.reads.clone();
        while self.unsent.is_empty() {
            let _permit = reads.permit().await;
            let Some(entries) = self.history.next().await? else {
                return Ok(None);
            };
            self.write(entries)?;
        }
        Ok(self.unsent.pop_front())
    }

    /// Writes items: small ones together, and each large one as the text that other answers share.
    fn write(&mut self, entries: Vec<Entry>) -> Result<(), NoRoom> {
        let mut items = BytesMut::new();
        for entry in entries {
            if self.has_items {
                items.extend_from_slice(b",");
            }
            self.has_items = true;
            if entry.payload.len() < LARGE {
                items.extend_from_slice(entry.payload.as_bytes());
                continue;
            }
            if !items.is_empty() {
                self.unsent.push_back(items.split().freeze());
            }
            let (at, text) = (entry.cursor, entry.payload.into_bytes());
            let text = self.reads.share(self.id, at, TextKind::Entry, text)?;
            self.unsent.push_back(text);
        }
        if !items.is_empty() {
            self.unsent.push_back(items.freeze());
        }
        Ok(())
    }
}

/// The snapshot that stands for all that were trimmed, up to the entry at `seq`: from `{}` to the state that they led to.
/// Its time is that of the base of the log, or of the rollback at `seq`.
pub(super) async fn trimmed_snapshot(
    reads: &SharedReads,
    id: LtmId,
    base: Option<&BasePoint>,
    seq: u64,
) -> Result<Bytes, ReadError> {
    if let Some(base) = base.filter(|base| base.cursor.seq == seq) {
        let (at, kind) = (base.cursor, TextKind::TrimmedSnapshot);
        let make = async || {
            let _permit = reads.permit().await;
            match reads.store.base(id).await? {
                Some(Base { state, time }) if state.cursor == at => {
                    write_trimmed(reads, time, state).await
                }
                _ => Err(StoreError::Trimmed(id).into()),
            }
        };
        return reads.made(id, at, kind, make).await;
    }
    let _permit = reads.permit().await;
    let state = reads.store.state_after(id, seq).await?;
    let entries = reads.store.entries(id, &[seq]).await?;
    let time = entries.first().and_then(rollback_time);
    let time = time.or_else(|| base.map(|base| base.time.clone()));
    let at = state.cursor;
    let text = write_trimmed(reads, time.unwrap_or_default(), state).await?;
    Ok(reads.share(id, at, TextKind::TrimmedSnapshot, text)?)
}

/// Writes the snapshot that leads to `state`, on another thread if that is large.
async fn write_trimmed(
    reads: &SharedReads,
    time: String,
    state: State,
) -> Result<Bytes, ReadError> {
    let bytes = state.tree.bytes();
    let write = move || {
        let none = Map::new();
        let members = state.tree.value().as_object().unwrap_or(&none);
        let empty = to_raw_value::<[(); 0]>(&[])?;
        let snapshot = Snapshot {
            time: &time,
            reason: "trimmed",
            item: RawValue::NULL,
            patch: &to_raw_value(&diff::diff(&none, members))?,
            execute_queue: &empty,
            transitions_queue: &empty,
        };
        serde_json::to_string(&snapshot)
    };
    let text = reads.json_work.run(bytes, write).await??;
    Ok(text.into())
}

/// When a rollback was made.
fn rollback_time(entry: &Entry) -> Option<String> {
    if entry.kind != Kind::Rollback {
        return None;
    }
    let back: Rollback<'_> = serde_json::from_str(&entry.payload).ok()?;
    Some(back.rollback.time.into_owned())
}
