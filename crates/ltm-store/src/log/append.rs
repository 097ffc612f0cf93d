//! Appends entries to an LTM's log.

use std::fmt::Write as _;

use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::Cmd;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    error::StoreError,
    log::read::{Store, damaged},
    log::send::request_word,
    redis::{client::Redis, script},
};

/// The most producers of one LTM whose epochs are stored.
pub const MAX_PRODUCERS: u32 = 256;
/// The Idempotency-Keys of the last this many entries of an LTM are stored.
pub const IDEMPOTENCY_SLOTS: u64 = 1024;
/// The words of the last this many appends to an LTM are stored.
const WORDS: u64 = 16;
/// The bytes of a cursor as text, at most.
const CURSOR: usize = 41;

/// The idempotency of a request: sent twice, it must be carried out once.
#[derive(Clone, Copy, Debug)]
pub struct Idempotency<'a> {
    /// The Idempotency-Key.
    pub key: &'a str,
    /// The [`fingerprint`] of the request's content.
    pub fingerprint: u64,
}

/// The length of a check as [`Idempotency::stored`] spells it.
const CHECK_DIGITS: usize = 16;

impl Idempotency<'_> {
    /// What is stored for the key of entries: [`earlier_append`] reads it. The checks of those before the last one are
    /// hexadecimal.
    pub(crate) fn stored(&self, cursors: impl Iterator<Item = Cursor>, snapshots: u64) -> String {
        let (mut checks, mut last) = (String::new(), None);
        for cursor in cursors {
            if let Some(Cursor { check, .. }) = last.replace(cursor) {
                // Writing to a text does not fail.
                let _ = write!(checks, "{check:0CHECK_DIGITS$x}");
            }
        }
        let last = last.unwrap_or(Cursor::ORIGIN);
        let mut stored = format!("{last} {snapshots} {}", self.fingerprint);
        if !checks.is_empty() {
            stored = stored + " " + &checks;
        }
        stored
    }
}

/// A hash of the content of a request. It shows if a client sends other content with the same key.
pub fn fingerprint(parts: &[&[u8]]) -> u64 {
    parts.iter().fold(0, |hash, part| {
        xxh3_64(&[&hash.to_le_bytes(), *part].concat())
    })
}

/// The name and the epoch of a producer, for fencing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEpoch {
    /// The producer's name.
    pub name: String,
    /// Its generation, at most 2^53-1. A higher epoch fences the lower ones.
    pub epoch: u64,
}

/// Entries to append, and the conditions for that.
pub struct Append<'a> {
    /// The entries: at least one. All have the same kind.
    pub entries: &'a [Entry],
    /// The head that the log must have.
    pub expected: Cursor,
    /// The time of the write.
    pub now: &'a str,
    /// The number of snapshots in the history after the entries.
    pub snapshots_count: u64,
    /// The LTM's status after the entries: see [`ltm_state::State::status`].
    pub status: Option<&'a str>,
    /// Whether lists may find the LTM by other words after the entry: it has another status, or its first error.
    pub changes_lists: bool,
    /// The idempotency of the request, if it has a key.
    pub idempotency: Option<Idempotency<'a>>,
    /// The producer, if the request names one.
    pub producer: Option<&'a ProducerEpoch>,
}

/// The entries that an earlier request with the same Idempotency-Key appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendedEntries {
    /// Their cursors: at least one.
    pub cursors: Vec<Cursor>,
    /// The number of snapshots in the history after them.
    pub snapshots_count: u64,
}

impl AppendedEntries {
    /// The cursor of the last entry.
    pub fn head(&self) -> Cursor {
        self.cursors.last().copied().unwrap_or(Cursor::ORIGIN)
    }
}

