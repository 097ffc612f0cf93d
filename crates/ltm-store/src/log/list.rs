//! Lists LTMs.
//!
//! The index of a list is a sorted set of ids, so every page costs the same. The index and an LTM are not written
//! in one step. So an id in the index can belong to an LTM that is being created, was never created, or was
//! deleted. When a list meets such an id, it removes the id after a while.

use std::collections::HashMap;

use ltm_types::{Cursor, LtmId, keys, shorten_to};
use redis::{Value, from_redis_value_ref as from_value};
use serde::Serialize;

use crate::{
    error::StoreError,
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

/// If the caller may see only some LTMs: how many are read at once, and how many at most for one page.
const READ_AT_ONCE: usize = 256;
const MAX_READ: usize = 4096;

/// The LTMs that a caller may see.
pub enum Shown<'a> {
    /// All LTMs.
    All,
    /// The LTMs for which this returns true.
    Some(Choice<'a>),
}

/// Chooses an LTM by its id and class.
pub type Choice<'a> = Box<dyn Fn(LtmId, &str) -> bool + Send + Sync + 'a>;

impl Shown<'_> {
    fn is_shown(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Some(shown) => shown(row.id, &row.fqn),
        }
    }
}

const ROW_FIELDS: [&str; 9] = [
    "playground",
    "name",
    "fqn",
    "snapshots_count",
    "created_at",
    "updated_at",
    "cursor",
    "status",
    "key",
];

/// The LTMs to list.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// Whether to list the playground, or the other LTMs.
    pub playground: bool,
    /// Only LTMs of this class.
    pub fqn: Option<&'a str>,
    /// The most rows, at least 1.
    pub limit: usize,
    /// Only LTMs with lower ids.
    pub before: Option<LtmId>,
}

impl Listing<'_> {
    fn index(&self) -> String {
        match self.fqn {
            Some(fqn) => keys::class_index(self.playground, fqn),
            None => keys::index(self.playground).into(),
        }
    }
}

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

/// A page of a list, newest first.
#[derive(Debug)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// The `before` of the next page, if there is one.
    pub next: Option<LtmId>,
    /// Ids of the index whose LTMs were not found: for [`Store::remove_missing`].
    pub missing: Vec<LtmId>,
    /// In a cluster: ids of the index whose LTMs are on a server that is down. The page lacks their rows.
    pub unavailable: Vec<LtmId>,
}

impl Store {
    /// Lists LTMs, newest first. If the caller may see only some LTMs, the store reads at most a few thousand for
    /// one page. So a page can be shorter than the limit, or empty, although there is a next page. In a cluster, LTMs
    /// on a server that is down have no row.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn list(&self, listing: Listing<'_>, shown: &Shown<'_>) -> Result<Page, StoreError> {
        let index = listing.index();
        let limit = listing.limit;
        let (read, max_read) = match shown {
            Shown::All => (limit, usize::MAX),
            Shown::Some(_) => (limit.max(READ_AT_ONCE), MAX_READ),
        };
        let mut total = 0;
        let (mut rows, mut missing, mut unavailable) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = listing.before;
        loop {
            let ids = self.index_page(&index, read + 1, before).await?;
            let more = ids.len() > read;
            total += ids.len();
            for (id, row) in ids.iter().zip(self.rows(&ids, listing).await?).take(read) {
                before = Some(*id);
                match row {
                    Found::Row(row) if shown.is_shown(&row) => rows.push(row),
                    Found::Missing => missing.push(*id),
                    Found::Unavailable => unavailable.push(*id),
                    _ => {}
                }
                if rows.len() + unavailable.len() >= limit {
                    break;
                }
            }
            if !more || rows.len() + unavailable.len() >= limit || total >= max_read {
                // If there are no more ids, the page ends with the last one, or before it.
                let next =
                    before.filter(|_| more || ids.last().is_some_and(|last| before != Some(*last)));
                return Ok(Page {
                    rows,
                    next,
                    missing,
                    unavailable,
                });
            }
        }
    }

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
        let cursor = ROW_FIELDS.iter().zip(&fields);
        let cursor = cursor.into_iter().find(|(name, _)| **name == "cursor");
        let cursor = cursor.and_then(|(_, text)| text.as_deref()?.parse().ok());
        cursor
            .and_then(|cursor| Some((row(id, fields)?, cursor)))
            .ok_or_else(|| {
                let problem = "a field of its meta is missing or cannot be read";
                damaged(id, Cursor::ORIGIN, problem)
            })
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

    /// Adds an LTM to its lists. In a cluster, waits for the replicas of each list: the writes to the LTM do not.
    pub(crate) async fn list_as(
        &self,
        id: LtmId,
        playground: bool,
        fqn: &str,
    ) -> Result<(), StoreError> {
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
        tokio::try_join!(add(&all), add(&class))?;
        Ok(())
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

    async fn rows(&self, ids: &[LtmId], listing: Listing<'_>) -> Result<Vec<Found>, StoreError> {
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
            let fields: Vec<Option<String>> = from_value(answer).unwrap_or_default();
            let [playground, _, fqn, ..] = fields.as_slice() else {
                return Found::Unreadable;
            };
            // A creation that failed because the id was taken may have added it to another list.
            let listed = playground.as_deref() == Some(if listing.playground { "1" } else { "0" })
                && (listing.fqn.is_none() || fqn.as_deref() == listing.fqn);
            if !listed {
                return Found::Missing;
            }
            row(id, fields).map_or(Found::Unreadable, Found::Row)
        };
        Ok(ids.iter().zip(&answers).map(found).collect())
    }

    /// Removes from the list those of `ids` whose LTMs have been missing for [`MISSING_FOR`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn remove_missing(
        &self,
        listing: Listing<'_>,
        ids: &[LtmId],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let index = listing.index();
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
                removal.cmd("ZREM").arg(&index).arg(keys::index_member(id));
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

/// The result of reading the LTM of an id in an index.
enum Found {
    Row(Row),
    Missing,
    Unreadable,
    Unavailable,
}

/// The longest name that a list shows, in characters. The API accepts no longer one, but an older API did.
const MAX_NAME: usize = 1024;

fn row(id: LtmId, fields: Vec<Option<String>>) -> Option<Row> {
    let mut fields: HashMap<&str, String> = ROW_FIELDS
        .into_iter()
        .zip(fields)
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let mut field = |name| fields.remove(name);
    let status = status_of(field("status").as_deref(), &field("cursor")?);
    Some(Row {
        status,
        id,
        name: shorten_to(&field("name")?, MAX_NAME).into_owned(),
        fqn: field("fqn")?,
        key: field("key"),
        snapshots_count: field("snapshots_count")?.parse().ok()?,
        created_at: field("created_at")?,
        updated_at: field("updated_at")?,
    })
}
