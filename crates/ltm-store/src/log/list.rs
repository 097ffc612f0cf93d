//! The lists that an LTM is on: of all LTMs, and of its class.
//!
//! A list is a sorted set of ids, so every page costs the same. The list and an LTM are not written in one step. So an
//! id on a list can belong to an LTM that is being created, was never created, or was deleted. When somebody reads
//! such an id, it is removed after a while.

use std::collections::HashMap;

use ltm_types::{Cursor, LtmId, keys, shorten_to};
use redis::{Value, from_redis_value_ref as from_value};
use serde::Serialize;

use crate::{
    error::StoreError,
    list::told::Mark,
    log::{
        meta::status_of,
        read::{Store, damaged},
    },
    redis::{connection::Answer, script},
};

/// How long an LTM must be missing until its id is removed from the index, in milliseconds. This is much longer
/// than a creation takes.
const MISSING_FOR: i64 = 60_000;

/// How long the store remembers that an LTM was missing, in milliseconds.
const REMEMBERED_FOR: i64 = 24 * 60 * 60 * 1000;

const ROW_FIELDS: [&str; 10] = [
    "playground",
    "name",
    "fqn",
    "snapshots_count",
    "created_at",
    "updated_at",
    "cursor",
    "status",
    "key",
    "errors",
];

/// One row of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its id.
    pub id: LtmId,
    /// Its name.
    pub name: String,
    /// Its class.
    pub fqn: String,
    /// Its key, if it has one.
    pub key: Option<String>,
    /// Its status (`_status`), if it has one.
    pub status: Option<String>,
    /// The number of its snapshots.
    pub snapshots_count: u64,
    /// The time of its creation.
    pub created_at: String,
    /// The time of its last entry.
    pub updated_at: String,
}

/// An LTM as a list reads it.
#[derive(Clone, Debug)]
pub(crate) struct ListedLtm {
    pub(crate) row: Row,
    pub(crate) playground: bool,
    pub(crate) cursor: Cursor,
    /// Whether its log has an error; `None` if nobody has noted that.
    pub(crate) has_errors: Option<bool>,
}

/// The result of reading the LTM of an id.
pub(crate) enum Found {
    Ltm(Box<ListedLtm>),
    Missing,
    Unreadable,
    /// In a cluster: the server that has it is down.
    Unavailable,
}

