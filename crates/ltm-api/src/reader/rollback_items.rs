//! The histories that rollbacks took out, as the items of a JSON array: a page of them.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use ltm_state::{Branch, HistoryIndex, State};
use ltm_store::{BasePoint, StoreError};
use ltm_types::{Cursor, LtmId, Rollback};
use serde_json::json;

use super::{
    error::ReadError,
    history_json::{self, SnapshotItems},
    point_in_time::PointInTime,
    shared_reads::{SharedReads, TextKind},
};

/// The most rollbacks of a page.
const MAX_ROLLBACKS: usize = 100;
/// The most snapshots in the histories of a page together, unless the first history alone has more.
const MAX_SNAPSHOTS: u64 = 10_000;
/// The most bytes of the states of a page together, unless the first state alone has more.
const MAX_STATE_BYTES: usize = 4 * 1024 * 1024;
/// A state that takes more memory is not held while its history is sent: it is made again from the log for the next
/// rollback.
const HELD: usize = 128 * 1024;
/// How often the states of a page are made from the log.
const MAX_FOLDS: usize = 8;

/// A walk over rollbacks that writes the history that each took out.
pub(super) struct RollbackItems {
    reads: Arc<SharedReads>,
    id: LtmId,
    index: HistoryIndex,
    base: Option<BasePoint>,
    /// The rollbacks that are still to be written: the index and the `seq` of each.
    left: VecDeque<(u64, u64)>,
    /// The state before the last rollback that was written, if it is small.
    state: Option<State>,
    /// What the page has so far.
    page: PageSize,
    unsent: VecDeque<Bytes>,
    /// The history that is being written, and what comes after it.
    history: Option<(SnapshotItems, String)>,
    is_finished: bool,
}

#[derive(Default)]
struct PageSize {
    rollbacks: usize,
    snapshots: u64,
    state_bytes: usize,
    folds: usize,
}

impl PageSize {
    /// Whether a history with this many snapshots still fits on the page. The first one always does.
    fn has_room(&self, snapshots: u64) -> bool {
        self.rollbacks == 0
            || (self.rollbacks < MAX_ROLLBACKS
                && self.snapshots.saturating_add(snapshots) <= MAX_SNAPSHOTS
                && self.state_bytes < MAX_STATE_BYTES
                && self.folds < MAX_FOLDS)
    }
}

impl RollbackItems {
    /// The rollbacks from the index `from`, as far as a page goes.
    pub(super) fn new(reads: &Arc<SharedReads>, now: PointInTime, from: u64) -> Self {
        let rollbacks = now.index.rollbacks();
        let left = rollbacks.filter(|(index, _)| *index >= from).collect();
        Self {
            reads: reads.clone(),
            id: now.id,
            index: now.index,
            base: now.base,
            left,
            state: None,
            page: PageSize::default(),
            unsent: VecDeque::new(),
            history: None,
            is_finished: false,
        }
    }

    /// The next bytes of the items; after the last one, the end of the array, and the index of the next page. `None` at
    /// the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            if let Some(text) = self.unsent.pop_front() {
                return Ok(Some(text));
            }
            if let Some((mut items, end)) = self.history.take() {
                let Some(bytes) = items.next().await? else {
                    return Ok(Some(end.into()));
                };
                self.history = Some((items, end));
                return Ok(Some(bytes));
            }
            if self.is_finished {
                return Ok(None);
            }
            self.begin().await?;
        }
    }

    /// Writes the beginning of the next rollback, or the end of the page.
    async fn begin(&mut self) -> Result<(), ReadError> {
        let gone = || StoreError::Trimmed(self.id);
        let Some(&(index, seq)) = self.left.front() else {
            self.is_finished = true;
            self.unsent.push_back(Bytes::from_static(b"]"));
            return Ok(());
        };
        let branch = self.index.branch_before(index).ok_or_else(gone)?;
        let snapshots = branch.count() - branch.trimmed;
        if !self.page.has_room(snapshots) {
            self.is_finished = true;
            let end = format!(r#"],"next_rollback":{index}"#);
            self.unsent.push_back(end.into());
            return Ok(());
        }
        self.left.pop_front();
        let comma = if self.page.rollbacks > 0 { "," } else { "" };
        self.page.rollbacks += 1;
        self.page.snapshots += snapshots;
        self.write(comma, seq, branch).await
    }

    async fn write(&mut self, comma: &str, seq: u64, branch: Branch) -> Result<(), ReadError> {
        let (at, head) = self.head(comma, seq).await?;
        let state = self.state_before(at).await?;
        let mut trimmed = Bytes::new();
        if branch.trimmed > 0 {
            let (reads, base) = (&self.reads, self.base.as_ref());
            trimmed = history_json::trimmed_snapshot(reads, self.id, base, branch.base).await?;
        }
        self.page.state_bytes += state.len() + trimmed.len();
        let end = format!(r#"],"first_index":{}}}"#, branch.first_index());
        let has_items = !trimmed.is_empty();
        let items = SnapshotItems::new(&self.reads, self.id, branch.ranges, has_items);
        let history = Bytes::from_static(br#","snapshots":["#);
        let texts = [head, state, history, trimmed];
        // An empty text would end the body.
        self.unsent
            .extend(texts.into_iter().filter(|text| !text.is_empty()));
        self.history = Some((items, end));
        Ok(())
    }

    /// The beginning of the item of the rollback at `seq`, and the rollback's cursor.
    async fn head(&self, comma: &str, seq: u64) -> Result<(Cursor, Bytes), ReadError> {
        let permit = self.reads.permit().await;
        let entries = self.reads.store.entries(self.id, &[seq]).await?;
        drop(permit);
        let gone = || StoreError::Trimmed(self.id);
        let entry = entries.into_iter().next().ok_or_else(gone)?;
        let (at, bytes) = (entry.cursor, entry.payload.len());
        let read = move || {
            let back: Rollback<'_> = serde_json::from_str(&entry.payload).ok()?;
            let back = back.rollback;
            Some((json!(back.time).to_string(), json!(back.reason).to_string()))
        };
        let read = self.reads.json_work.run(bytes, read).await?;
        let (time, reason) = read.ok_or_else(gone)?;
        let head = format!(r#"{comma}{{"time":{time},"reason":{reason},"state":"#);
        Ok((at, head.into()))
    }

    /// The state before the rollback at the cursor `at`, as JSON text.
    async fn state_before(&mut self, at: Cursor) -> Result<Bytes, ReadError> {
        let (reads, id, before) = (self.reads.clone(), self.id, at.seq - 1);
        if let Some(mut state) = self.state.take() {
            let _permit = reads.permit().await;
            let folded = reads.store.fold_until(id, &mut state, before).await?;
            if folded.is_none() || state.cursor.seq != before {
                return Err(StoreError::Trimmed(id).into());
            }
            return self.text(state).await;
        }
        self.page.folds += 1;
        let make = async || {
            let _permit = reads.permit().await;
            let state = reads.store.state_after(id, before).await?;
            self.text(state).await
        };
        reads.made(id, at, TextKind::StateBefore, make).await
    }

    /// The text of a state, which is held if it is small.
    async fn text(&mut self, state: State) -> Result<Bytes, ReadError> {
        let state = Arc::new(state);
        let text = self.reads.state_text(self.id, state.clone()).await?;
        self.state = Arc::into_inner(state).filter(|it| it.tree.memory() <= HELD);
        Ok(text)
    }
}
