//! Reads an LTM's log.

use bytestring::ByteString;
use ltm_state::{Continuation, judge};
use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::{Value, from_redis_value_ref as from_value};

use crate::{
    error::StoreError, list::told::Told, redis::client::Redis, redis::connection::Answer,
    redis::script,
};

/// The logs in Redis. Clones share the connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) redis: Redis,
    pub(crate) told: Told,
}

/// The size of one read. A read stops after the entry that exceeds `bytes`.
#[derive(Clone, Copy, Debug)]
pub struct WindowBounds {
    /// Bytes of payloads.
    pub bytes: usize,
    /// The most entries.
    pub entries: usize,
}

/// How many entries are looked up at once by their `seq`.
const SEQS_AT_ONCE: usize = 128;

impl Default for WindowBounds {
    fn default() -> Self {
        Self {
            bytes: 256 * 1024,
            entries: 512,
        }
    }
}

/// A part of a log, and the head of the log at the time of the read.
#[derive(Debug)]
pub struct Window {
    /// Entries in order. Each continues the one before.
    pub entries: Vec<Entry>,
    /// The head of the log.
    pub head: Cursor,
}

/// The result of reading a log after a cursor.
#[derive(Debug)]
pub enum Read {
    /// The entries after the cursor; none if the cursor is the head.
    Continues(Window),
    /// Retention removed the entries right after the cursor.
    Trimmed,
    /// The log contains another history than the one that the cursor names.
    Forked,
}

impl Store {
    /// The logs in this Redis.
    pub fn new(redis: Redis) -> Self {
        let told = Told::default();
        Self { redis, told }
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

    /// The Redis that the logs are in.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Reads entries after the cursor `after`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`]; [`StoreError::Deleted`]; [`StoreError::Damaged`] if an entry does not continue the
    /// one before it; [`StoreError::Unavailable`].
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

    /// The head of each log: `None` if there is no such LTM, [`StoreError::Damaged`] if its head is not a cursor, and
    /// [`StoreError::Unavailable`] if, in a cluster, the server that has it is down.
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
        let answers = self.redis.pipeline_each(&pipeline, ids.len()).await?;
        let head = |(&id, answer): (&LtmId, Answer)| {
            let text = from_value::<Option<String>>(&answer?).map_err(redis::RedisError::from)?;
            text.map(|text| text.parse())
                .transpose()
                .map_err(|_| damaged(id, Cursor::ORIGIN, "its head is not a cursor"))
        };
        Ok(ids.iter().zip(answers).map(head).collect())
    }

    /// The head of one log.
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

    /// The reason why Redis has no data of this LTM: unknown or deleted.
    pub(crate) async fn missing(&self, id: LtmId) -> StoreError {
        let mut get = redis::cmd("GET");
        get.arg(keys::deleted(id));
        match self.redis.query::<Option<String>>(&get).await {
            Ok(None) => StoreError::Unknown(id),
            Ok(Some(cursor)) => match cursor.parse() {
                Ok(cursor) => StoreError::Deleted { id, cursor },
                Err(_) => damaged(
                    id,
                    Cursor::ORIGIN,
                    "the cursor of its deletion is not a cursor",
                ),
            },
            Err(error) => error.into(),
        }
    }

