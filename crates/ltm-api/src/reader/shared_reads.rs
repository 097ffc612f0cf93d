//! Reads for answers: few at once, and one copy of each large text in memory.
//!
//! A client may read its answer slowly, so what an answer holds can stay for long. Answers that carry the same large
//! text at the same time therefore share it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;
use ltm_store::Store;
use ltm_types::{Cursor, LtmId};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A smaller text is not shared.
pub(super) const LARGE: usize = 32 * 1024;

/// The store, and what is read from it.
pub(super) struct SharedReads {
    pub(super) store: Store,
    permits: Semaphore,
    texts: Mutex<HashMap<TextKey, Weak<Bytes>>>,
}

/// A text that never changes.
type TextKey = (LtmId, Cursor, TextKind);

/// What a text at a cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TextKind {
    /// The payload of the entry.
    Entry,
    /// The state.
    State,
    /// The snapshot that stands for all that led to the state.
    TrimmedSnapshot,
    /// This many errors as items of an array, of which the entry is the last.
    Errors { count: usize, has_items: bool },
}

/// A text that several answers own.
struct SharedText(Arc<Bytes>);

impl AsRef<[u8]> for SharedText {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl SharedReads {
    /// Reads of which up to `max_reads` run at once.
    pub(super) fn new(store: Store, max_reads: usize) -> Self {
        Self {
            store,
            permits: Semaphore::new(max_reads),
            texts: Mutex::default(),
        }
    }

    /// Waits until another read may run. The permit is for one read, and not for sending what it found.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.permits.acquire().await.ok()
    }

    /// The text, or the copy of it that another answer holds.
    pub(super) fn share(&self, id: LtmId, at: Cursor, kind: TextKind, text: Bytes) -> Bytes {
        if text.len() < LARGE {
            return text;
        }
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(&(id, at, kind)).and_then(Weak::upgrade) {
            return Bytes::from_owner(SharedText(known));
        }
        texts.retain(|_, text| text.strong_count() > 0);
        let text = Arc::new(text);
        texts.insert((id, at, kind), Arc::downgrade(&text));
        Bytes::from_owner(SharedText(text))
    }

    /// The copy of a text that another answer holds.
    pub(super) fn held(&self, id: LtmId, at: Cursor, kind: TextKind) -> Option<Bytes> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = texts.get(&(id, at, kind))?.upgrade()?;
        Some(Bytes::from_owner(SharedText(known)))
    }
}
