//! Copies LTMs.

use std::sync::Arc;

use ltm_state::{Checkpoint, HistoryIndex, State};
use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::{Cmd, Value};

use crate::{
    apart::apart,
    error::StoreError,
    log::append::Idempotency,
    log::create::{CreateError, CreatedLtm},
    log::meta::{Meta, MetaFields},
    log::read::{NOT_A_CURSOR, Read, Store, WindowBounds, damaged},
    log::retention::Base,
    log::send::request_word,
    log::state::LoadedState,
    redis::script::{self, Script},
};

/// How long an unfinished log stays in Redis if nobody discards it, in seconds.
const UNFINISHED_SECONDS: u64 = 60 * 60;

/// What a copy is made of.
struct Copy<'a> {
    source_id: LtmId,
    source: Arc<LoadedState>,
    meta: &'a Meta,
    idempotency: Option<Idempotency<'a>>,
}

/// The log of an unfinished copy.
struct CopiedLog {
    /// The state at its end, without the tree.
    state: State,
    /// The cursor of its base.
    base: Option<Cursor>,
    /// The bytes of all payloads.
    bytes: u64,
}

/// What became of a copy that an Idempotency-Key is bound to.
pub(crate) enum Earlier {
    /// It is an LTM.
    Finished(CreatedLtm),
    /// It was not finished, and cannot be finished any more.
    Discarded,
    /// The id belongs to an LTM that is not this copy, or did.
    Taken,
}

impl Store {
    /// Copies an LTM, as it is at `source`, to a new one on the playground. The copy has the snapshots and the
    /// rollbacks, and not the errors.
    ///
    /// The log of the copy is written in parts. It becomes an LTM once it is complete; if it fails, it is removed. If
    /// the source's log contains only errors, the copy has a base and an empty log.
    ///
    /// With an Idempotency-Key, call [`Store::earlier_copy`] first.
    ///
    /// # Errors
    ///
    /// As [`Store::state`] and [`Store::create`]; [`StoreError::Trimmed`] if the log no longer leads to `source`:
    /// retention removed entries, or a failover has replaced them.
    pub async fn copy(
        &self,
        id: LtmId,
        source: LoadedState,
        idempotency: Option<Idempotency<'_>>,
    ) -> Result<CreatedLtm, CreateError> {
        let meta = self.meta(id).await?;
        let new = self.next_id().await?;
        let copy = Copy {
            source_id: id,
            source: Arc::new(source),
            meta: &meta,
            idempotency,
        };
        let copied = self.copy_to(new, &copy).await;
        if copied.is_err() {
            self.remove_failed_copy(new, &meta).await;
        }
        copied
    }

    /// The copy that an earlier request with the same Idempotency-Key made. If that request has not finished its copy,
    /// removes the copy.
    ///
    /// # Errors
    ///
    /// As [`Store::create`].
    pub async fn earlier_copy(
        &self,
        idempotency: Idempotency<'_>,
    ) -> Result<Option<CreatedLtm>, CreateError> {
        let Some(id) = self.bound(idempotency).await? else {
            return Ok(None);
        };
        match self.discard(id, idempotency.key).await? {
            Earlier::Finished(copy) => Ok(Some(copy)),
            Earlier::Taken => Err(CreateError::Taken(id)),
            Earlier::Discarded => {
                self.unbind(id, idempotency).await?;
                Ok(None)
            }
        }
    }

    /// Removes an unfinished log, unless it was written with another Idempotency-Key than `key`.
    pub(crate) async fn discard(&self, id: LtmId, key: &str) -> Result<Earlier, StoreError> {
        let mut call = call(&script::DISCARD, id);
        call.arg(key);
        let outcome = self.send(id, &script::DISCARD, &call).await?;
        match outcome.word.as_str() {
            "discarded" => Ok(Earlier::Discarded),
            "earlier" => {
                let cursor = outcome.detail.parse();
                let cursor = cursor.map_err(|_| damaged(id, Cursor::ORIGIN, NOT_A_CURSOR))?;
                Ok(Earlier::Finished(CreatedLtm {
                    id,
                    cursor,
                    replayed: true,
                    is_new: true,
                }))
            }
            _ => Ok(Earlier::Taken),
        }
    }

