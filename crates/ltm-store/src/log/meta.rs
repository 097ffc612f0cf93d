//! The `meta` hash of an LTM: its head, and everything but its state.

use std::collections::HashMap;

use ltm_state::RetentionOverride;
use ltm_types::{Cursor, LtmId, keys};
use redis::{Cmd, Value, from_redis_value};

use crate::{
    error::StoreError,
    log::read::{Store, damaged},
};

/// Everything about an LTM but its state.
#[derive(Clone, Debug)]
pub struct Meta {
    /// The head of its log.
    pub cursor: Cursor,
    /// Its name.
    pub name: String,
    /// Its class.
    pub fqn: String,
    /// Its key, if it has one.
    pub key: Option<String>,
    /// JSON text.
    pub params: String,
    /// JSON text.
    pub structure: String,
    /// JSON text.
    pub concurrent_instances: String,
    /// The time of its creation.
    pub created_at: String,
    /// The time of its last entry.
    pub updated_at: String,
    /// The number of its snapshots.
    pub snapshots_count: u64,
    /// Whether it is listed on the playground.
    pub playground: bool,
    /// The LTM that it is a copy of.
    pub source: Option<LtmId>,
}

/// What tells whether a log has changed. If two marks of an LTM are equal, it has the same entries, and the same is known of
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogMark {
    /// The head of the log.
    pub cursor: Cursor,
    /// The base of the log, if it was trimmed.
    pub base: Option<Cursor>,
    /// The bytes of all payloads in the log; `None` if nobody has counted them.
    pub bytes: Option<u64>,
    /// When Redis wrote the head. A log that was lost and written again can have the same cursors.
    written_at: Option<String>,
}

/// The fields of the hash that a mark is made of: the cursor, the bytes, and the time.
type MarkFields = (Option<String>, Option<String>, Option<String>);

/// The fields of a new LTM.
pub(crate) struct MetaFields<'a> {
    pub(crate) name: &'a str,
    pub(crate) fqn: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) params: &'a str,
    pub(crate) structure: &'a str,
    pub(crate) concurrent_instances: &'a str,
    pub(crate) playground: bool,
    pub(crate) source: Option<LtmId>,
    pub(crate) created_at: &'a str,
    pub(crate) updated_at: &'a str,
    pub(crate) snapshots_count: u64,
    pub(crate) retention: RetentionOverride,
    pub(crate) cursor: Cursor,
    pub(crate) status: Option<&'a str>,
    /// The base of its log.
    pub(crate) base: Option<Cursor>,
    /// The bytes of all payloads in its log.
    pub(crate) bytes: u64,
}

/// The field `status` of the hash: the cursor of the entry that set the status, and the status. A service of an
/// older version appends without writing this field; the status is then outdated, and ignored.
pub(crate) fn status_field(cursor: Cursor, status: Option<&str>) -> String {
    format!("{cursor} {}", status.unwrap_or_default())
}

/// The field `bytes` of the hash: the head of the log, the cursor of its base or `-`, and the bytes of all payloads in the
/// log. If head or base are others, a service of an older version has written to the log, and the field is outdated.
pub(crate) fn bytes_field(head: Cursor, base: Option<Cursor>, bytes: u64) -> String {
    format!("{head} {} {bytes}", base_of_bytes(base))
}

/// The bytes of all payloads in a log, if the field is not outdated.
pub(crate) fn bytes_of(field: &str, head: Cursor, base: Option<Cursor>) -> Option<u64> {
    let (at, rest) = field.split_once(' ')?;
    let (from, bytes) = rest.split_once(' ')?;
    let is_right = at == head.to_string() && from == base_of_bytes(base);
    is_right.then(|| bytes.parse().ok()).flatten()
}

fn base_of_bytes(base: Option<Cursor>) -> String {
    base.map_or_else(|| "-".into(), |base| base.to_string())
}

/// The status in the hash, if the head of the log is still the cursor in that field.
pub(crate) fn status_of(field: Option<&str>, cursor: &str) -> Option<String> {
    let (at, status) = field?.split_once(' ')?;
    (at == cursor && !status.is_empty()).then(|| status.to_owned())
}

