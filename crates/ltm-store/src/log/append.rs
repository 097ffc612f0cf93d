//! Writing to an LTM's log.

use std::time::Duration;

use ltm_types::{Cursor, Entry, LtmId, keys};
use redis::{Cmd, Value, from_redis_value_ref as from_value};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    error::StoreError,
    log::read::{Store, damaged},
    redis::script::{self, Script},
};

/// The most producers that an LTM remembers the epochs of.
pub const MAX_PRODUCERS: u32 = 256;
/// The Idempotency-Keys that an LTM remembers, at least the latest this many entries' worth.
pub const IDEMPOTENCY_SLOTS: u64 = 1024;
/// How often a write is sent whose outcome is not known.
const TRIES: u32 = 3;

/// A request that may come twice and must land once.
#[derive(Clone, Copy, Debug)]
pub struct Idempotency<'a> {
    /// The Idempotency-Key.
    pub key: &'a str,
    /// What stands for the request's content; see [`fingerprint`].
    pub fingerprint: u64,
}

/// What stands for the content of a request: the same key with another content is a mistake.
pub fn fingerprint(parts: &[&[u8]]) -> u64 {
    parts.iter().fold(0, |hash, part| {
        xxh3_64(&[&hash.to_le_bytes(), *part].concat())
    })
}

/// A producer that named itself, for fencing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its name.
    pub name: String,
    /// Which of its lives this is; at most 2^53-1.
    pub epoch: u64,
}

/// One entry to append, and under which conditions.
pub struct Append<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The cursor that the log must be at.
    pub expected: Cursor,
    /// The time of the write.
    pub now: &'a str,
    /// The LTM's snapshots once it is written.
    pub snapshots_count: u64,
    /// The LTM's `_status` once it is written: see [`ltm_state::State::status`].
    pub status: Option<&'a str>,
    /// How a repeated request is known.
    pub idempotency: Option<Idempotency<'a>>,
    /// Who writes.
    pub producer: Option<&'a Producer>,
}

/// The answer that was given to an earlier request with the same Idempotency-Key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The entry's cursor.
    pub cursor: Cursor,
    /// The LTM's snapshots once it was written.
    pub snapshots_count: u64,
}