    /// Removes what a copy that failed has written. If Redis does not answer, it expires.
    async fn remove_failed_copy(&self, id: LtmId, meta: &Meta) {
        if let Ok(Earlier::Discarded) = self.discard(id, "").await {
            self.try_unlist(id, true, &meta.fqn).await;
        }
    }

    async fn copy_to(&self, new: LtmId, copy: &Copy<'_>) -> Result<CreatedLtm, CreateError> {
        let log = self.copy_log(new, copy).await?;
        let mark = self.list_as(new, true, &copy.meta.fqn).await?;
        if let Some(idempotency) = copy.idempotency
            && self.bind(new, idempotency).await? != new
        {
            return Err(CreateError::InProgress);
        }
        self.adopt(new, copy, &log).await?;
        self.index_later(new, mark);
        let (cursor, source) = (log.state.cursor, copy.source.clone());
        let checkpoint = apart(source.state.tree.bytes(), move || {
            let text = source.state.text();
            log.state.checkpoint_as(text)
        })
        .await;
        if let Some(checkpoint) = checkpoint
            && let Err(error) = self.save_checkpoint(new, &checkpoint).await
        {
            tracing::warn!(id = %new, %error, "checkpoint of a copy not written; the next one will replace it");
        }
        Ok(CreatedLtm {
            id: new,
            cursor,
            replayed: false,
            is_new: true,
        })
    }

    /// Copies base and entries up to the state that is copied.
    async fn copy_log(&self, new: LtmId, copy: &Copy<'_>) -> Result<CopiedLog, StoreError> {
        let (from, until) = (copy.source_id, copy.source.state.cursor);
        let mut base = match self.base(from).await? {
            Some(base) => Some(stored(base).await),
            None => None,
        };
        // The tree is not needed: only entries are counted.
        let mut target = State {
            cursor: base.as_ref().map_or(Cursor::ORIGIN, |base| base.cursor),
            index: base
                .as_ref()
                .map_or_else(HistoryIndex::default, |base| base.index.clone()),
            ..State::default()
        };
        let (base_cursor, mut bytes) = (base.as_ref().map(|base| base.cursor), 0);
        let mut cursor = target.cursor;
        // The log of the copy begins after its base.
        let mut last = None;
        while cursor.seq < until.seq {
            let read = self.read_after(from, cursor, WindowBounds::default());
            let Read::Continues(window) = read.await? else {
                return Err(StoreError::Trimmed(from));
            };
            let entries = window.entries.into_iter();
            let entries: Vec<Entry> = entries
                .take_while(|entry| entry.cursor.seq <= until.seq)
                .collect();
            // A failover has lost the entries that are still to be copied.
            let Some(read_last) = entries.last() else {
                return Err(StoreError::Trimmed(from));
            };
            cursor = read_last.cursor;
            let mut copies = Vec::new();
            for entry in entries {
                if matches!(entry.kind, Kind::Snapshot | Kind::Rollback) {
                    let copy = Entry::after(target.cursor, entry.kind, entry.payload);
                    target.advance(&copy);
                    bytes += copy.payload.len() as u64;
                    copies.push(copy);
                }
            }
            self.write_part(new, copy, base.take().as_ref(), last, &copies)
                .await?;
            last = copies.last().map(|entry| entry.cursor).or(last);
        }
        // A cursor names all entries before it, so the copy is that moment and no other.
        if cursor != until {
            return Err(StoreError::Trimmed(from));
        }
        self.write_part(new, copy, base.as_ref(), last, &[]).await?;
        Ok(CopiedLog {
            state: target,
            base: base_cursor,
            bytes,
        })
    }

