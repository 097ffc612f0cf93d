//! What is known about an LTM beside its state, and the lists of LTMs.

use std::collections::HashMap;

use ltm_types::{Cursor, LtmId, keys};
use redis::from_redis_value_ref as from_value;
use serde::Serialize;

use crate::{
    error::StoreError,
    log::{Store, damaged},
};

/// What is known about an LTM beside its state.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Where its log is.
    pub cursor: Cursor,
    /// Its name.
    pub name: String,
    /// Its class.
    pub fqn: String,
    /// JSON text.
    pub params: String,
    /// JSON text.
    pub structure: String,
    /// When it was created.
    pub created_at: String,
    /// When its log last grew.
    pub updated_at: String,
    /// How many snapshots it has.
    pub snapshots_count: u64,
}

/// One row of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its id.
    pub id: LtmId,
    /// Its name.
    pub name: String,
    /// Its class.
    pub fqn: String,
    /// How many snapshots it has.
    pub snapshots_count: u64,
    /// When it was created.
    pub created_at: String,
    /// When its log last grew.
    pub updated_at: String,
}

/// A page of a list, newest first.
#[derive(Debug)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the next page begins (`before`), if there is one.
    pub next: Option<LtmId>,
}

const ROW_FIELDS: [&str; 6] = [
    "playground",
    "name",
    "fqn",
    "snapshots_count",
    "created_at",
    "updated_at",
];

impl Store {
    /// What is known about the LTM.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Unavailable`], or [`StoreError::Damaged`] where a
    /// field is missing.
    pub async fn meta(&self, id: LtmId) -> Result<Meta, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::meta(id))
            .arg("cursor")
            .arg("params")
            .arg("structure")
            .arg(&ROW_FIELDS);
        let fields: Vec<Option<String>> = self.redis.query(&get).await?;
        let mut fields = fields.into_iter();
        let cursor = fields.next().flatten().ok_or(StoreError::Unknown(id))?;
        let mut text = || fields.next().flatten();
        let read = || {
            let (params, structure, _playground) = (text()?, text()?, text()?);
            Some(Meta {
                cursor: cursor.parse().ok()?,
                params,
                structure,
                name: text()?,
                fqn: text()?,
                snapshots_count: text()?.parse().ok()?,
                created_at: text()?,
                updated_at: text()?,
            })
        };
        let mut read = read;
        read().ok_or_else(|| {
            damaged(
                id,
                Cursor::ORIGIN,
                "a field of its meta is missing or wrong",
            )
        })
    }

    /// Lists LTMs, newest first.
    ///
    /// In: which list, at most how many rows (from 1), and the id before which to begin.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn list(
        &self,
        playground: bool,
        limit: usize,
        before: Option<LtmId>,
    ) -> Result<Page, StoreError> {
        let mut rows = Vec::new();
        let mut before = before;
        loop {
            let ids = self.index_page(playground, limit, before).await?;
            let more = ids.len() > limit;
            for (id, row) in ids
                .iter()
                .zip(self.rows(&ids, playground).await?)
                .take(limit)
            {
                before = Some(*id);
                rows.extend(row);
                if rows.len() == limit {
                    break;
                }
            }
            // An id in the index may belong to an LTM that was never made, or is gone.
            if !more || rows.len() == limit {
                let last = ids.last().copied();
                let next = if more || last != before { before } else { None };
                return Ok(Page { rows, next });
            }
        }
    }

    /// One id more than `limit`, to see whether there is another page.
    async fn index_page(
        &self,
        playground: bool,
        limit: usize,
        before: Option<LtmId>,
    ) -> Result<Vec<LtmId>, StoreError> {
        let mut range = redis::cmd("ZREVRANGEBYLEX");
        range
            .arg(keys::index(playground))
            .arg(before.map_or("+".into(), |id| format!("({}", keys::index_member(id))))
            .arg("-")
            .arg("LIMIT")
            .arg(0)
            .arg(limit + 1);
        let members: Vec<String> = self.redis.query(&range).await?;
        let id = |member: &String| member.trim_start_matches('0').parse().ok();
        Ok(members.iter().filter_map(id).collect())
    }

    async fn rows(&self, ids: &[LtmId], playground: bool) -> Result<Vec<Option<Row>>, StoreError> {
        let mut pipeline = redis::pipe();
        for &id in ids {
            pipeline.cmd("HMGET").arg(keys::meta(id)).arg(&ROW_FIELDS);
        }
        let answers = match ids.len() {
            0 => Vec::new(),
            count => self.redis.pipeline(&pipeline, count).await?,
        };
        let row = |(&id, answer)| {
            let fields: Vec<Option<String>> = from_value(answer).ok()?;
            let mut fields: HashMap<&str, String> = ROW_FIELDS
                .into_iter()
                .zip(fields)
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            let mut field = |name| fields.remove(name);
            if (field("playground")? == "1") != playground {
                return None;
            }
            Some(Row {
                id,
                name: field("name")?,
                fqn: field("fqn")?,
                snapshots_count: field("snapshots_count")?.parse().ok()?,
                created_at: field("created_at")?,
                updated_at: field("updated_at")?,
            })
        };
        Ok(ids.iter().zip(&answers).map(row).collect())
    }
}
