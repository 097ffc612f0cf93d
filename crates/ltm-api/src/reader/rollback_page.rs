//! A page of the rollbacks.

use ltm_types::LtmId;

use super::{
    error::ReadError,
    json_stream::{Chunk, JsonStream},
    point_in_time::despite_trims,
    read::Reader,
    rollback_rows::RollbackRows,
};

/// A page of the rollbacks of an LTM.
pub(crate) struct RollbackPage {
    /// The page as JSON.
    pub(crate) json: JsonStream,
    /// The index with which the next page begins; `None` for the last page.
    pub(crate) next: Option<u64>,
}

impl Reader {
    /// Up to `limit` rollbacks from the index `from`.
    pub(crate) async fn rollback_page(
        &self,
        id: LtmId,
        from: u64,
        limit: u64,
    ) -> Result<RollbackPage, ReadError> {
        despite_trims(async || self.read_rollback_page(id, from, limit).await).await
    }

    async fn read_rollback_page(
        &self,
        id: LtmId,
        from: u64,
        limit: u64,
    ) -> Result<RollbackPage, ReadError> {
        let now = self.now(id).await?;
        let (first, count) = (now.index.origin().rollbacks, now.index.rollbacks_count());
        let from = from.max(first);
        let until = from.saturating_add(limit).min(count);
        let cursor = now.cursor;
        let mut json = JsonStream::new(self.reads().clone(), id);
        json.text(format!(
            r#"{{"id":{id},"cursor":"{cursor}","from":{from},"rollbacks":["#
        ));
        let rows = RollbackRows::new(self.reads(), &now, from, until);
        json.push(Chunk::RollbackRows(rows));
        json.text(format!(
            r#"],"first_rollback":{first},"rollbacks_count":{count}}}"#
        ));
        json.start().await?;
        Ok(RollbackPage {
            json,
            next: (until < count).then_some(until),
        })
    }
}
