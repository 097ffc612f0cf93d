//! Reads of logs and states for subscribers that are behind, shared by all that stand at the same
//! cursor.

use std::{hash::Hash, sync::Arc};

use ltm_store::{Read, Store, StoreError, WindowBounds};
use ltm_types::{Cursor, LtmId, ResetReason, reset_frame};
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use tokio::sync::Semaphore;

use crate::{
    GatewaySettings,
    frame::{entry_frame, is_next, unreadable},
    message::{Message, Page},
    topics::page_bounds,
};

/// Pages and resets that are expected to be held, for the cache's tables.
const EXPECTED: usize = 1024;
/// How many states are made at once: each takes a multiple of its size in memory.
const STATE_READERS: usize = 4;

/// What follows a cursor.
pub(crate) enum Behind {
    /// These messages.
    Page(Arc<Page>),
    /// Nothing: it is the head.
    UpToDate,
    /// The entries after it are gone, or it is of another history.
    Lost(ResetReason),
    /// The store failed.
    Failed(StoreError),
}

/// The shared reads.
pub(crate) struct Backlog {
    store: Store,
    pages: Cache<(LtmId, u64, Cursor), Arc<Page>, ByBytes>,
    resets: Cache<(LtmId, ResetReason, Cursor), Message, ByBytes>,
    readers: Semaphore,
    state_readers: Semaphore,
    bounds: WindowBounds,
}

/// How the shared reads are used.
pub(crate) struct Usage {
    /// What is held.
    pub bytes: u64,
    /// Reads that another subscriber had made, since the process began.
    pub hits: u64,
    /// Reads that had to be made.
    pub misses: u64,
}

#[derive(Clone)]
struct ByBytes;

impl<K> Weighter<K, Arc<Page>> for ByBytes {
    fn weight(&self, _: &K, page: &Arc<Page>) -> u64 {
        page.weight() as u64
    }
}

impl<K> Weighter<K, Message> for ByBytes {
    fn weight(&self, _: &K, message: &Message) -> u64 {
        message.weight() as u64
    }
}

/// A cache of this many bytes. It has one shard: what is to be shared must fit into its shard's part.
#[allow(clippy::expect_used)]
fn cache<K: Eq + Hash, V>(bytes: u64) -> Cache<K, V, ByBytes>
where
    V: Clone,
    ByBytes: Weighter<K, V> + Clone,
{
    let options = OptionsBuilder::new()
        .estimated_items_capacity(EXPECTED)
        .weight_capacity(bytes)
        .shards(1)
        .build()
        .expect("both that it needs are given above");
    Cache::with_options(
        options,
        ByBytes,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

impl Backlog {
    pub(crate) fn new(store: Store, settings: &GatewaySettings) -> Self {
        let half = settings.cache.as_u64() / 2;
        Self {
            store,
            pages: cache(half),
            resets: cache(half),
            readers: Semaphore::new(settings.max_reads),
            state_readers: Semaphore::new(STATE_READERS),
            bounds: page_bounds(settings),
        }
    }

    /// What follows `position` in the log of `id`, whose topic is of this generation.
    pub(crate) async fn after(&self, id: LtmId, generation: u64, position: Cursor) -> Behind {
        let read = async {
            match self.read(id, position).await {
                Behind::Page(page) => Ok(page),
                other => Err(other),
            }
        };
        match self
            .pages
            .get_or_insert_async(&(id, generation, position), read)
            .await
        {
            Ok(page) => Behind::Page(page),
            Err(other) => other,
        }
    }

    /// How the shared reads are used.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            bytes: self.pages.weight() + self.resets.weight(),
            hits: self.pages.hits() + self.resets.hits(),
            misses: self.pages.misses() + self.resets.misses(),
        }
    }

    async fn read(&self, id: LtmId, position: Cursor) -> Behind {
        let _turn = self.readers.acquire().await;
        let window = match self.store.read_after(id, position, self.bounds).await {
            Ok(Read::Continues(window)) => window,
            Ok(Read::Trimmed) => return Behind::Lost(ResetReason::Trimmed),
            Ok(Read::Forked) => return Behind::Lost(ResetReason::Forked),
            Err(StoreError::Damaged { at, detail, .. }) if is_next(position, at) => {
                let passed_over = unreadable(id, position, at, &detail);
                return Behind::Page(Arc::new([passed_over].into_iter().collect()));
            }
            Err(error) => return Behind::Failed(error),
        };
        if window.entries.is_empty() {
            return Behind::UpToDate;
        }
        let mut previous = position;
        let message = |entry: &ltm_types::Entry| {
            let frame = entry_frame(id, previous, entry);
            previous = entry.cursor;
            frame
        };
        Behind::Page(Arc::new(window.entries.iter().map(message).collect()))
    }

    /// The whole state as a message.
    pub(crate) async fn reset(
        &self,
        id: LtmId,
        reason: ResetReason,
    ) -> Result<Message, StoreError> {
        let head = self.store.head(id).await?;
        let make = async {
            let _turn = self.state_readers.acquire().await;
            let state = self.store.state(id).await?.state;
            Ok(reset_frame(
                id,
                state.cursor,
                reason,
                &state.text(),
                state.snapshots_count(),
            )
            .into())
        };
        self.resets
            .get_or_insert_async(&(id, reason, head), make)
            .await
    }
}
