//! Reads for answers: few at once, and one copy of each large text in memory.
//!
//! A client may read its answer slowly, so what an answer holds can stay for long. Answers that carry the same large
//! text at the same time therefore share it.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;
use ltm_state::State;
use ltm_store::Store;
use ltm_types::{Cursor, LtmId};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, SemaphorePermit};

use crate::json_work::{JsonWork, Overloaded};

/// A smaller text is not shared.
pub(super) const LARGE: usize = 32 * 1024;

/// The store, and what is read from it.
pub(super) struct SharedReads {
    pub(super) store: Store,
    pub(super) json_work: JsonWork,
    permits: Semaphore,
    texts: Mutex<HashMap<TextKey, Weak<Bytes>>>,
    /// Held by the answer that makes a text. Others wait for it, and share the text.
    makers: Mutex<HashMap<TextKey, Weak<AsyncMutex<()>>>>,
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
    /// The state before the entry.
    StateBefore,
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
    pub(super) fn new(store: Store, json_work: JsonWork, max_reads: usize) -> Self {
        Self {
            store,
            json_work,
            permits: Semaphore::new(max_reads),
            texts: Mutex::default(),
            makers: Mutex::default(),
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

    /// The text that `make` makes, or the copy of it that another answer holds. Answers that need the same text at the
    /// same time wait for one of them to make it.
    pub(super) async fn made<E>(
        &self,
        id: LtmId,
        at: Cursor,
        kind: TextKind,
        make: impl AsyncFnOnce() -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        let maker = self.maker((id, at, kind));
        let _turn = maker.lock().await;
        if let Some(held) = self.held(id, at, kind) {
            return Ok(held);
        }
        Ok(self.share(id, at, kind, make().await?))
    }

    fn maker(&self, key: TextKey) -> Arc<AsyncMutex<()>> {
        let mut makers = self.makers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(maker) = makers.get(&key).and_then(Weak::upgrade) {
            return maker;
        }
        makers.retain(|_, maker| maker.strong_count() > 0);
        let maker = Arc::default();
        makers.insert(key, Arc::downgrade(&maker));
        maker
    }

    /// A state as JSON text: written here, or on another thread if it is large.
    pub(super) async fn state_text(
        &self,
        id: LtmId,
        state: impl Deref<Target = State> + Send + 'static,
    ) -> Result<Bytes, Overloaded> {
        let (at, bytes) = (state.cursor, state.tree.bytes());
        if let Some(held) = self.held(id, at, TextKind::State) {
            return Ok(held);
        }
        let text = self.json_work.run(bytes, move || state.text()).await?;
        Ok(self.share(id, at, TextKind::State, text.into()))
    }

    /// The copy of a text that another answer holds.
    pub(super) fn held(&self, id: LtmId, at: Cursor, kind: TextKind) -> Option<Bytes> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = texts.get(&(id, at, kind))?.upgrade()?;
        Some(Bytes::from_owner(SharedText(known)))
    }
}