impl Store {
    /// The row of one LTM, and the head of its log.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Deleted`], [`StoreError::Unavailable`], or [`StoreError::Damaged`] if a
    /// field is missing or cannot be read.
    pub async fn row(&self, id: LtmId) -> Result<(Row, Cursor), StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::meta(id)).arg(&ROW_FIELDS);
        let fields: Vec<Option<String>> = self.redis.query(&get).await?;
        if fields.iter().all(Option::is_none) {
            return Err(self.missing(id).await);
        }
        let ltm = listed(id, fields).ok_or_else(|| {
            let problem = "a field of its meta is missing or cannot be read";
            damaged(id, Cursor::ORIGIN, problem)
        })?;
        Ok((ltm.row, ltm.cursor))
    }

    /// Up to `count` ids of an index that are lower than `before`, in descending order.
    pub(crate) async fn index_page(
        &self,
        index: &str,
        count: usize,
        before: Option<LtmId>,
    ) -> Result<Vec<LtmId>, StoreError> {
        let mut range = redis::cmd("ZREVRANGEBYLEX");
        range
            .arg(index)
            .arg(before.map_or("+".into(), |id| format!("({}", keys::index_member(id))))
            .arg("-")
            .arg("LIMIT")
            .arg(0)
            .arg(count);
        let members: Vec<String> = self.redis.query(&range).await?;
        let id = |member: &String| member.trim_start_matches('0').parse().ok();
        Ok(members.iter().filter_map(id).collect())
    }

    /// Adds an LTM to its lists, and marks it for the index. In a cluster, waits for the replicas of each list: the
    /// writes to the LTM do not.
    pub(crate) async fn list_as(
        &self,
        id: LtmId,
        playground: bool,
        fqn: &str,
    ) -> Result<Mark, StoreError> {
        let mark = Mark::now();
        let set_mark = mark.set(id);
        let set_mark = async { Ok(self.redis.query::<Value>(&set_mark).await?) };
        let add = async |index: &str| -> Result<(), StoreError> {
            if self.redis.is_cluster() && self.redis.waits_for_replicas() {
                let mut call = script::LIST.call(&[index]);
                call.arg(keys::index_member(id));
                script::LIST.write(&self.redis, &call).await?;
            } else {
                let mut add = redis::cmd("ZADD");
                add.arg(index).arg(0).arg(keys::index_member(id));
                self.redis.query::<Value>(&add).await?;
            }
            Ok(())
        };
        let [all, class] = lists_of(playground, fqn);
        tokio::try_join!(add(&all), add(&class), set_mark)?;
        Ok(mark)
    }

    /// Removes an LTM from its lists, as far as Redis does so now. A list that meets it later removes it, too.
    pub(crate) async fn try_unlist(&self, id: LtmId, playground: bool, fqn: &str) {
        for index in lists_of(playground, fqn) {
            self.try_remove(&index, id).await;
        }
    }

    /// Removes an id from one list, as [`Store::try_unlist`] does.
    pub(crate) async fn try_remove(&self, index: &str, id: LtmId) {
        let mut remove = redis::cmd("ZREM");
        remove.arg(index).arg(keys::index_member(id));
        if let Err(error) = self.redis.query::<Value>(&remove).await {
            tracing::warn!(%id, index, %error, "an id without an LTM stays on a list; a read of the list removes it");
        }
    }

    /// Reads the LTMs of these ids.
    pub(crate) async fn listed(&self, ids: &[LtmId]) -> Result<Vec<Found>, StoreError> {
        let mut pipeline = redis::pipe();
        for &id in ids {
            pipeline.cmd("HMGET").arg(keys::meta(id)).arg(&ROW_FIELDS);
        }
        let answers = match ids.len() {
            0 => Vec::new(),
            count => self.redis.pipeline_each(&pipeline, count).await?,
        };
        let found = |(&id, answer): (&LtmId, &Answer)| {
            let Ok(answer) = answer else {
                return Found::Unavailable;
            };
            let fields: Vec<Option<String>> = match from_value(answer) {
                Ok(fields) => fields,
                Err(_) => return Found::Unreadable,
            };
            if fields.iter().all(Option::is_none) {
                return Found::Missing;
            }
            let ltm = listed(id, fields).map(Box::new);
            ltm.map_or(Found::Unreadable, Found::Ltm)
        };
        Ok(ids.iter().zip(&answers).map(found).collect())
    }

    /// Removes from a list those of `ids` whose LTMs have been missing for [`MISSING_FOR`].
    pub(crate) async fn remove_missing(
        &self,
        index: &str,
        ids: &[LtmId],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        // Another API with another clock may have noted the id, so Redis's clock counts.
        let now = self.clocks().await?.redis.as_millisecond();
        let mut pipeline = redis::pipe();
        for &id in ids {
            let member = keys::index_member(id);
            let note = pipeline.cmd("ZADD");
            note.arg(keys::MISSING).arg("NX").arg(now).arg(&member);
            pipeline.cmd("ZSCORE").arg(keys::MISSING).arg(&member);
        }
        let answers = self.redis.pipeline(&pipeline, 2 * ids.len()).await?;
        let mut removal = redis::pipe();
        let mut count = 0;
        for (&id, pair) in ids.iter().zip(answers.chunks(2)) {
            let since = pair.get(1).and_then(|since| from_value::<f64>(since).ok());
            // A double represents milliseconds since 1970 exactly.
            if since.is_some_and(|since| now as f64 - since >= MISSING_FOR as f64) {
                removal.cmd("ZREM").arg(index).arg(keys::index_member(id));
                count += 1;
            }
        }
        if count > 0 {
            self.forget_missing(now - REMEMBERED_FOR).await?;
            tracing::info!(index, count, "removed ids of missing LTMs from a list");
            self.redis.pipeline(&removal, count).await?;
        }
        Ok(())
    }

    /// Forgets the LTMs that were found missing before this time, in milliseconds since 1970.
    async fn forget_missing(&self, before: i64) -> Result<(), StoreError> {
        let mut remove = redis::cmd("ZREMRANGEBYSCORE");
        remove.arg(keys::MISSING).arg("-inf").arg(before);
        self.redis.query::<Value>(&remove).await?;
        Ok(())
    }
}

/// The lists that an LTM is on: of all LTMs, and of its class.
pub(crate) fn lists_of(playground: bool, fqn: &str) -> [String; 2] {
    [
        keys::index(playground).to_owned(),
        keys::class_index(playground, fqn),
    ]
}

/// The longest name that a list shows, in characters. The API accepts no longer one, but an older API did.
const MAX_NAME: usize = 1024;

fn listed(id: LtmId, fields: Vec<Option<String>>) -> Option<ListedLtm> {
    let mut fields: HashMap<&str, String> = ROW_FIELDS
        .into_iter()
        .zip(fields)
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let mut field = |name| fields.remove(name);
    let cursor = field("cursor")?;
    let status = status_of(field("status").as_deref(), &cursor);
    let row = Row {
        status,
        id,
        name: shorten_to(&field("name")?, MAX_NAME).into_owned(),
        fqn: field("fqn")?,
        key: field("key"),
        snapshots_count: field("snapshots_count")?.parse().ok()?,
        created_at: field("created_at")?,
        updated_at: field("updated_at")?,
    };
    Some(ListedLtm {
        row,
        playground: field("playground")? == "1",
        cursor: cursor.parse().ok()?,
        has_errors: field("errors").map(|errors| errors == "1"),
    })
}
