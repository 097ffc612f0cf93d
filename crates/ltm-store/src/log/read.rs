//! Reading an LTM's log.

use bytestring::ByteString;
use ltm_state::{Continuation, judge};
use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::{Value, from_redis_value_ref as from_value};

use crate::{error::StoreError, redis::connection::Redis, redis::script};

/// The logs in Redis. Clones share one connection.
#[derive(Clone)]
pub struct Store {
    pub(crate) redis: Redis,
}

/// How much one read may bring. It stops after the entry that passes `bytes`.
#[derive(Clone, Copy, Debug)]
pub struct WindowBounds {
    /// Bytes of payload.
    pub bytes: usize,
    /// Entries.
    pub entries: usize,
}

impl Default for WindowBounds {
    fn default() -> Self {
        Self {
            bytes: 256 * 1024,
            entries: 512,
        }
    }
}

/// A part of a log, and where the log was when it was read.
#[derive(Debug)]
pub struct Window {
    /// Entries in order, each continuing the one before.
    pub entries: Vec<Entry>,
    /// The cursor of the log's last entry at the moment of the read.
    pub head: Cursor,
}

/// What follows a cursor in a log.
#[derive(Debug)]
pub enum Read {
    /// The entries after it; none where the cursor is the head.
    Continues(Window),
    /// The entries right after it are no longer kept.
    Trimmed,
    /// The log holds another history than the cursor names.
    Forked,
}

impl Store {
    /// The logs that this handle to Redis leads to.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// The class of an LTM.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Deleted`], [`StoreError::Unavailable`].
    pub async fn class(&self, id: LtmId) -> Result<String, StoreError> {
        let mut get = redis::cmd("HGET");
        let class: Option<String> = self.redis.query(get.arg(keys::meta(id)).arg("fqn")).await?;
        match class {
            Some(class) => Ok(class),
            None => Err(self.missing(id).await),
        }
    }

    /// The handle to Redis.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Reads what follows `after`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`]; [`StoreError::Deleted`]; [`StoreError::Damaged`] where an entry does
    /// not continue the one before it; [`StoreError::Unavailable`].
    pub async fn read_after(
        &self,
        id: LtmId,
        after: Cursor,
        bounds: WindowBounds,
    ) -> Result<Read, StoreError> {
        let window = self.window(id, after, bounds).await?;
        Ok(match judge(after, window.head, window.entries.first()) {
            Continuation::Continues => Read::Continues(window),
            Continuation::Trimmed => Read::Trimmed,
            Continuation::Forked => Read::Forked,
        })
    }