/// Why an entry was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log has moved on: read, fold, and try again.
    #[error("the log is at {current}")]
    Conflict {
        /// Where the log is.
        current: Cursor,
    },
    /// An earlier request with this Idempotency-Key has landed.
    #[error("the request has landed before, at {}", .0.cursor)]
    Duplicate(Answer),
    /// The Idempotency-Key belongs to a request with another content.
    #[error("the Idempotency-Key was used for another request")]
    KeyReused,
    /// A higher epoch of the producer has written.
    #[error("epoch {epoch} of this producer has written")]
    Fenced {
        /// The higher epoch.
        epoch: u64,
    },
    /// As many producers as are remembered have named themselves on this LTM.
    #[error("{MAX_PRODUCERS} producers have named themselves on this LTM")]
    TooManyProducers,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Appends one entry, if the log is where it is expected to be.
    ///
    /// Where an answer of Redis is lost, the entry is sent again; its id tells whether it had landed.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; nothing is written then, except that after
    /// [`StoreError::Unavailable`] the outcome is not known.
    pub async fn append(&self, id: LtmId, append: &Append<'_>) -> Result<(), AppendError> {
        let call = append_call(id, append, self.redis.publishes());
        let (answer, uncertain) = self.send(&script::APPEND, &call).await?;
        let (outcome, detail) = outcome(id, &answer)?;
        match outcome.as_str() {
            "ok" => Ok(()),
            "unknown" => Err(self.missing(id).await.into()),
            "duplicate" => {
                let idempotency = append
                    .idempotency
                    .ok_or_else(|| damaged(id, append.expected, "an answer without a question"))?;
                match remembered(id, &detail, idempotency.fingerprint)? {
                    answer if uncertain && answer.cursor == append.entry.cursor => Ok(()),
                    answer => Err(AppendError::Duplicate(answer)),
                }
            }
            "fenced" => Err(AppendError::Fenced {
                epoch: detail.parse().unwrap_or(u64::MAX),
            }),
            "crowded" => Err(AppendError::TooManyProducers),
            "conflict" => {
                let current = detail
                    .parse()
                    .map_err(|_| damaged(id, append.expected, "its head is not a cursor"))?;
                if uncertain && self.holds(id, append.entry.cursor, current).await? {
                    return Ok(());
                }
                Err(AppendError::Conflict { current })
            }
            "foreign" => Err(foreign(id, append.expected, &detail).into()),
            _ => Err(damaged(id, append.entry.cursor, &detail).into()),
        }
    }

    /// The answer that was given to this request before.
    ///
    /// # Errors
    ///
    /// [`AppendError::KeyReused`] where the content was another one; [`AppendError::Store`].
    pub async fn remembered(
        &self,
        id: LtmId,
        idempotency: Idempotency<'_>,
    ) -> Result<Option<Answer>, AppendError> {
        let mut get = redis::cmd("HGET");
        get.arg(keys::idempotency(id))
            .arg(format!("k:{}", idempotency.key));
        let found: Option<String> = self.redis.query(&get).await.map_err(StoreError::from)?;
        let Some(text) = found else { return Ok(None) };
        let answer = remembered(id, &text, idempotency.fingerprint)?;
        if self.redis.waits() {
            // Written once more, so that there is something to wait for.
            let mut again = redis::cmd("HSET");
            again.arg(keys::idempotency(id));
            again.arg(format!("k:{}", idempotency.key)).arg(&text);
            let written = self.redis.write(&again).await;
            written.map_err(StoreError::from)?;
        }
        Ok(Some(answer))
    }

    /// Runs a script that writes; says whether it may have run before without an answer.
    pub(crate) async fn send(
        &self,
        script: &Script,
        call: &Cmd,
    ) -> Result<(Value, bool), StoreError> {
        // A cluster's connection sends again by itself.
        let mut uncertain = self.redis.is_cluster();
        let mut attempt = 1;
        loop {
            match script.write(&self.redis, call).await {
                Ok(answer) => return Ok((answer, uncertain)),
                Err(error) if error.is_transient() && attempt < TRIES => {
                    uncertain = true;
                    tokio::time::sleep(Duration::from_millis(50) * attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the log, which is at `current`, holds an entry with this cursor.
    async fn holds(&self, id: LtmId, cursor: Cursor, current: Cursor) -> Result<bool, StoreError> {
        Ok(
            cursor == current
                || current.seq > cursor.seq && self.entry(id, cursor).await?.is_some(),
        )
    }
}

/// The error for a stream with an entry that the services did not write; says how to mend it.
fn foreign(id: LtmId, head: Cursor, entry: &str) -> StoreError {
    let log = keys::log(id);
    let detail = format!(
        "the entry {entry} was not written by this service and stands in its way; \
         remove it: XDEL {log} {entry}, then XSETID {log} {head}; where Redis refuses that (from 8 on), copy the LTM: copies go on"
    );
    damaged(id, head, &detail)
}

fn append_call(id: LtmId, append: &Append<'_>, publishes: &str) -> Cmd {
    let entry = append.entry;
    let (key, answer) = append
        .idempotency
        .map_or(("", String::new()), |idempotency| {
            let (cursor, count) = (entry.cursor, append.snapshots_count);
            (
                idempotency.key,
                format!("{cursor} {count} {}", idempotency.fingerprint),
            )
        });
    let (producer, epoch) = append
        .producer
        .map_or(("", 0), |producer| (producer.name.as_str(), producer.epoch));
    let logged = [&*keys::log(id), &keys::meta(id), &keys::idempotency(id)];
    let mut call = script::APPEND.call_of(&logged, entry.payload.len());
    call.arg(append.expected.to_string())
        .arg(entry.cursor.to_string())
        .arg(entry.kind.as_str())
        .arg(&*entry.payload)
        .arg(append.now)
        .arg(append.snapshots_count)
        .arg(keys::live(id))
        .arg(key)
        .arg(answer)
        .arg(entry.cursor.seq % IDEMPOTENCY_SLOTS)
        .arg(producer)
        .arg(epoch)
        .arg(MAX_PRODUCERS)
        .arg(publishes)
        .arg(append.status.unwrap_or_default());
    call
}

/// What a script says: a word and a detail.
pub(crate) fn outcome(id: LtmId, answer: &Value) -> Result<(String, String), StoreError> {
    from_value(answer).map_err(|_| {
        damaged(
            id,
            Cursor::ORIGIN,
            "a script gave an answer that is none of its own",
        )
    })
}

/// Reads `<cursor> <snapshots_count> <fingerprint>`.
fn remembered(id: LtmId, text: &str, fingerprint: u64) -> Result<Answer, AppendError> {
    let read = || {
        let mut words = text.split(' ');
        let answer = Answer {
            cursor: words.next()?.parse().ok()?,
            snapshots_count: words.next()?.parse().ok()?,
        };
        Some((answer, words.next()?.parse::<u64>().ok()?))
    };
    match read() {
        Some((answer, of)) if of == fingerprint => Ok(answer),
        Some(_) => Err(AppendError::KeyReused),
        None => Err(damaged(
            id,
            Cursor::ORIGIN,
            "an answer to an Idempotency-Key cannot be read",
        )
        .into()),
    }
}
