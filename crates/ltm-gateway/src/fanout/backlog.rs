//! Reads of logs and states for subscribers that lack entries. All subscribers at the same cursor share them.

use std::sync::Arc;

use ltm_service::{ByteCache, Bytes, byte_cache};
use ltm_store::{Read, StoreError, WindowBounds, apart};
use ltm_types::{Cursor, Entry, LtmId, ResetReason, reset_message};
use tokio::sync::Semaphore;

use crate::{
    compression::limits::CompressionLimits,
    fanout::{
        entry_message::{entry_message, is_next, unreadable},
        frames::Frames,
        log_source::LogSource,
        message::{FramedMessage, LogPage},
    },
    settings::{GatewaySettings, bytes},
};

/// The expected number of cached pages and resets, for the size of the cache's tables.
const EXPECTED: usize = 1024;
/// How many states are folded at once: each takes a multiple of its size in memory.
const STATE_READERS: usize = 4;
/// Compressing a byte takes about as long as reading this many bytes of JSON.
const DEFLATE_COST: usize = 8;

/// What the log holds after a cursor.
pub(crate) enum Behind {
    /// These messages.
    Page(Arc<LogPage>),
    /// Nothing: the cursor is the head.
    UpToDate,
    /// The log no longer continues the cursor.
    Lost(ResetReason),
    /// The read failed.
    Failed(StoreError),
}

/// The shared reads.
pub(crate) struct Backlog {
    logs: Arc<dyn LogSource>,
    pages: ByteCache<PageKey, Arc<LogPage>>,
    resets: ByteCache<(LtmId, ResetReason, Cursor, bool), FramedMessage>,
    readers: Semaphore,
    state_readers: Semaphore,
    bounds: WindowBounds,
    compression: CompressionLimits,
}

/// Which page of a log: the generation of its topic, the cursor before it, and whether its messages are compressed in their
/// context.
pub(crate) type PageKey = (LtmId, u64, Cursor, bool);

/// What the reader of a state does not share with others.
enum NotShared {
    /// The state at another cursor than the one that was asked for.
    Other(FramedMessage),
    /// The read failed.
    Failed(StoreError),
}

/// The use of the shared reads.
pub(crate) struct CacheUsage {
    /// The size of the cache.
    pub bytes: u64,
    /// Reads that the cache answered, since the start of the process.
    pub hits: u64,
    /// Reads from Redis.
    pub misses: u64,
}

impl Bytes for LogPage {
    fn bytes(&self) -> u64 {
        self.weight() as u64
    }
}

impl Bytes for FramedMessage {
    fn bytes(&self) -> u64 {
        self.weight() as u64
    }
}

impl Backlog {
    pub(crate) fn new(logs: Arc<dyn LogSource>, settings: &GatewaySettings) -> Self {
        let half = settings.cache.as_u64() / 2;
        Self {
            logs,
            pages: byte_cache(half, EXPECTED),
            resets: byte_cache(half, EXPECTED),
            readers: Semaphore::new(settings.max_reads),
            state_readers: Semaphore::new(STATE_READERS),
            bounds: page_bounds(settings),
            compression: CompressionLimits::new(settings),
        }
    }

    /// The head of the log of `id`.
    pub(crate) async fn head(&self, id: LtmId) -> Result<Cursor, StoreError> {
        self.logs.head(id).await
    }

    /// What the log holds after the cursor in `key`. An earlier read may have found it, so the log may have lost that
    /// cursor since.
    pub(crate) async fn after(&self, key: PageKey) -> Behind {
        let (id, _, position, compressed) = key;
        let read = async {
            match self.read_now(id, position, compressed).await {
                Behind::Page(page) => Ok(page),
                other => Err(other),
            }
        };
        match self.pages.get_or_insert_async(&key, read).await {
            Ok(page) => Behind::Page(page),
            Err(other) => other,
        }
    }

    /// The use of the shared reads.
    pub(crate) fn usage(&self) -> CacheUsage {
        CacheUsage {
            bytes: self.pages.weight() + self.resets.weight(),
            hits: self.pages.hits() + self.resets.hits(),
            misses: self.pages.misses() + self.resets.misses(),
        }
    }

    /// What the log of `id` holds after `position` now, compressed or not.
    pub(crate) async fn read_now(&self, id: LtmId, position: Cursor, compressed: bool) -> Behind {
        let _permit = self.readers.acquire().await;
        let window = match self.logs.read_after(id, position, self.bounds).await {
            Ok(Read::Continues(window)) => window,
            Ok(Read::Trimmed) => return Behind::Lost(ResetReason::Trimmed),
            Ok(Read::Forked) => return Behind::Lost(ResetReason::Forked),
            Err(StoreError::Damaged { at, detail, .. }) if is_next(position, at) => {
                let skipped = unreadable(id, position, at, &detail);
                return Behind::Page(Arc::new([skipped].into_iter().collect()));
            }
            Err(error) => return Behind::Failed(error),
        };
        if window.entries.is_empty() {
            return Behind::UpToDate;
        }
        let mut previous = position;
        let message = move |entry: &Entry| {
            let message = entry_message(id, previous, entry);
            previous = entry.cursor;
            message
        };
        if !compressed {
            let page = window.entries.iter().map(message).collect();
            return Behind::Page(Arc::new(page));
        }
        let limits = self.compression;
        let bytes: usize = window.entries.iter().map(|it| it.payload.len()).sum();
        let page = apart(bytes.saturating_mul(DEFLATE_COST), move || {
            let messages = window.entries.iter().map(message).collect();
            LogPage::compressed(messages, |length| limits.allow(length))
        });
        Behind::Page(Arc::new(page.await))
    }

    /// The full state as a message, for a subscriber that can inflate or cannot.
    pub(crate) async fn reset(
        &self,
        id: LtmId,
        reason: ResetReason,
        inflates: bool,
    ) -> Result<FramedMessage, StoreError> {
        let head = self.logs.head(id).await?;
        let make = async {
            let _permit = self.state_readers.acquire().await;
            let state = self.logs.state(id).await.map_err(NotShared::Failed)?;
            let cursor = state.cursor;
            let limits = self.compression;
            let reset = apart(state.tree.bytes(), move || {
                let count = state.snapshots_count();
                let message = reset_message(id, cursor, reason, &state.text(), count);
                let frames = if inflates && limits.is_worth(message.text.len()) {
                    Frames::alone(&message.text)
                } else {
                    Frames::plain(&message.text)
                };
                FramedMessage::new(&message, frames)
            })
            .await;
            // A state of another cursor is not shared: if the log loses that cursor, it may have this head again.
            if cursor == head {
                Ok(reset)
            } else {
                Err(NotShared::Other(reset))
            }
        };
        match self
            .resets
            .get_or_insert_async(&(id, reason, head, inflates), make)
            .await
        {
            Ok(reset) | Err(NotShared::Other(reset)) => Ok(reset),
            Err(NotShared::Failed(error)) => Err(error),
        }
    }
}

/// How much one read of a log returns.
pub(crate) fn page_bounds(settings: &GatewaySettings) -> WindowBounds {
    WindowBounds {
        bytes: bytes(settings.page),
        ..WindowBounds::default()
    }
}