    /// Where each log is; `None` where there is no such LTM, and [`StoreError::Damaged`] where its head
    /// is not a cursor.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn heads(
        &self,
        ids: &[LtmId],
    ) -> Result<Vec<Result<Option<Cursor>, StoreError>>, StoreError> {
        let mut pipeline = redis::pipe();
        for &id in ids {
            pipeline.cmd("HGET").arg(keys::meta(id)).arg("cursor");
        }
        let answers = self.redis.pipeline(&pipeline, ids.len()).await?;
        let head = |(&id, answer): (&LtmId, &Value)| match from_value::<Option<String>>(answer) {
            Ok(None) => Ok(None),
            Ok(Some(text)) => text
                .parse()
                .map(Some)
                .map_err(|_| damaged(id, Cursor::ORIGIN, "its head is not a cursor")),
            Err(e) => Err(StoreError::from(redis::RedisError::from(e))),
        };
        Ok(ids.iter().zip(&answers).map(head).collect())
    }

    /// Where one log is.
    ///
    /// # Errors
    ///
    /// As [`Store::heads`], [`StoreError::Unknown`] and [`StoreError::Deleted`].
    pub async fn head(&self, id: LtmId) -> Result<Cursor, StoreError> {
        match self.heads(&[id]).await?.pop() {
            Some(Ok(Some(head))) => Ok(head),
            Some(Err(error)) => Err(error),
            Some(Ok(None)) | None => Err(self.missing(id).await),
        }
    }

    /// Why there is nothing of this LTM.
    pub(crate) async fn missing(&self, id: LtmId) -> StoreError {
        let mut get = redis::cmd("GET");
        get.arg(keys::deleted(id));
        match self.redis.query::<Option<String>>(&get).await {
            Ok(None) => StoreError::Unknown(id),
            Ok(Some(cursor)) => match cursor.parse() {
                Ok(cursor) => StoreError::Deleted { id, cursor },
                Err(_) => damaged(id, Cursor::ORIGIN, "it was deleted at what is not a cursor"),
            },
            Err(error) => error.into(),
        }
    }

    /// The entry at `cursor`, where the log still holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn entry(&self, id: LtmId, cursor: Cursor) -> Result<Option<Entry>, StoreError> {
        let place = cursor.to_string();
        let mut range = redis::cmd("XRANGE");
        range.arg(keys::log(id)).arg(&place).arg(&place);
        let found: Vec<(String, Vec<Vec<u8>>)> = self.redis.query(&range).await?;
        let Some((_, fields)) = found.into_iter().next() else {
            return Ok(None);
        };
        let entry = entry_of(cursor, fields).map_err(|detail| damaged(id, cursor, detail))?;
        Ok(Some(entry))
    }

    /// Whether the log is, or has been, at `cursor`: it holds that entry, or begins right after it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn has_been_at(&self, id: LtmId, cursor: Cursor) -> Result<bool, StoreError> {
        let place = cursor.to_string();
        let mut pipeline = redis::pipe();
        let range = pipeline.cmd("XRANGE").arg(keys::log(id));
        range.arg(&place).arg(&place);
        let base = pipeline.cmd("HGET").arg(keys::base(id));
        base.arg("cursor");
        let answers = self.redis.pipeline(&pipeline, 2).await?;
        let held = matches!(answers.first(), Some(Value::Array(found)) if !found.is_empty());
        let base: Option<String> = answers.get(1).and_then(|it| from_value(it).ok()).flatten();
        Ok(held || base.as_ref() == Some(&place))
    }

    /// The entries at these places (`seq`), where the log still holds them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; [`StoreError::Damaged`].
    pub async fn entries(&self, id: LtmId, places: &[u64]) -> Result<Vec<Entry>, StoreError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for &place in places {
            let range = pipeline.cmd("XRANGE");
            range.arg(keys::log(id)).arg(place).arg(place);
        }
        let answers = self.redis.pipeline(&pipeline, places.len()).await?;
        let mut entries = Vec::with_capacity(places.len());
        for answer in &answers {
            let found: Vec<(String, Vec<Vec<u8>>)> = from_value(answer)
                .map_err(|_| damaged(id, Cursor::ORIGIN, "it is not a stream"))?;
            for (cursor, fields) in found {
                let cursor = cursor
                    .parse()
                    .map_err(|_| damaged(id, Cursor::ORIGIN, "an id in it is not a cursor"))?;
                let entry = entry_of(cursor, fields);
                entries.push(entry.map_err(|detail| damaged(id, cursor, detail))?);
            }
        }
        Ok(entries)
    }

    /// The entries after the place `after`, whether or not the log continues from that cursor. They end
    /// before one that is no text; where that is the first, it is the damage.
    pub(crate) async fn window(
        &self,
        id: LtmId,
        after: Cursor,
        bounds: WindowBounds,
    ) -> Result<Window, StoreError> {
        let mut call = script::READ.call(&[&keys::log(id), &keys::meta(id), &keys::deleted(id)]);
        call.arg(after.to_string())
            .arg(bounds.bytes)
            .arg(bounds.entries);
        let Value::Array(answer) = script::READ.run(&self.redis, &call).await? else {
            return Err(damaged(id, after, "it is not a stream"));
        };
        let mut answer = answer.into_iter();
        let Some(head) = answer.next() else {
            return Err(StoreError::Unknown(id));
        };
        if matches!(&head, Value::BulkString(word) if word == b"deleted") {
            let cursor = cursor_of(id, &answer.next().unwrap_or(Value::Nil))?;
            return Err(StoreError::Deleted { id, cursor });
        }
        if matches!(&head, Value::BulkString(word) if word == b"damaged") {
            let why: String = answer
                .next()
                .map_or_else(String::new, |why| from_value(&why).unwrap_or_default());
            let detail = format!("its head `{}` does not lead to it: {why}", keys::meta(id));
            return Err(damaged(id, Cursor::ORIGIN, &detail));
        }
        let head = cursor_of(id, &head)?;
        let mut entries: Vec<Entry> = Vec::with_capacity(answer.len() / 3);
        while let (Some(cursor), Some(kind), Some(payload)) =
            (answer.next(), answer.next(), answer.next())
        {
            let cursor = cursor_of(id, &cursor)?;
            let (Value::BulkString(kind), Value::BulkString(payload)) = (kind, payload) else {
                return Err(damaged(id, cursor, "it is no entry of a stream"));
            };
            let position = entries.last().map_or(after, |last| last.cursor);
            let continues = position.next_of_bytes(&kind, &payload) == cursor;
            if !entries.is_empty() && !continues {
                return Err(damaged(
                    id,
                    cursor,
                    "it does not continue the entry before it",
                ));
            }
            match entry_of(cursor, vec![kind, payload]) {
                Ok(entry) => entries.push(entry),
                Err(_) if !entries.is_empty() => break,
                Err(error) if continues => {
                    return Err(damaged_after(position, id, cursor, error));
                }
                Err(_) => {
                    let detail = "the entry after it is no text and does not continue it";
                    return Err(damaged(id, position, detail));
                }
            }
        }
        Ok(Window { entries, head })
    }
}

pub(crate) fn damaged(id: LtmId, at: Cursor, detail: &str) -> StoreError {
    StoreError::Damaged {
        id,
        at,
        detail: detail.into(),
    }
}

/// The same for what comes right after `before`, with what an operator can do.
pub(crate) fn damaged_after(before: Cursor, id: LtmId, at: Cursor, detail: &str) -> StoreError {
    if before == Cursor::ORIGIN {
        return damaged(id, at, detail);
    }
    let advice = format!(
        "{detail}; what came before it can be copied: POST /api/v0/ltm/{id}/copy?until={before}"
    );
    damaged(id, at, &advice)
}

fn cursor_of(id: LtmId, value: &Value) -> Result<Cursor, StoreError> {
    from_value::<String>(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| damaged(id, Cursor::ORIGIN, "an id in it is not a cursor"))
}

/// The entry that these names and values of fields are, or what is wrong with it; only the first of each
/// counts.
fn entry_of(cursor: Cursor, fields: Vec<Vec<u8>>) -> Result<Entry, &'static str> {
    let mut fields = fields.into_iter();
    let (Some(kind), Some(payload)) = (fields.next(), fields.next()) else {
        return Err("it has no field");
    };
    let kind = String::from_utf8(kind).map_err(|_| "its kind is not text")?;
    let payload = ByteString::try_from(payload).map_err(|_| "its payload is not text")?;
    Ok(Entry {
        cursor,
        kind: Kind::from_name(&kind),
        payload,
    })
}