    /// The entry at `cursor`, if the log still contains it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn entry(&self, id: LtmId, cursor: Cursor) -> Result<Option<Entry>, StoreError> {
        let entry_id = cursor.to_string();
        let mut range = redis::cmd("XRANGE");
        range.arg(keys::log(id)).arg(&entry_id).arg(&entry_id);
        let found: Vec<(String, Vec<Vec<u8>>)> = self.redis.query(&range).await?;
        let Some((_, fields)) = found.into_iter().next() else {
            return Ok(None);
        };
        let entry = entry_of(cursor, fields).map_err(|detail| damaged(id, cursor, detail))?;
        Ok(Some(entry))
    }

    /// Whether `cursor` is in the history of the log: the log contains that entry, or begins right after it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn has_been_at(&self, id: LtmId, cursor: Cursor) -> Result<bool, StoreError> {
        let entry_id = cursor.to_string();
        let mut pipeline = redis::pipe();
        let range = pipeline.cmd("XRANGE").arg(keys::log(id));
        range.arg(&entry_id).arg(&entry_id);
        let base = pipeline.cmd("HGET").arg(keys::base(id));
        base.arg("cursor");
        let answers = self.redis.pipeline(&pipeline, 2).await?;
        let is_in_log = matches!(answers.first(), Some(Value::Array(found)) if !found.is_empty());
        let base: Option<String> = answers.get(1).and_then(|it| from_value(it).ok()).flatten();
        Ok(is_in_log || base.as_ref() == Some(&entry_id))
    }

    /// The entries with these `seq`s, as far as the log still contains them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; [`StoreError::Damaged`].
    pub async fn entries(&self, id: LtmId, seqs: &[u64]) -> Result<Vec<Entry>, StoreError> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for &seq in seqs {
            let range = pipeline.cmd("XRANGE");
            range.arg(keys::log(id)).arg(seq).arg(seq);
        }
        let answers = self.redis.pipeline(&pipeline, seqs.len()).await?;
        let mut entries = Vec::with_capacity(seqs.len());
        for answer in &answers {
            let found: Vec<(String, Vec<Vec<u8>>)> =
                from_value(answer).map_err(|_| damaged(id, Cursor::ORIGIN, NOT_A_STREAM))?;
            for (cursor, fields) in found {
                let cursor = cursor
                    .parse()
                    .map_err(|_| damaged(id, Cursor::ORIGIN, NOT_A_CURSOR))?;
                let entry = entry_of(cursor, fields);
                entries.push(entry.map_err(|detail| damaged(id, cursor, detail))?);
            }
        }
        Ok(entries)
    }

    /// The first entries with these `seq`s, as far as the log still contains them: up to `bytes`, and at least one. Also
    /// returns how many of the `seqs` that covers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; [`StoreError::Damaged`].
    pub async fn some_entries(
        &self,
        id: LtmId,
        seqs: &[u64],
        bytes: usize,
    ) -> Result<(usize, Vec<Entry>), StoreError> {
        let some = &seqs[..seqs.len().min(SEQS_AT_ONCE)];
        let mut call = script::ENTRIES.call(&[&keys::log(id)]);
        call.arg(bytes).arg(some);
        let not_a_stream = || damaged(id, Cursor::ORIGIN, NOT_A_STREAM);
        let Value::Array(answer) = script::ENTRIES.run(&self.redis, &call).await? else {
            return Err(not_a_stream());
        };
        let mut answer = answer.into_iter();
        let count = answer.next().and_then(|count| from_value(&count).ok());
        let count = count.ok_or_else(not_a_stream)?;
        let mut entries = Vec::with_capacity(answer.len() / 3);
        while let (Some(cursor), Some(kind), Some(payload)) =
            (answer.next(), answer.next(), answer.next())
        {
            let cursor = cursor_of(id, &cursor)?;
            let (Value::BulkString(kind), Value::BulkString(payload)) = (kind, payload) else {
                return Err(not_a_stream());
            };
            let entry = entry_of(cursor, vec![kind, payload]);
            entries.push(entry.map_err(|detail| damaged(id, cursor, detail))?);
        }
        Ok((count, entries))
    }

    /// Reads entries with a higher cursor than `after`, whether or not the log continues from it. The window ends
    /// before an entry that is not text; if that is the first entry, it is the damage.
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
            return Err(damaged(id, after, NOT_A_STREAM));
        };
        let mut answer = answer.into_iter();
        let head = window_head(id, &mut answer)?;
        let entries = window_entries(id, after, answer)?;
        Ok(Window { entries, head })
    }
}

const NOT_A_STREAM: &str = "the log is not a stream";
pub(crate) const NOT_A_CURSOR: &str = "the id of an entry is not a cursor";

