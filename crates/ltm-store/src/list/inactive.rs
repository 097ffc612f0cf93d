//! The LTM that has had no entry for the longest time, of those with one status.

use jiff::Timestamp;
use ltm_types::{LtmId, keys};
use redis::from_redis_value_ref as from_value;

use crate::{
    error::StoreError,
    list::{candidates::OrderedIds, index::ids_in, terms},
    log::{list::Found, read::Store},
};

/// The most LTMs that are compared: those with the lowest ids.
const MAX_COMPARED: usize = 1000;
/// The most of them that are read, because the index may not know yet that their status has changed.
const MAX_READ: usize = 16;

impl Store {
    /// The time of the last entry of the LTM outside the playground that has this status and has had no entry for the
    /// longest time. `None` if no LTM has the status. Compares at most 1,000 LTMs, those with the lowest ids.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn longest_inactive(&self, status: &str) -> Result<Option<Timestamp>, StoreError> {
        let term = OrderedIds::of_term(&terms::status(false, status));
        let mut pipeline = redis::pipe();
        term.read_lowest(&mut pipeline, MAX_COMPARED);
        let answers = self.redis.pipeline(&pipeline, 1).await?;
        let ids = answers.first().map_or_else(Vec::new, ids_in);
        let (indexed, ids): (Vec<_>, Vec<_>) = self.by_last_entry(ids).await?.into_iter().unzip();
        let found = self.listed(&ids).await?.into_iter().zip(indexed);
        let times = found.filter_map(|(found, indexed)| match found {
            Found::Ltm(ltm) if ltm.row.status.as_deref() == Some(status) => {
                ltm.row.updated_at.parse().ok()
            }
            // Its primary is down.
            Found::Unavailable => Timestamp::from_millisecond(indexed as i64).ok(),
            _ => None,
        });
        Ok(times.min())
    }

    /// Those of these LTMs that have had no entry for the longest time, as far as the index knows: the time in milliseconds
    /// since 1970, and the LTM.
    async fn by_last_entry(&self, ids: Vec<LtmId>) -> Result<Vec<(f64, LtmId)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for &id in &ids {
            let score = pipeline.cmd("ZSCORE").arg(keys::LIST_UPDATED);
            score.arg(keys::index_member(id));
        }
        let scores = self.redis.pipeline(&pipeline, ids.len()).await?;
        let time = |score| from_value::<Option<f64>>(score).ok().flatten();
        let times = scores.iter().map(|it| time(it).unwrap_or_default());
        let mut found: Vec<(f64, LtmId)> = times.zip(ids).collect();
        found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        found.truncate(MAX_READ);
        Ok(found)
    }
}
