//! What the gateway reads of logs: a seam, so that the simulation can run the gateway over logs in memory.

use futures_util::{FutureExt, future::LocalBoxFuture};
use ltm_state::State;
use ltm_store::{Read, Store, StoreError, WindowBounds};
use ltm_types::{Cursor, LtmId};

/// The head of each log, as [`Store::heads`] reads it.
pub(crate) type Heads = Vec<Result<Option<Cursor>, StoreError>>;

/// Logs that can be read. Each function does what the one of [`Store`] with its name does.
pub(crate) trait LogSource: Send + Sync {
    fn heads<'a>(&'a self, ids: &'a [LtmId]) -> LocalBoxFuture<'a, Result<Heads, StoreError>>;

    fn head(&self, id: LtmId) -> LocalBoxFuture<'_, Result<Cursor, StoreError>>;

    fn read_after(
        &self,
        id: LtmId,
        after: Cursor,
        bounds: WindowBounds,
    ) -> LocalBoxFuture<'_, Result<Read, StoreError>>;

    fn state(&self, id: LtmId) -> LocalBoxFuture<'_, Result<State, StoreError>>;
}

impl LogSource for Store {
    fn heads<'a>(&'a self, ids: &'a [LtmId]) -> LocalBoxFuture<'a, Result<Heads, StoreError>> {
        Self::heads(self, ids).boxed_local()
    }

    fn head(&self, id: LtmId) -> LocalBoxFuture<'_, Result<Cursor, StoreError>> {
        Self::head(self, id).boxed_local()
    }

    fn read_after(
        &self,
        id: LtmId,
        after: Cursor,
        bounds: WindowBounds,
    ) -> LocalBoxFuture<'_, Result<Read, StoreError>> {
        Self::read_after(self, id, after, bounds).boxed_local()
    }

    fn state(&self, id: LtmId) -> LocalBoxFuture<'_, Result<State, StoreError>> {
        async move { Ok(Self::state(self, id).await?.state) }.boxed_local()
    }
}