/// Reads the head of the log, or why there is none, from the beginning of the script's answer.
fn window_head(id: LtmId, answer: &mut impl Iterator<Item = Value>) -> Result<Cursor, StoreError> {
    let head = answer.next().ok_or(StoreError::Unknown(id))?;
    let Value::BulkString(word) = &head else {
        return Err(damaged(id, Cursor::ORIGIN, NOT_A_CURSOR));
    };
    match word.as_slice() {
        b"deleted" => {
            let cursor = cursor_of(id, &answer.next().unwrap_or(Value::Nil))?;
            Err(StoreError::Deleted { id, cursor })
        }
        b"damaged" => {
            let why = answer
                .next()
                .and_then(|why| from_value::<String>(&why).ok());
            let detail = format!(
                "the head in `{}` does not fit the log: {}",
                keys::meta(id),
                why.unwrap_or_default()
            );
            Err(damaged(id, Cursor::ORIGIN, &detail))
        }
        _ => cursor_of(id, &head),
    }
}

/// Reads the entries from the rest of the script's answer: a cursor, a kind and a payload for each.
fn window_entries(
    id: LtmId,
    after: Cursor,
    mut answer: impl ExactSizeIterator<Item = Value>,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries: Vec<Entry> = Vec::with_capacity(answer.len() / 3);
    while let (Some(cursor), Some(kind), Some(payload)) =
        (answer.next(), answer.next(), answer.next())
    {
        let cursor = cursor_of(id, &cursor)?;
        let (Value::BulkString(kind), Value::BulkString(payload)) = (kind, payload) else {
            return Err(damaged(id, cursor, "the entry has no kind and payload"));
        };
        let previous = entries.last().map_or(after, |last| last.cursor);
        let continues = previous.next_of_bytes(&kind, &payload) == cursor;
        if !entries.is_empty() && !continues {
            let detail = "the entry does not continue the one before it";
            return Err(damaged(id, cursor, detail));
        }
        match entry_of(cursor, vec![kind, payload]) {
            Ok(entry) => entries.push(entry),
            Err(_) if !entries.is_empty() => break,
            Err(detail) if continues => return Err(damaged_after(previous, id, cursor, detail)),
            Err(_) => {
                let detail = "the next entry is not text, and does not continue this one";
                return Err(damaged(id, previous, detail));
            }
        }
    }
    Ok(entries)
}

/// The error for a damaged log, or for a damaged key beside it.
pub(crate) fn damaged(id: LtmId, at: Cursor, detail: &str) -> StoreError {
    StoreError::Damaged {
        id,
        at,
        detail: detail.into(),
    }
}

/// The error for a damaged entry right after the cursor `before`. Says what an operator can do.
pub(crate) fn damaged_after(before: Cursor, id: LtmId, at: Cursor, detail: &str) -> StoreError {
    if before == Cursor::ORIGIN {
        return damaged(id, at, detail);
    }
    let advice = format!(
        "{detail}; to copy the entries before it: POST /api/v0/ltm/{id}/copy?until={before}"
    );
    damaged(id, at, &advice)
}

fn cursor_of(id: LtmId, value: &Value) -> Result<Cursor, StoreError> {
    from_value::<String>(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| damaged(id, Cursor::ORIGIN, NOT_A_CURSOR))
}

/// Makes an entry of the fields of a stream entry: the name of the first field is the kind, its value is the
/// payload. Other fields are ignored. The error says what is wrong.
fn entry_of(cursor: Cursor, fields: Vec<Vec<u8>>) -> Result<Entry, &'static str> {
    let mut fields = fields.into_iter();
    let (Some(kind), Some(payload)) = (fields.next(), fields.next()) else {
        return Err("the entry has no field");
    };
    let kind = String::from_utf8(kind).map_err(|_| "its kind is not text")?;
    let payload = ByteString::try_from(payload).map_err(|_| "its payload is not text")?;
    Ok(Entry {
        cursor,
        kind: Kind::from_name(&kind),
        payload,
    })
}
