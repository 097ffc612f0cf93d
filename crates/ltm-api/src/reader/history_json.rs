//! The snapshots of a history as JSON.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use ltm_state::{SnapshotRange, State, diff};
use ltm_store::{SnapshotReader, Store, StoreError, WindowBounds};
use ltm_types::{Entry, Kind, LtmId, Rollback, Snapshot};
use serde_json::{
    Map,
    value::{RawValue, to_raw_value},
};

use super::{
    error::ReadError,
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
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let reads = self.reads.clone();
        while self.unsent.is_empty() {
            let _permit = reads.permit().await;
            let Some(entries) = self.history.next().await? else {
                return Ok(None);
            };
            self.write(entries);
        }
        Ok(self.unsent.pop_front())
    }

    /// Writes items: small ones together, and each large one as the text that other answers share.
    fn write(&mut self, entries: Vec<Entry>) {
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
            let text = self.reads.share(self.id, at, TextKind::Entry, text);
            self.unsent.push_back(text);
        }
        if !items.is_empty() {
            self.unsent.push_back(items.freeze());
        }
    }
}

/// The snapshot that stands for all that were trimmed: from `{}` to the state that they led to.
pub(super) fn trimmed_snapshot(time: &str, state: &State) -> Result<String, ReadError> {
    let none = Map::new();
    let members = state.tree.value().as_object().unwrap_or(&none);
    let empty = to_raw_value::<[(); 0]>(&[])?;
    let snapshot = Snapshot {
        time,
        reason: "trimmed",
        item: RawValue::NULL,
        patch: &to_raw_value(&diff::diff(&none, members))?,
        execute_queue: &empty,
        transitions_queue: &empty,
    };
    Ok(serde_json::to_string(&snapshot)?)
}

/// The same for the state at `seq`, to which a rollback led, or else with the time `otherwise`.
pub(super) async fn trimmed_snapshot_at(
    store: &Store,
    id: LtmId,
    seq: u64,
    otherwise: impl FnOnce() -> String,
) -> Result<String, ReadError> {
    let state = store.state_after(id, seq).await?;
    let entries = store.entries(id, &[seq]).await?;
    let time = entries.first().and_then(rollback_time);
    trimmed_snapshot(&time.unwrap_or_else(otherwise), &state)
}

/// When a rollback was made.
fn rollback_time(entry: &Entry) -> Option<String> {
    if entry.kind != Kind::Rollback {
        return None;
    }
    let back: Rollback<'_> = serde_json::from_str(&entry.payload).ok()?;
    Some(back.rollback.time.into_owned())
}