/// Why entries were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log has another head: read, fold, and try again.
    #[error("the head of the log is {current}")]
    Conflict {
        /// The head of the log.
        current: Cursor,
    },
    /// An earlier request with this Idempotency-Key appended entries.
    #[error("an earlier request with this Idempotency-Key appended the entry {}", .0.head())]
    Duplicate(AppendedEntries),
    /// The Idempotency-Key belongs to a request with other content.
    #[error("the Idempotency-Key was used for another request")]
    KeyReused,
    /// A higher epoch of the producer has written.
    #[error("epoch {epoch} of this producer has written")]
    Fenced {
        /// The higher epoch.
        epoch: u64,
    },
    /// The epochs of [`MAX_PRODUCERS`] other producers are stored.
    #[error(
        "{MAX_PRODUCERS} other producers have written to this LTM; use one of their names, or none"
    )]
    TooManyProducers,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Appends entries, all or none, if the log has the expected head.
    ///
    /// If Redis's answer is lost, they are sent again. The word of the call shows whether the first try wrote them.
    ///
    /// # Errors
    ///
    /// [`AppendError`]. Nothing is written then, but after [`StoreError::Unavailable`] and
    /// [`StoreError::OutcomeUnknown`] the outcome is unknown.
    pub async fn append(&self, id: LtmId, append: &Append<'_>) -> Result<(), AppendError> {
        let call = append_call(id, append, &self.redis);
        let send = self.send(id, &script::APPEND, &call);
        let outcome = if append.changes_lists {
            self.indexed(id, send).await?
        } else {
            self.updating(id, send).await?
        };
        if outcome.is_in_doubt {
            return Err(StoreError::OutcomeUnknown(id).into());
        }
        let detail = outcome.detail;
        match outcome.word.as_str() {
            "ok" => Ok(()),
            "unknown" => Err(self.missing(id).await.into()),
            "duplicate" => {
                let earlier = earlier_append(id, &detail, append.idempotency)?;
                Err(AppendError::Duplicate(earlier))
            }
            "fenced" => Err(fenced(&detail)),
            "crowded" => Err(AppendError::TooManyProducers),
            "conflict" => Err(AppendError::Conflict {
                current: head_of(id, append.expected, &detail)?,
            }),
            "foreign" => Err(foreign_entry(id, append.expected, &detail).into()),
            _ => Err(damaged(id, append.expected, &detail).into()),
        }
    }

    /// The entries that an earlier request with this Idempotency-Key appended.
    ///
    /// # Errors
    ///
    /// [`AppendError::KeyReused`] if that request had other content; [`AppendError::Store`].
    pub async fn earlier_append(
        &self,
        id: LtmId,
        idempotency: Idempotency<'_>,
    ) -> Result<Option<AppendedEntries>, AppendError> {
        let mut get = redis::cmd("HGET");
        get.arg(keys::idempotency(id))
            .arg(format!("k:{}", idempotency.key));
        let found: Option<String> = self.redis.query(&get).await.map_err(StoreError::from)?;
        let Some(text) = found else { return Ok(None) };
        let earlier = earlier_append(id, &text, Some(idempotency))?;
        let field = format!("k:{}", idempotency.key);
        let is_kept = self.await_replicas(&keys::idempotency(id), &field).await?;
        Ok(is_kept.then_some(earlier))
    }

    /// Checks that no higher epoch of the producer has written to an LTM.
    ///
    /// # Errors
    ///
    /// [`AppendError::Fenced`]; [`AppendError::Store`].
    pub async fn check_epoch(
        &self,
        id: LtmId,
        producer: &ProducerEpoch,
    ) -> Result<(), AppendError> {
        let mut get = redis::cmd("HGET");
        get.arg(keys::meta(id))
            .arg(format!("producer:{}", producer.name));
        let epoch: Option<String> = self.redis.query(&get).await.map_err(StoreError::from)?;
        match epoch {
            Some(epoch) if epoch.parse().is_ok_and(|it: u64| it > producer.epoch) => {
                Err(fenced(&epoch))
            }
            _ => Ok(()),
        }
    }
}

/// The error for a producer whose higher epoch has written.
pub(crate) fn fenced(epoch: &str) -> AppendError {
    AppendError::Fenced {
        epoch: epoch.parse().unwrap_or(u64::MAX),
    }
}

/// The error for a stream with an entry that the services did not write. Says how to remove it.
fn foreign_entry(id: LtmId, head: Cursor, entry: &str) -> StoreError {
    let log = keys::log(id);
    let detail = format!(
        "the services did not write the entry {entry}, and it blocks new entries; \
         remove it: XDEL {log} {entry}, then XSETID {log} {head}; if Redis refuses that (from 8 on), copy the LTM and continue with the copy"
    );
    damaged(id, head, &detail)
}

