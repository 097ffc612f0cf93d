//! Trims logs.
//!
//! The invariant: the script that removes entries also stores the state after them. This state is the base, with
//! which a trimmed log begins.

use std::time::Duration;

use jiff::Timestamp;
use ltm_state::{Retention, RetentionOverride, State, TrimRule, time_of};
use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::{Value, from_redis_value_ref as from_value};
use uuid::Uuid;

use crate::{
    apart::apart,
    error::StoreError,
    log::meta::bytes_of,
    log::read::{Read, Store, WindowBounds, damaged},
    log::state::fold_all,
    redis::connection::Answer,
    redis::script,
};

/// The stored state at the beginning of a trimmed log.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// The state.
    pub state: State,
    /// The time of the last removed entry that has one.
    pub time: String,
}

/// Where a trimmed log begins.
#[derive(Clone, Debug)]
pub struct BasePoint {
    /// The cursor of the last removed entry.
    pub cursor: Cursor,
    /// The time of the last removed entry that has one.
    pub time: String,
}

/// The bytes of all payloads in a log up to its head.
#[derive(Clone, Copy)]
struct LogBytes {
    head: Cursor,
    bytes: u64,
}

/// An LTM that retention may trim or delete.
#[derive(Clone, Debug)]
pub struct RetentionCandidate {
    /// Its id.
    pub id: LtmId,
    /// The head of its log.
    pub cursor: Cursor,
    /// The time of its last entry, by the clock of Redis or of the API, whichever is later.
    pub written_at: Timestamp,
    /// The retention that it was created with.
    pub retention: RetentionOverride,
    /// The time of the first entry in its log, if the entry has one.
    pub oldest: Option<String>,
}

