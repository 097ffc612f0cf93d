//! Reads for answers: few at once, and one copy of each large text in memory.
//!
//! A client may read its answer slowly, so what an answer holds can stay for long. Answers that carry the same large
//! text at the same time therefore share it.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use ltm_service::LimitsHit;
use ltm_state::State;
use ltm_store::Store;
use ltm_types::{Cursor, LtmId};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, SemaphorePermit};

use super::error::{NoRoom, ReadError};
use crate::{ApiSettings, json_work::JsonWork, settings::bytes};

/// A smaller text is not shared.
pub(crate) const LARGE: usize = 32 * 1024;

/// The store, and what is read from it.
pub(super) struct SharedReads {
    pub(super) store: Store,
    pub(super) json_work: JsonWork,
    permits: Semaphore,
    /// The most bytes of large texts, and how many there are.
    max_answers: usize,
    answers: Arc<AtomicUsize>,
    limits: LimitsHit,
    texts: Mutex<HashMap<TextKey, Weak<Text>>>,
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
    /// The answer to the call that wrote the entry.
    WriteAnswer,
}

/// A large text. Its bytes count until the last answer with it is sent.
struct Text {
    bytes: Bytes,
    answers: Arc<AtomicUsize>,
}

impl Drop for Text {
    fn drop(&mut self) {
        self.answers.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// A text that several answers own.
struct SharedText(Arc<Text>);

impl AsRef<[u8]> for SharedText {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl SharedReads {
    /// Reads with the limits of these settings.
    pub(super) fn new(
        store: Store,
        json_work: JsonWork,
        settings: &ApiSettings,
        limits: LimitsHit,
    ) -> Self {
        Self {
            store,
            json_work,
            permits: Semaphore::new(settings.max_reads),
            max_answers: bytes(settings.answers),
            answers: Arc::default(),
            limits,
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
    ///
    /// # Errors
    ///
    /// [`NoRoom`]. A text that is larger than the limit has room if there is no other.
    pub(super) fn share(
        &self,
        id: LtmId,
        at: Cursor,
        kind: TextKind,
        text: Bytes,
    ) -> Result<Bytes, NoRoom> {
        if text.len() < LARGE {
            return Ok(text);
        }
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(&(id, at, kind)).and_then(Weak::upgrade) {
            return Ok(Bytes::from_owner(SharedText(known)));
        }
        texts.retain(|_, text| text.strong_count() > 0);
        let before = self.answers.fetch_add(text.len(), Ordering::Relaxed);
        let fits = before == 0 || before.saturating_add(text.len()) <= self.max_answers;
        let text = Arc::new(Text {
            bytes: text,
            answers: self.answers.clone(),
        });
        if !fits {
            drop(text);
            self.limits.hit("api.answers");
            return Err(NoRoom);
        }
        texts.insert((id, at, kind), Arc::downgrade(&text));
        Ok(Bytes::from_owner(SharedText(text)))
    }

    /// The text that `make` makes, or the copy of it that another answer holds. Answers that need the same text at the
    /// same time wait for one of them to make it.
    pub(super) async fn made(
        &self,
        id: LtmId,
        at: Cursor,
        kind: TextKind,
        make: impl AsyncFnOnce() -> Result<Bytes, ReadError>,
    ) -> Result<Bytes, ReadError> {
        let maker = self.maker((id, at, kind));
        let _turn = maker.lock().await;
        if let Some(held) = self.held(id, at, kind) {
            return Ok(held);
        }
        Ok(self.share(id, at, kind, make().await?)?)
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
    ) -> Result<Bytes, ReadError> {
        let (at, bytes) = (state.cursor, state.tree.bytes());
        if let Some(held) = self.held(id, at, TextKind::State) {
            return Ok(held);
        }
        let text = self.json_work.run(bytes, move || state.text()).await?;
        Ok(self.share(id, at, TextKind::State, text.into())?)
    }

    /// The copy of a text that another answer holds.
    pub(super) fn held(&self, id: LtmId, at: Cursor, kind: TextKind) -> Option<Bytes> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = texts.get(&(id, at, kind))?.upgrade()?;
        Some(Bytes::from_owner(SharedText(known)))
    }
}