pub(crate) fn append_call(id: LtmId, append: &Append<'_>, redis: &Redis) -> Cmd {
    let entries = append.entries;
    let (head, kind) = match entries.last() {
        Some(last) => (last.cursor, &last.kind),
        None => (append.expected, &Kind::Snapshot),
    };
    let (key, stored) = append
        .idempotency
        .map_or(("", String::new()), |idempotency| {
            let cursors = entries.iter().map(|entry| entry.cursor);
            let stored = idempotency.stored(cursors, append.snapshots_count);
            (idempotency.key, stored)
        });
    let (producer, epoch) = append
        .producer
        .map_or(("", 0), |producer| (producer.name.as_str(), producer.epoch));
    let logged = [&*keys::log(id), &keys::meta(id), &keys::idempotency(id)];
    let bytes = entries.iter().map(|entry| CURSOR + entry.payload.len());
    let mut call = script::APPEND.call_with_capacity(&logged, bytes.sum());
    call.arg(append.expected.to_string())
        .arg(head.to_string())
        .arg(kind.as_str())
        .arg(append.now)
        .arg(append.snapshots_count)
        .arg(redis.live_channel(id))
        .arg(key)
        .arg(stored)
        .arg(IDEMPOTENCY_SLOTS)
        .arg(producer)
        .arg(epoch)
        .arg(MAX_PRODUCERS)
        .arg(redis.publish_command())
        .arg(append.status.unwrap_or_default())
        .arg(head.seq)
        .arg(request_word())
        .arg(WORDS);
    for entry in entries {
        call.arg(entry.cursor.to_string()).arg(&*entry.payload);
    }
    call
}

/// Reads the head of the log from the answer of a script. `expected` is the head that the caller knew.
pub(crate) fn head_of(id: LtmId, expected: Cursor, text: &str) -> Result<Cursor, StoreError> {
    let head = text.parse();
    head.map_err(|_| damaged(id, expected, "its head is not a cursor"))
}

/// Reads what [`Idempotency::stored`] wrote, and compares the fingerprint with that of the request.
pub(crate) fn earlier_append(
    id: LtmId,
    text: &str,
    idempotency: Option<Idempotency<'_>>,
) -> Result<AppendedEntries, AppendError> {
    match read_stored(text) {
        Some((entries, of)) if idempotency.is_some_and(|it| it.fingerprint == of) => Ok(entries),
        Some(_) => Err(AppendError::KeyReused),
        None => {
            let detail = format!("{} has an unreadable field", keys::idempotency(id));
            Err(damaged(id, Cursor::ORIGIN, &detail).into())
        }
    }
}

/// The entries of a key, and the fingerprint of the request.
fn read_stored(text: &str) -> Option<(AppendedEntries, u64)> {
    let mut words = text.split(' ');
    let last: Cursor = words.next()?.parse().ok()?;
    let snapshots_count = words.next()?.parse().ok()?;
    let fingerprint = words.next()?.parse().ok()?;
    let checks = words.next().unwrap_or_default().as_bytes();
    let checks = checks.chunks(CHECK_DIGITS).map(|digits| {
        let digits = std::str::from_utf8(digits).ok()?;
        u64::from_str_radix(digits, 16).ok()
    });
    let mut checks = checks.collect::<Option<Vec<u64>>>()?;
    checks.push(last.check);
    let first = last.seq.checked_sub(checks.len() as u64 - 1)?;
    let cursors = (first..).zip(checks);
    let cursors = cursors.map(|(seq, check)| Cursor { seq, check }).collect();
    let entries = AppendedEntries {
        cursors,
        snapshots_count,
    };
    Some((entries, fingerprint))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_stored_for_a_key_gives_the_entries_back(
            first in 1_u64..1 << 53,
            checks in prop::collection::vec(any::<u64>(), 1..1000),
            snapshots_count: u64,
            fingerprint: u64,
        ) {
            let cursors = (first..).zip(checks).map(|(seq, check)| Cursor { seq, check });
            let entries = AppendedEntries { cursors: cursors.collect(), snapshots_count };
            let idempotency = Idempotency { key: "k", fingerprint };
            let stored = idempotency.stored(entries.cursors.iter().copied(), snapshots_count);
            prop_assert_eq!(read_stored(&stored), Some((entries, fingerprint)));
        }
    }
}
