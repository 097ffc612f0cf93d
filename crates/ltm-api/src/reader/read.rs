//! The entry point for reads.

use std::sync::Arc;

use bytes::Bytes;
use ltm_service::LimitsHit;
use ltm_state::{Branch, HistoryIndex, State};
use ltm_store::Store;
use ltm_types::{Cursor, LtmId};

use super::{
    error::{NoRoom, ReadError},
    history_json,
    point_in_time::PointInTime,
    shared_reads::{SharedReads, TextKind},
};
use crate::{ApiSettings, json_work::JsonWork, state_cache::StateCache};

/// Reads LTMs, with the states in memory.
#[derive(Clone)]
pub(crate) struct Reader {
    reads: Arc<SharedReads>,
    cache: Arc<StateCache>,
}

impl Reader {
    /// A reader with the limits of these settings.
    pub(crate) fn new(
        store: Store,
        cache: Arc<StateCache>,
        json_work: JsonWork,
        settings: &ApiSettings,
        limits: LimitsHit,
    ) -> Self {
        let reads = Arc::new(SharedReads::new(store, json_work, settings, limits));
        Self { reads, cache }
    }

    /// The text of the answer to the call that wrote the entry at the cursor `at`, or the copy of it that another answer
    /// holds.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if other answers hold too much.
    pub(crate) fn write_answer(&self, id: LtmId, at: Cursor, text: Bytes) -> Result<Bytes, NoRoom> {
        self.reads.share(id, at, TextKind::WriteAnswer, text)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.reads.store
    }

    pub(super) fn reads(&self) -> &Arc<SharedReads> {
        &self.reads
    }

    /// The LTM as it is in Redis now.
    pub(crate) async fn now(&self, id: LtmId) -> Result<PointInTime, ReadError> {
        let state = self.cache.lock_current(id).await?;
        let (cursor, index) = (state.cursor, state.index.clone());
        drop(state);
        self.point(id, cursor, index).await
    }

    /// As [`Reader::now`], and the state as JSON text.
    pub(crate) async fn now_with_state(
        &self,
        id: LtmId,
    ) -> Result<(PointInTime, Bytes), ReadError> {
        let (now, text) = self.now_and_state(id, |_| true).await?;
        Ok((now, text.unwrap_or_default()))
    }

    /// As [`Reader::now`], and the state as JSON text if the history makes it `wanted`.
    pub(super) async fn now_and_state(
        &self,
        id: LtmId,
        wanted: impl FnOnce(&HistoryIndex) -> bool,
    ) -> Result<(PointInTime, Option<Bytes>), ReadError> {
        let state = self.cache.lock_current(id).await?;
        let (cursor, index) = (state.cursor, state.index.clone());
        let text = match wanted(&index) {
            // The state stays locked until its text is written.
            true => Some(self.reads.state_text(id, state).await?),
            false => {
                drop(state);
                None
            }
        };
        Ok((self.point(id, cursor, index).await?, text))
    }

    /// The LTM as it is at `state`.
    pub(crate) async fn at(&self, id: LtmId, state: &State) -> Result<PointInTime, ReadError> {
        self.point(id, state.cursor, state.index.clone()).await
    }

    async fn point(
        &self,
        id: LtmId,
        cursor: Cursor,
        index: HistoryIndex,
    ) -> Result<PointInTime, ReadError> {
        let base = self.store().base_point(id).await?;
        Ok(PointInTime::new(id, cursor, index, base))
    }

    /// The state after the entry `seq`, as one of the reads that run at once.
    pub(crate) async fn state_after(&self, id: LtmId, seq: u64) -> Result<State, ReadError> {
        let _permit = self.reads.permit().await;
        Ok(self.store().state_after(id, seq).await?)
    }

    /// The snapshot that stands for the trimmed ones at the beginning of `branch`.
    pub(super) async fn trimmed_snapshot(
        &self,
        now: &PointInTime,
        branch: &Branch,
    ) -> Result<Bytes, ReadError> {
        history_json::trimmed_snapshot(&self.reads, now.id, now.base.as_ref(), branch.base).await
    }
}
