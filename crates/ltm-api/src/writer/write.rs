//! Appending entries to an LTM's log: the same for snapshots, rollbacks and errors.

use std::{sync::Arc, time::Instant};

use bytestring::ByteString;
use ltm_service::Span;
use ltm_state::patch::Undo;
use ltm_store::{
    Append, AppendError, AppendedEntries, CreateError, CreatedLtm, DeletedLtm, Deletion, Store,
    StoreError,
};
use ltm_types::{Cursor, Kind, LtmId, now};

use super::{
    draft::{Draft, Write},
    error::WriteError,
    preconditions::Preconditions,
};
use crate::{
    json_work::{JsonWork, drop_elsewhere},
    metrics::Metrics,
    reader::{ReadError, despite_trims},
    state_cache::{StateCache, StateGuard},
};

/// How often a write that others overtake is tried.
const CONFLICT_TRIES: u32 = 64;

/// Writes to logs, with the states in memory.
pub(crate) struct Writer {
    pub(super) store: Store,
    pub(super) cache: Arc<StateCache>,
    pub(super) json_work: JsonWork,
    pub(super) metrics: Arc<Metrics>,
}

/// What was written, now or by an earlier request with the same Idempotency-Key.
pub(crate) struct Written {
    /// The cursors of the entries: at least one.
    pub(crate) cursors: Vec<Cursor>,
    /// The LTM's snapshots once they were written.
    pub(crate) snapshots_count: u64,
    /// The payload of the last entry; `None` if it is no longer kept.
    pub(crate) payload: Option<ByteString>,
    /// Whether an earlier request wrote them.
    pub(crate) replayed: bool,
}

impl Written {
    /// The cursor of the last entry.
    pub(crate) fn cursor(&self) -> Cursor {
        self.cursors.last().copied().unwrap_or(Cursor::ORIGIN)
    }
}

