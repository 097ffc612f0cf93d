//! What is kept of an LTM's log, and for how long.
//!
//! Entries are only removed together with storing the state that they led to: the base, with which
//! the kept part of the log begins.

use std::time::Duration;

use jiff::Timestamp;
use ltm_state::{Retention, RetentionOverride, State, time_of};
use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::{Value, from_redis_value_ref as from_value};
use uuid::Uuid;

use crate::{
    error::StoreError,
    log::read::{Read, Store, WindowBounds, damaged},
    log::state::fold,
    redis::script,
};

/// What the kept part of a log begins with.
#[derive(Clone, Debug)]
pub struct Base {
    /// The state.
    pub state: State,
    /// When the last snapshot before it was taken.
    pub time: String,
}

/// An LTM, for those who look for what retention removes.
#[derive(Clone, Debug)]
pub struct Retained {
    /// Which.
    pub id: LtmId,
    /// Where its log is.
    pub cursor: Cursor,
    /// When its log last grew, by the clock of Redis or of who wrote, whichever was ahead.
    pub written_at: Timestamp,
    /// What it was created with.
    pub retention: RetentionOverride,
    /// When the first entry that is kept was written, where that can be told.
    pub oldest: Option<String>,
}

impl Store {
    /// What the LTM was created with.
    pub(crate) async fn retention(&self, id: LtmId) -> Result<RetentionOverride, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(keys::meta(id)).arg("retention");
        let text: Option<String> = self.redis.query(&get).await?;
        text.map_or(Ok(RetentionOverride::default()), |text| {
            serde_json::from_str(&text)
                .map_err(|e| damaged(id, Cursor::ORIGIN, &format!("its retention: {e}")))
        })
    }

    /// What the kept part of the log begins with; `None` where all of it is kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Damaged`] where it cannot be read.
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

    /// Removes entries from the begin of a log that `keep` does not ask for, at `now`. The last
    /// entry stays. Says whether any were removed.
    ///
    /// # Errors
    ///
    /// As [`Store::state`]; nothing is removed then.
    pub async fn trim(
        &self,
        id: LtmId,
        keep: &Retention,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let head = self.head(id).await?.seq;
        let base = self.base(id).await?;
        let from = base.as_ref().map(|base| base.state.cursor);
        let (mut state, mut time) =
            base.map_or_else(Default::default, |base| (base.state, base.time));
        let rule = keep.trim_rule(head, now);
        'log: loop {
            let read = self.read_after(id, state.cursor, WindowBounds::default());
            let Read::Continues(window) = read.await? else {
                return Err(damaged(id, state.cursor, "it does not continue its base"));
            };
            for entry in &window.entries {
                if !rule.removes(entry) {
                    break 'log;
                }
                fold(id, &mut state, entry)?;
                time = time_of(entry).unwrap_or(time);
            }
            if window.entries.is_empty() {
                break;
            }
        }
        if state.cursor == from.unwrap_or(Cursor::ORIGIN) {
            return Ok(false);
        }
        state.index.trim(state.cursor.seq);
        self.store_base(id, from, &Base { state, time }).await
    }

    async fn store_base(
        &self,
        id: LtmId,
        from: Option<Cursor>,
        base: &Base,
    ) -> Result<bool, StoreError> {
        let Some(checkpoint) = base.state.checkpoint() else {
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
            .arg(&base.time);
        let trimmed = script::TRIM.run(&self.redis, &call).await?;
        Ok(trimmed == Value::Int(1))
    }

    /// Whether this process may look now for what retention removes: one at a time may, and not
    /// again before `pause` is over.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn take_retention_turn(&self, pause: Duration) -> Result<bool, StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(keys::RETENTION_TURN)
            .arg(Uuid::new_v4().to_string())
            .arg("NX")
            .arg("PX")
            .arg(pause.as_millis().max(1).to_string());
        let taken: Option<String> = self.redis.query(&set).await?;
        Ok(taken.is_some())
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

    pub(crate) async fn note_retention(&self) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(keys::RETAINED).arg(1);
        self.redis.query::<Value>(&set).await?;
        Ok(())
    }

    /// Up to `count` LTMs of a list, from below the id `before` down, and where to go on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn retained(
        &self,
        playground: bool,
        count: usize,
        before: Option<LtmId>,
    ) -> Result<(Vec<Retained>, Option<LtmId>), StoreError> {
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
        let answers = self.redis.pipeline(&pipeline, 2 * ids.len()).await?;
        let read = |(&id, pair): (&LtmId, &[Value])| {
            let fields: [Option<String>; 4] = from_value(pair.first()?).ok()?;
            let [cursor, retention, updated_at, written_at] = fields;
            let retention = retention.map_or(Some(RetentionOverride::default()), |text| {
                serde_json::from_str(&text).ok()
            });
            Some(Retained {
                id,
                cursor: cursor?.parse().ok()?,
                written_at: latest(updated_at?.parse().ok()?, written_at),
                retention: retention?,
                oldest: first_time(pair.get(1)?),
            })
        };
        let found = ids.iter().zip(answers.chunks(2)).filter_map(read).collect();
        Ok((found, next))
    }
}

/// The later of what the writer said and what Redis said, in milliseconds since 1970.
fn latest(updated_at: Timestamp, written_at: Option<String>) -> Timestamp {
    let by_redis = written_at.and_then(|millis| millis.parse().ok());
    let by_redis = by_redis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    by_redis.map_or(updated_at, |time| time.max(updated_at))
}

/// When the first entry of an answer to XRANGE was written.
fn first_time(answer: &Value) -> Option<String> {
    let found: Vec<(String, [Vec<u8>; 2])> = from_value(answer).ok()?;
    let (cursor, [kind, payload]) = found.into_iter().next()?;
    time_of(&Entry {
        cursor: cursor.parse().ok()?,
        kind: Kind::from_name(std::str::from_utf8(&kind).ok()?),
        payload: payload.try_into().ok()?,
    })
}
