//! A page of a history.

use ltm_state::{Branch, SnapshotRange};
use ltm_types::LtmId;

use super::{
    error::ReadError, json_stream::JsonStream, point_in_time::despite_trims, read::Reader,
};

/// A page of a history.
pub(crate) struct HistoryPage {
    /// The page as JSON.
    pub(crate) json: JsonStream,
    /// The index with which the next page begins; `None` for the last page.
    pub(crate) next: Option<u64>,
}

impl Reader {
    /// Up to `limit` snapshots from the index `from` of the history that `rollback` took out (default: the
    /// current one).
    pub(crate) async fn history_page(
        &self,
        id: LtmId,
        from: u64,
        limit: u64,
        rollback: Option<u64>,
    ) -> Result<HistoryPage, ReadError> {
        despite_trims(async || self.read_history_page(id, from, limit, rollback).await).await
    }

    async fn read_history_page(
        &self,
        id: LtmId,
        from: u64,
        limit: u64,
        rollback: Option<u64>,
    ) -> Result<HistoryPage, ReadError> {
        let now = self.now(id).await?;
        let branch = now.branch(rollback)?;
        let (first, count) = (branch.first_index(), branch.count());
        let from = from.max(first);
        let until = from.saturating_add(limit).min(count);
        let cursor = now.cursor;
        let mut json = JsonStream::new(self.reads().clone(), id);
        json.text(format!(
            r#"{{"id":{id},"cursor":"{cursor}","from":{from},"snapshots":["#
        ));
        if branch.trimmed > 0 && from == first {
            json.text(self.trimmed_snapshot(&now, &branch).await?);
        }
        json.snapshots(clip(&branch, from, until));
        json.text(format!(
            r#"],"first_index":{first},"snapshots_count":{count}}}"#
        ));
        json.start().await?;
        Ok(HistoryPage {
            json,
            next: (until < count).then_some(until),
        })
    }
}

/// The part of a history from the index `from` to before `until`.
pub(super) fn clip(branch: &Branch, from: u64, until: u64) -> Vec<SnapshotRange> {
    let clip = |range: &SnapshotRange| {
        let begin = range.index.max(from);
        let end = (range.index + range.len).min(until);
        (begin < end).then(|| SnapshotRange {
            index: begin,
            seq: range.seq + (begin - range.index),
            len: end - begin,
        })
    };
    branch.ranges.iter().filter_map(clip).collect()
}
