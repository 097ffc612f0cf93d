//! The entry point for reads.

use std::sync::Arc;

use bytes::Bytes;
use ltm_state::{Branch, State};
use ltm_store::Store;
use ltm_types::LtmId;

use super::{
    error::ReadError,
    history_json,
    point_in_time::PointInTime,
    shared_reads::{SharedReads, TextKind},
};
use crate::state_cache::StateCache;

/// Reads LTMs, with the states in memory.
#[derive(Clone)]
pub(crate) struct Reader {
    reads: Arc<SharedReads>,
    cache: Arc<StateCache>,
}

impl Reader {
    /// A reader that runs up to `max_reads` reads of logs at once.
    pub(crate) fn new(store: Store, cache: Arc<StateCache>, max_reads: usize) -> Self {
        let reads = Arc::new(SharedReads::new(store, max_reads));
        Self { reads, cache }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.reads.store
    }

    pub(super) fn reads(&self) -> &Arc<SharedReads> {
        &self.reads
    }

    /// The LTM as it is in Redis now.
    pub(crate) async fn now(&self, id: LtmId) -> Result<PointInTime, ReadError> {
        let (now, ()) = self.look(id, |_| ()).await?;
        Ok(now)
    }

    /// As [`Reader::now`], and the state as JSON text.
    pub(crate) async fn now_with_state(
        &self,
        id: LtmId,
    ) -> Result<(PointInTime, Bytes), ReadError> {
        self.look(id, |state| {
            let at = state.cursor;
            self.reads
                .held(id, at, TextKind::State)
                .unwrap_or_else(|| self.state_text(id, state))
        })
        .await
    }

    /// The state as JSON text.
    pub(super) fn state_text(&self, id: LtmId, state: &State) -> Bytes {
        let text = state.text().into();
        self.reads.share(id, state.cursor, TextKind::State, text)
    }

    async fn look<T>(
        &self,
        id: LtmId,
        also: impl FnOnce(&State) -> T,
    ) -> Result<(PointInTime, T), ReadError> {
        let state = self.cache.lock_current(id).await?;
        let (cursor, index, also) = (state.cursor, state.index.clone(), also(&state));
        drop(state);
        let now = PointInTime::new(id, cursor, index, self.store().base(id).await?);
        Ok((now, also))
    }

    /// The LTM as it is at `state`.
    pub(crate) async fn at(&self, id: LtmId, state: &State) -> Result<PointInTime, ReadError> {
        let base = self.store().base(id).await?;
        Ok(PointInTime::new(
            id,
            state.cursor,
            state.index.clone(),
            base,
        ))
    }

    /// The snapshot that stands for the trimmed ones at the beginning of `branch`.
    pub(super) async fn trimmed_snapshot(
        &self,
        now: &PointInTime,
        branch: &Branch,
    ) -> Result<Bytes, ReadError> {
        if let Some(base) = &now.base
            && base.state.cursor.seq == branch.base
        {
            let (id, at, kind) = (now.id, base.state.cursor, TextKind::TrimmedSnapshot);
            if let Some(held) = self.reads.held(id, at, kind) {
                return Ok(held);
            }
            let text = history_json::trimmed_snapshot(&base.time, &base.state)?;
            return Ok(self.reads.share(id, at, kind, text.into()));
        }
        let (id, seq) = (now.id, branch.base);
        let text = history_json::trimmed_snapshot_at(self.store(), id, seq, String::new).await?;
        Ok(text.into())
    }
}