impl Store {
    /// The retention that the LTM was created with, and the bytes of all payloads in its log if they are known.
    pub(crate) async fn retention(
        &self,
        id: LtmId,
    ) -> Result<(RetentionOverride, Option<u64>), StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::meta(id)).arg("retention").arg("bytes");
        let (text, bytes): (Option<String>, Option<String>) = self.redis.query(&get).await?;
        // It may be outdated: a trim counts again.
        let bytes = bytes.and_then(|field| field.rsplit(' ').next()?.parse().ok());
        let retention = text.map_or(Ok(RetentionOverride::default()), |text| {
            serde_json::from_str(&text).map_err(|e| {
                damaged(
                    id,
                    Cursor::ORIGIN,
                    &format!("its retention cannot be read: {e}"),
                )
            })
        })?;
        Ok((retention, bytes))
    }

    /// The base of the log; `None` if the log was never trimmed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Damaged`] if the base cannot be read.
    pub async fn base(&self, id: LtmId) -> Result<Option<Base>, StoreError> {
        let key = keys::base(id);
        let mut get = redis::cmd("HGET");
        get.arg(&key).arg("time");
        let (state, time) = tokio::try_join!(self.saved(id, &key), async {
            Ok(self.redis.query::<Option<String>>(&get).await?)
        })?;
        let Some(state) = state else { return Ok(None) };
        let time = time.ok_or_else(|| damaged(id, state.cursor, "its base has no time"))?;
        Ok(Some(Base { state, time }))
    }

    /// Where the log begins, without the state there; `None` if the log was never trimmed.
    ///
    /// # Errors
    ///
    /// As [`Store::base`].
    pub async fn base_point(&self, id: LtmId) -> Result<Option<BasePoint>, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::base(id)).arg("cursor").arg("time");
        let (cursor, time): (Option<String>, Option<String>) = self.redis.query(&get).await?;
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let cursor: Cursor = cursor
            .parse()
            .map_err(|_| damaged(id, Cursor::ORIGIN, "the cursor of its base is not a cursor"))?;
        let time = time.ok_or_else(|| damaged(id, cursor, "its base has no time"))?;
        Ok(Some(BasePoint { cursor, time }))
    }

    /// Removes the entries at the beginning of a log that `retention` does not keep at the time `now`. The head is
    /// always kept. Returns whether entries were removed.
    ///
    /// # Errors
    ///
    /// As [`Store::state`]; nothing is removed then.
    pub async fn trim(
        &self,
        id: LtmId,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let head = self.head(id).await?;
        let old = self.base(id).await?;
        let from = old.as_ref().map(|base| base.state.cursor);
        let counted = match retention.max_bytes {
            Some(_) => Some(self.count_bytes(id, from).await?),
            None => None,
        };
        let bytes = counted.map_or(0, |counted| counted.bytes);
        let rule = retention.trim_rule(head.seq, bytes, now);
        let mut base = old.unwrap_or_default();
        let mut removed = 0;
        while self
            .fold_removable(id, &rule, &mut base, &mut removed)
            .await?
        {}
        if base.state.cursor == from.unwrap_or(Cursor::ORIGIN) {
            return Ok(false);
        }
        base.state.index.trim(base.state.cursor.seq);
        self.store_base(id, from, base, removed, counted).await
    }

    /// Counts the bytes of all payloads in a log with the base `base`. If no field says how many there are, reads the log.
    async fn count_bytes(&self, id: LtmId, base: Option<Cursor>) -> Result<LogBytes, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::meta(id)).arg("cursor").arg("bytes");
        let (head, field): (Option<String>, Option<String>) = self.redis.query(&get).await?;
        let Some(head) = head.and_then(|head| head.parse().ok()) else {
            return Err(self.missing(id).await);
        };
        let counted = field.and_then(|field| bytes_of(&field, head, base));
        if let Some(bytes) = counted {
            return Ok(LogBytes { head, bytes });
        }
        let mut log = LogBytes {
            head: base.unwrap_or(Cursor::ORIGIN),
            bytes: 0,
        };
        loop {
            let read = self.read_after(id, log.head, WindowBounds::default());
            let Read::Continues(window) = read.await? else {
                return Err(StoreError::Trimmed(id));
            };
            let Some(last) = window.entries.last() else {
                return Ok(log);
            };
            log.head = last.cursor;
            let payloads = window
                .entries
                .iter()
                .map(|entry| entry.payload.len() as u64);
            log.bytes += payloads.sum::<u64>();
        }
    }

    /// Folds the entries of one window that the rule removes into the base, and counts their bytes. Returns whether the next window may
    /// have more.
    async fn fold_removable(
        &self,
        id: LtmId,
        rule: &TrimRule,
        base: &mut Base,
        removed: &mut u64,
    ) -> Result<bool, StoreError> {
        let read = self.read_after(id, base.state.cursor, WindowBounds::default());
        let Read::Continues(window) = read.await? else {
            let detail = "the log does not continue its base";
            return Err(damaged(id, base.state.cursor, detail));
        };
        let read = window.entries.len();
        let mut removable = window.entries;
        let kept = removable.iter().position(|entry| {
            let removes = rule.removes(entry, *removed);
            if removes {
                *removed += entry.payload.len() as u64;
            }
            !removes
        });
        removable.truncate(kept.unwrap_or(read));
        if let Some(time) = removable.iter().rev().find_map(time_of) {
            base.time = time;
        }
        fold_all(id, &mut base.state, removable).await?;
        Ok(kept.is_none() && read > 0)
    }

    /// Removes the entries up to `base`, and stores it, if the log still has the base `from`.
    async fn store_base(
        &self,
        id: LtmId,
        from: Option<Cursor>,
        base: Base,
        removed: u64,
        counted: Option<LogBytes>,
    ) -> Result<bool, StoreError> {
        let Base { state, time } = base;
        let Some(checkpoint) = apart(state.tree.bytes(), move || state.checkpoint()).await else {
            return Ok(false);
        };
        let mut call = script::TRIM.call(&[
            &keys::log(id),
            &keys::meta(id),
            &keys::base(id),
            &keys::checkpoint(id),
        ]);
        call.arg(from.map_or_else(String::new, |cursor| cursor.to_string()))
            .arg(checkpoint.cursor.to_string())
            .arg(checkpoint.cursor.seq + 1)
            .arg(&*checkpoint.state)
            .arg(&checkpoint.index)
            .arg(time)
            .arg(removed)
            .arg(counted.map_or_else(String::new, |log| log.head.to_string()))
            .arg(counted.map_or_else(String::new, |log| log.bytes.to_string()));
        let trimmed = script::TRIM.run(&self.redis, &call).await?;
        Ok(trimmed == Value::Int(1))
    }

    /// Takes the turn for a retention sweep. Only one process gets it, and then none for the duration of `pause`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn take_retention_turn(&self, pause: Duration) -> Result<bool, StoreError> {
        let holder = Uuid::new_v4().to_string();
        Ok(self
            .redis
            .lend(keys::RETENTION_TURN, &holder, pause)
            .await?)
    }

    /// Whether any LTM was created with a retention of its own.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn has_retention(&self) -> Result<bool, StoreError> {
        let mut exists = redis::cmd("EXISTS");
        exists.arg(keys::RETAINED);
        Ok(self.redis.query(&exists).await?)
    }

    /// Marks that an LTM has a retention of its own.
    pub(crate) async fn mark_retention(&self) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(keys::RETAINED).arg(1);
        self.redis.query::<Value>(&set).await?;
        Ok(())
    }

    /// Up to `count` LTMs of a list with ids lower than `before`, in descending order, and the `before` of the next
    /// page.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn retention_candidates(
        &self,
        playground: bool,
        count: usize,
        before: Option<LtmId>,
    ) -> Result<(Vec<RetentionCandidate>, Option<LtmId>), StoreError> {
        let ids = self
            .index_page(keys::index(playground), count, before)
            .await?;
        let next = ids.last().copied().filter(|_| ids.len() == count);
        let mut pipeline = redis::pipe();
        for &id in &ids {
            let meta = pipeline.cmd("HMGET");
            meta.arg(keys::meta(id));
            meta.arg("cursor").arg("retention");
            meta.arg("updated_at").arg("written_at");
            let first = pipeline.cmd("XRANGE");
            first.arg(keys::log(id)).arg("-").arg("+");
            first.arg("COUNT").arg(1);
        }
        if ids.is_empty() {
            return Ok((Vec::new(), None));
        }
        // In a cluster, LTMs on a server that is down wait for a later sweep.
        let answers = self.redis.pipeline_each(&pipeline, 2 * ids.len()).await?;
        let read = |(&id, pair): (&LtmId, &[Answer])| {
            let [Ok(meta), Ok(first)] = pair else {
                return None;
            };
            let fields: [Option<String>; 4] = from_value(meta).ok()?;
            let [cursor, retention, updated_at, written_at] = fields;
            let retention = retention.map_or(Some(RetentionOverride::default()), |text| {
                serde_json::from_str(&text).ok()
            });
            Some(RetentionCandidate {
                id,
                cursor: cursor?.parse().ok()?,
                written_at: latest(updated_at?.parse().ok()?, written_at),
                retention: retention?,
                oldest: first_time(first),
            })
        };
        let found = ids.iter().zip(answers.chunks(2)).filter_map(read).collect();
        Ok((found, next))
    }
}

/// The later of two times: `updated_at` is by the clock of the API, `written_at` by Redis's, in milliseconds since
/// 1970.
fn latest(updated_at: Timestamp, written_at: Option<String>) -> Timestamp {
    let by_redis = written_at.and_then(|millis| millis.parse().ok());
    let by_redis = by_redis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    by_redis.map_or(updated_at, |time| time.max(updated_at))
}

/// The time of the first entry in an answer to XRANGE.
fn first_time(answer: &Value) -> Option<String> {
    let found: Vec<(String, [Vec<u8>; 2])> = from_value(answer).ok()?;
    let (cursor, [kind, payload]) = found.into_iter().next()?;
    time_of(&Entry {
        cursor: cursor.parse().ok()?,
        kind: Kind::from_name(std::str::from_utf8(&kind).ok()?),
        payload: payload.try_into().ok()?,
    })
}