    /// Adds the base, if it is given, and entries to an unfinished copy. `last` is the cursor of the last entry in its log.
    async fn write_part(
        &self,
        id: LtmId,
        copy: &Copy<'_>,
        base: Option<&StoredBase>,
        last: Option<Cursor>,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        if base.is_none() && entries.is_empty() {
            return Ok(());
        }
        let checkpoint = base.and_then(|base| Some((base.checkpoint.as_ref()?, &*base.time)));
        let at = checkpoint.map_or_else(String::new, |(it, _)| it.cursor.to_string());
        let base = checkpoint.map_or([""; 4], |(it, time)| [&at, &it.state, &it.index, time]);
        let entries = entries.iter();
        let entries = entries.map(|it| (it.cursor, it.kind.as_str(), &*it.payload));
        match self.write_unfinished(id, base, last, entries).await? {
            true => Ok(()),
            false => Err(StoreError::CopyLost(copy.source_id)),
        }
    }

    /// Adds entries to an unfinished log, and its base: cursor, state, history index and time, or empty texts. `last` is
    /// the cursor of the last entry that it has. Returns whether the log is still the one that ends there.
    pub(crate) async fn write_unfinished<'a>(
        &self,
        id: LtmId,
        base: [&str; 4],
        last: Option<Cursor>,
        entries: impl Iterator<Item = (Cursor, &'a str, &'a str)>,
    ) -> Result<bool, StoreError> {
        let mut call = call(&script::COPY, id);
        call.arg(last.map_or_else(String::new, |cursor| cursor.to_string()))
            .arg(UNFINISHED_SECONDS)
            .arg(&base);
        for (cursor, kind, payload) in entries {
            call.arg(cursor.to_string()).arg(kind).arg(payload);
        }
        let answer = script::COPY.run(&self.redis, &call).await?;
        Ok(matches!(answer, Value::Int(1)))
    }

    /// Makes the copy an LTM.
    async fn adopt(&self, id: LtmId, copy: &Copy<'_>, log: &CopiedLog) -> Result<(), CreateError> {
        let (meta, source, target) = (copy.meta, &copy.source, &log.state);
        let mut call = call(&script::ADOPT, id);
        let key = copy.idempotency.map_or("", |idempotency| idempotency.key);
        call.arg(target.cursor.to_string())
            .arg(request_word())
            .arg(key);
        let fields = MetaFields {
            name: &meta.name,
            fqn: &meta.fqn,
            key: None,
            params: &meta.params,
            structure: &meta.structure,
            concurrent_instances: &meta.concurrent_instances,
            playground: true,
            source: Some(copy.source_id),
            created_at: &meta.created_at,
            updated_at: &meta.updated_at,
            snapshots_count: target.snapshots_count(),
            retention: source.retention,
            cursor: target.cursor,
            status: source.state.status(),
            base: log.base,
            bytes: log.bytes,
        };
        fields.write(&mut call);
        let outcome = self.send(id, &script::ADOPT, &call).await?;
        match outcome.word.as_str() {
            "ok" => Ok(()),
            "lost" if copy.idempotency.is_some() => Err(CreateError::InProgress),
            "taken" if outcome.is_repeated => Err(StoreError::OutcomeUnknown(id).into()),
            // After a failover that lost the counter's last ids, another LTM may have this one.
            _ => Err(StoreError::CopyLost(copy.source_id).into()),
        }
    }
}

/// A base in its stored form.
struct StoredBase {
    cursor: Cursor,
    index: HistoryIndex,
    /// `None` before the first entry.
    checkpoint: Option<Checkpoint>,
    time: String,
}

async fn stored(base: Base) -> StoredBase {
    let Base { state, time } = base;
    let (cursor, index) = (state.cursor, state.index.clone());
    let checkpoint = apart(state.tree.bytes(), move || state.checkpoint()).await;
    StoredBase {
        cursor,
        index,
        checkpoint,
        time,
    }
}

/// A call of a script for unfinished logs.
fn call(script: &Script, id: LtmId) -> Cmd {
    script.call(&[
        &keys::log(id),
        &keys::meta(id),
        &keys::deleted(id),
        &keys::base(id),
    ])
}
