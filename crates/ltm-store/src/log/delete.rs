//! Deletes LTMs.

use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::Cmd;

use crate::{
    error::StoreError,
    log::append::{AppendError, Idempotency, ProducerEpoch, earlier_append, fenced, head_of},
    log::create::CREATION_KEY_SECONDS,
    log::meta::Meta,
    log::read::Store,
    log::send::request_word,
    redis::{client::Redis, script},
};

/// The most times that a deletion is tried if other requests keep appending.
const MAX_TRIES: u32 = 64;

/// How long the word of a deletion is stored, in seconds: longer than a request is tried.
const WORD_SECONDS: u64 = 60;

/// The conditions of a deletion.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deletion<'a> {
    /// The head that the log must have; `None` for any.
    pub expected: Option<Cursor>,
    /// The idempotency of the request, if it has a key.
    pub idempotency: Option<Idempotency<'a>>,
    /// The producer, if the request names one.
    pub producer: Option<&'a ProducerEpoch>,
}

/// An LTM that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedLtm {
    /// The cursor of the last entry, which is published but not stored.
    pub cursor: Cursor,
    /// Whether an earlier request with the same Idempotency-Key deleted it.
    pub replayed: bool,
}

impl Store {
    /// Deletes an LTM.
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`], [`AppendError::Fenced`], [`AppendError::KeyReused`]; [`StoreError::Unknown`],
    /// [`StoreError::Deleted`]; [`StoreError::Unavailable`], after which the outcome is unknown.
    pub async fn delete(
        &self,
        id: LtmId,
        deletion: Deletion<'_>,
    ) -> Result<DeletedLtm, AppendError> {
        if let Some(idempotency) = deletion.idempotency
            && let Some(earlier) = self.earlier_append(id, idempotency).await?
        {
            let cursor = earlier.head();
            return Ok(DeletedLtm {
                cursor,
                replayed: true,
            });
        }
        let word = request_word();
        for _ in 0..MAX_TRIES {
            let meta = match self.meta(id).await {
                Ok(meta) => Some(meta),
                // The script waits for the replicas: they have the deletion, or nobody is told of it.
                Err(StoreError::Deleted { .. }) if self.redis.waits_for_replicas() => None,
                Err(error) => return Err(error.into()),
            };
            let head = meta.as_ref().map_or(Cursor::ORIGIN, |meta| meta.cursor);
            let head = deletion.expected.unwrap_or(head);
            let last = Entry::after(head, Kind::Deleted, "true".into());
            let call = delete_call(id, head, &last, &deletion, &word, &self.redis);
            let send = self.send(id, &script::DELETE, &call);
            let outcome = self.indexed(id, send).await?;
            let detail = outcome.detail;
            match outcome.word.as_str() {
                "ok" => {
                    self.unlist_deleted(id, meta).await;
                    return Ok(DeletedLtm {
                        cursor: head_of(id, head, &detail)?,
                        replayed: false,
                    });
                }
                "duplicate" => {
                    let earlier = earlier_append(id, &detail, deletion.idempotency)?;
                    return Err(AppendError::Duplicate(earlier));
                }
                "fenced" => return Err(fenced(&detail)),
                "conflict" if deletion.expected.is_none() => {}
                "conflict" => {
                    let current = head_of(id, head, &detail)?;
                    return Err(AppendError::Conflict { current });
                }
                "deleted" => {
                    let cursor = head_of(id, head, &detail)?;
                    return Err(StoreError::Deleted { id, cursor }.into());
                }
                _ => return Err(self.missing(id).await.into()),
            }
        }
        let current = self.head(id).await?;
        Err(AppendError::Conflict { current })
    }

    /// Removes a deleted LTM from its lists. If that fails, a list that meets it removes it.
    async fn unlist_deleted(&self, id: LtmId, meta: Option<Meta>) {
        if let Some(meta) = meta {
            self.try_unlist(id, meta.playground, &meta.fqn).await;
        }
    }
}

fn delete_call(
    id: LtmId,
    expected: Cursor,
    last: &Entry,
    deletion: &Deletion<'_>,
    word: &str,
    redis: &Redis,
) -> Cmd {
    let mut call = script::DELETE.call(&[
        &keys::meta(id),
        &keys::deleted(id),
        &keys::idempotency(id),
        &keys::log(id),
        &keys::checkpoint(id),
        &keys::base(id),
    ]);
    let (key, stored) = deletion
        .idempotency
        .map_or(("", String::new()), |idempotency| {
            (
                idempotency.key,
                idempotency.stored([last.cursor].into_iter(), 0),
            )
        });
    let seconds = if key.is_empty() {
        WORD_SECONDS
    } else {
        CREATION_KEY_SECONDS
    };
    let (producer, epoch) = deletion
        .producer
        .map_or(("", 0), |producer| (producer.name.as_str(), producer.epoch));
    call.arg(expected.to_string())
        .arg(last.cursor.to_string())
        .arg(last.kind.as_str())
        .arg(&*last.payload)
        .arg(redis.live_channel(id))
        .arg(redis.publish_command())
        .arg(word)
        .arg(key)
        .arg(stored)
        .arg(seconds)
        .arg(producer)
        .arg(epoch);
    call
}