impl Writer {
    pub(crate) fn new(
        store: Store,
        cache: Arc<StateCache>,
        json_work: JsonWork,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            cache,
            json_work,
            metrics,
        }
    }

    /// Appends the entries that `write` makes of the LTM's state. If other producers write meanwhile, `write` is applied
    /// again to the state that they left.
    pub(crate) async fn write(
        &self,
        id: LtmId,
        preconditions: &Preconditions<'_>,
        write: &mut impl Write,
    ) -> Result<Written, WriteError> {
        // Before the change is tried: a patch that has landed no longer applies.
        if let Some(written) = self.earlier(id, preconditions).await? {
            return Ok(written);
        }
        match self.write_new(id, preconditions, write).await {
            // It may have landed since, by another request with the same Idempotency-Key: that is why it no longer applies.
            Err(error) if error.depends_on_state() => {
                let written = self.earlier(id, preconditions).await?;
                written.ok_or(error)
            }
            outcome => outcome,
        }
    }

    async fn write_new(
        &self,
        id: LtmId,
        preconditions: &Preconditions<'_>,
        write: &mut impl Write,
    ) -> Result<Written, WriteError> {
        write.prepare().await?;
        let began = Instant::now();
        let mut state = self.cache.lock(id).await?;
        for _ in 0..CONFLICT_TRIES {
            match self.attempt(&mut state, preconditions, write, began).await {
                Err(WriteError::Append(AppendError::Conflict { .. })) => self.metrics.conflict(),
                // The cached state may be old: only the state in Redis can refuse.
                Err(error) if error.depends_on_state() && !state.is_current() => {}
                outcome => return outcome,
            }
            state.refresh().await?;
        }
        Err(WriteError::Overtaken {
            id,
            tries: CONFLICT_TRIES,
        })
    }

    /// What an earlier request with the same Idempotency-Key wrote.
    async fn earlier(
        &self,
        id: LtmId,
        preconditions: &Preconditions<'_>,
    ) -> Result<Option<Written>, WriteError> {
        let Some(idempotency) = preconditions.idempotency else {
            return Ok(None);
        };
        match self.store.earlier_append(id, idempotency).await? {
            Some(appended) => self.replay(id, appended).await.map(Some),
            None => Ok(None),
        }
    }

    async fn replay(&self, id: LtmId, appended: AppendedEntries) -> Result<Written, WriteError> {
        let entry = self.store.entry(id, appended.head()).await?;
        Ok(Written {
            cursors: appended.cursors,
            snapshots_count: appended.snapshots_count,
            payload: entry.map(|entry| entry.payload),
            replayed: true,
        })
    }

    /// Drafts the entries for the locked state, and appends them.
    async fn attempt(
        &self,
        state: &mut StateGuard,
        preconditions: &Preconditions<'_>,
        write: &mut impl Write,
        began: Instant,
    ) -> Result<Written, WriteError> {
        let (id, expected) = (state.id(), state.cursor);
        preconditions.check(expected)?;
        let status = state.status().map(str::to_owned);
        let has_errors = state.index.has_errors();
        let change = write.apply(state).await?;
        let mut span = Span::redis("EVALSHA", "append");
        let draft = Draft::new(state, change, span.as_ref());
        let is_error = draft.entries.iter().any(|it| it.kind == Kind::Error);
        let append = Append {
            entries: &draft.entries,
            expected,
            now: &now(),
            snapshots_count: draft.snapshots_count,
            status: draft.status(),
            changes_lists: draft.status() != status.as_deref() || (is_error && !has_errors),
            idempotency: preconditions.idempotency,
            producer: preconditions.producer.as_ref(),
        };
        let appended = self.store.append(id, &append).await;
        if let (Some(span), Err(error)) = (&mut span, &appended) {
            span.failed(&error.to_string());
        }
        drop(span);
        match appended {
            Ok(()) => {}
            Err(AppendError::Duplicate(answer)) => return self.replay(id, answer).await,
            Err(error) => {
                match &error {
                    // The next request must not begin with the same old state.
                    AppendError::Store(StoreError::OutcomeUnknown(_)) => self.cache.forget(id),
                    AppendError::Store(error) => self.cache.forget_missing(id, error),
                    _ => {}
                }
                return Err(error.into());
            }
        }
        let snapshots_count = draft.snapshots_count;
        let (mut entries, undo) = draft.commit();
        drop_elsewhere(undo.iter().map(Undo::memory).sum(), undo).await;
        self.metrics.appended(&entries, began.elapsed());
        Ok(Written {
            cursors: entries.iter().map(|entry| entry.cursor).collect(),
            snapshots_count,
            payload: entries.pop().map(|last| last.payload),
            replayed: false,
        })
    }

    /// Deletes an LTM. `If-Match` may name one cursor.
    pub(crate) async fn delete(
        &self,
        id: LtmId,
        preconditions: &Preconditions<'_>,
    ) -> Result<DeletedLtm, WriteError> {
        let deletion = Deletion {
            expected: preconditions
                .if_match
                .as_ref()
                .and_then(|it| it.first().copied()),
            idempotency: preconditions.idempotency,
            producer: preconditions.producer.as_ref(),
        };
        let deleted = self.store.delete(id, deletion).await;
        self.cache.forget(id);
        match deleted {
            Ok(deleted) => {
                if !deleted.replayed {
                    self.metrics.deleted();
                }
                Ok(deleted)
            }
            Err(AppendError::Conflict { current }) => Err(WriteError::Precondition(current)),
            Err(error) => Err(error.into()),
        }
    }

    /// Copies an LTM to the playground, up to and with the entry `until`.
    pub(crate) async fn copy(
        &self,
        id: LtmId,
        until: Option<Cursor>,
        preconditions: &Preconditions<'_>,
    ) -> Result<CreatedLtm, WriteError> {
        if let Some(idempotency) = preconditions.idempotency
            && let Some(earlier) = self.store.earlier_copy(idempotency).await?
        {
            return Ok(earlier);
        }
        if let Some(producer) = &preconditions.producer {
            self.store.check_epoch(id, producer).await?;
        }
        let copy = async || self.copy_once(id, until, preconditions).await;
        let copy = despite_trims(copy).await??;
        self.metrics.copied();
        Ok(copy)
    }

    /// Copies the LTM as it is now. The outer error says that it could not be read at one moment.
    async fn copy_once(
        &self,
        id: LtmId,
        until: Option<Cursor>,
        preconditions: &Preconditions<'_>,
    ) -> Result<Result<CreatedLtm, WriteError>, ReadError> {
        let (source, head) = match until {
            // Only the log before `until` is read: a log that is damaged later can be copied up to there.
            Some(cursor) => {
                let source = self.store.state_at(id, cursor).await?;
                (source, self.store.head(id).await?)
            }
            None => {
                let state = self.cache.lock_current(id).await?;
                let (bytes, head) = (state.tree.bytes(), state.cursor);
                let source = self.json_work.run(bytes, move || state.loaded()).await?;
                (source, head)
            }
        };
        if let Err(error) = preconditions.check(head) {
            return Ok(Err(error));
        }
        match self.store.copy(id, source, preconditions.idempotency).await {
            Err(CreateError::Store(error)) => Err(error.into()),
            outcome => Ok(outcome.map_err(Into::into)),
        }
    }
}
