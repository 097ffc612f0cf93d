//! The entry point for reads.

use std::sync::Arc;

use ltm_state::{Branch, State};
use ltm_store::Store;
use ltm_types::LtmId;

use super::{error::ReadError, history_json, point_in_time::PointInTime};
use crate::state_cache::StateCache;

/// Reads LTMs, with the states in memory.
#[derive(Clone)]
pub(crate) struct Reader {
    store: Store,
    cache: Arc<StateCache>,
}

impl Reader {
    pub(crate) fn new(store: Store, cache: Arc<StateCache>) -> Self {
        Self { store, cache }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
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
    ) -> Result<(PointInTime, String), ReadError> {
        self.look(id, State::text).await
    }

    async fn look<T>(
        &self,
        id: LtmId,
        also: impl FnOnce(&State) -> T,
    ) -> Result<(PointInTime, T), ReadError> {
        let state = self.cache.lock_current(id).await?;
        let (cursor, index, also) = (state.cursor, state.index.clone(), also(&state));
        drop(state);
        let now = PointInTime::new(id, cursor, index, self.store.base(id).await?);
        Ok((now, also))
    }

    /// The LTM as it is at `state`.
    pub(crate) async fn at(&self, id: LtmId, state: &State) -> Result<PointInTime, ReadError> {
        let base = self.store.base(id).await?;
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
    ) -> Result<String, ReadError> {
        if let Some(base) = &now.base
            && base.state.cursor.seq == branch.base
        {
            return history_json::trimmed_snapshot(&base.time, &base.state);
        }
        history_json::trimmed_snapshot_at(&self.store, now.id, branch.base, String::new).await
    }
}