impl MetaFields<'_> {
    /// Adds the fields and values of the hash to a call.
    pub(crate) fn write(&self, call: &mut Cmd) {
        let flag = if self.playground { "1" } else { "0" };
        for (field, value) in [
            ("name", self.name),
            ("fqn", self.fqn),
            ("params", self.params),
            ("structure", self.structure),
            ("concurrent_instances", self.concurrent_instances),
            ("playground", flag),
            ("created_at", self.created_at),
            ("updated_at", self.updated_at),
        ] {
            call.arg(field).arg(value);
        }
        call.arg("snapshots_count").arg(self.snapshots_count);
        // A new LTM has no errors: a copy lacks those of its source.
        call.arg("errors").arg(0);
        call.arg("status")
            .arg(status_field(self.cursor, self.status));
        call.arg("bytes")
            .arg(bytes_field(self.cursor, self.base, self.bytes));
        if let Some(key) = self.key {
            call.arg("key").arg(key);
        }
        if let Some(source) = self.source {
            call.arg("source_id").arg(source.get());
        }
        if let Some(retention) = self.retention.to_text() {
            call.arg("retention").arg(retention);
        }
    }
}

impl Store {
    /// What the log of an LTM is at now: one round trip, whatever the size of the log.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Deleted`], [`StoreError::Unavailable`], or [`StoreError::Damaged`] if a
    /// cursor cannot be read or the log is missing.
    pub async fn mark(&self, id: LtmId) -> Result<LogMark, StoreError> {
        let mut pipeline = redis::pipe();
        let meta = pipeline.cmd("HMGET").arg(keys::meta(id));
        meta.arg("cursor").arg("bytes").arg("written_at");
        pipeline.cmd("HGET").arg(keys::base(id)).arg("cursor");
        pipeline.cmd("EXISTS").arg(keys::log(id));
        let answers = Value::Array(self.redis.pipeline(&pipeline, 3).await?);
        let ((cursor, bytes, written_at), base, has_log): (MarkFields, Option<String>, bool) =
            from_redis_value(answers).map_err(redis::RedisError::from)?;
        let Some(cursor) = cursor else {
            return Err(self.missing(id).await);
        };
        let fault = |detail| damaged(id, Cursor::ORIGIN, detail);
        let cursor: Cursor = cursor
            .parse()
            .map_err(|_| fault("its head is not a cursor"))?;
        let base = base
            .map(|base| base.parse())
            .transpose()
            .map_err(|_| fault("the cursor of its base is not a cursor"))?;
        // A copy without an entry of its own has only a base.
        if !has_log && base != Some(cursor) {
            return Err(fault("its log is missing"));
        }
        Ok(LogMark {
            cursor,
            base,
            bytes: bytes.and_then(|field| bytes_of(&field, cursor, base)),
            written_at,
        })
    }

    /// Everything about an LTM but its state.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Deleted`], [`StoreError::Unavailable`], or [`StoreError::Damaged`] if a
    /// field is missing or cannot be read.
    pub async fn meta(&self, id: LtmId) -> Result<Meta, StoreError> {
        let mut get = redis::cmd("HGETALL");
        get.arg(keys::meta(id));
        let mut fields: HashMap<String, String> = self.redis.query(&get).await?;
        if fields.is_empty() {
            return Err(self.missing(id).await);
        }
        let mut field = |name| fields.remove(name);
        let mut read = || {
            Some(Meta {
                cursor: field("cursor")?.parse().ok()?,
                name: field("name")?,
                fqn: field("fqn")?,
                key: field("key"),
                params: field("params")?,
                structure: field("structure")?,
                concurrent_instances: field("concurrent_instances")?,
                created_at: field("created_at")?,
                updated_at: field("updated_at")?,
                snapshots_count: field("snapshots_count")?.parse().ok()?,
                playground: field("playground")? == "1",
                source: field("source_id").and_then(|id| id.parse().ok()),
            })
        };
        read().ok_or_else(|| {
            damaged(
                id,
                Cursor::ORIGIN,
                "a field of its meta is missing or cannot be read",
            )
        })
    }
}
