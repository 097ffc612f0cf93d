//! The document of an LTM: state, history, errors, and the cursor to follow from.

use bytes::Bytes;
use ltm_store::Meta;
use ltm_types::{Cursor, LtmId};
use serde_json::json;

use super::{
    error::ReadError,
    json_stream::{Chunk, JsonStream},
    point_in_time::{PointInTime, despite_trims},
    read::Reader,
    rollback_items::RollbackItems,
};

/// A document.
pub(crate) struct Document {
    pub(crate) cursor: Cursor,
    /// The document as JSON; `None` if the client has it already.
    pub(crate) json: Option<JsonStream>,
}

impl Reader {
    /// The document, unless the LTM is at one of the cursors `known`. `rollbacks` adds a page of the histories that
    /// rollbacks took out, from this index on.
    pub(crate) async fn document(
        &self,
        id: LtmId,
        known: &[Cursor],
        rollbacks: Option<u64>,
    ) -> Result<Document, ReadError> {
        despite_trims(async || self.read_document(id, known, rollbacks).await).await
    }

    async fn read_document(
        &self,
        id: LtmId,
        known: &[Cursor],
        rollbacks: Option<u64>,
    ) -> Result<Document, ReadError> {
        let (now, state) = self.now_with_state(id).await?;
        let cursor = now.cursor;
        if known.contains(&cursor) {
            return Ok(Document { cursor, json: None });
        }
        let meta = self.store().meta(id).await?;
        let mut json = self.write_document(now, state, &meta, rollbacks).await?;
        json.start().await?;
        Ok(Document {
            cursor,
            json: Some(json),
        })
    }

    async fn write_document(
        &self,
        now: PointInTime,
        state: Bytes,
        meta: &Meta,
        rollbacks: Option<u64>,
    ) -> Result<JsonStream, ReadError> {
        let branch = now.index.branch();
        let (first, count) = (branch.first_index(), branch.count());
        let (id, cursor, name) = (now.id, now.cursor, json!(meta.name));
        let mut json = JsonStream::new(self.reads().clone(), id);
        json.text(format!(
            r#"{{"id":{id},"cursor":"{cursor}","name":{name},"state":"#
        ));
        json.text(state);
        json.text(r#","snapshots":["#);
        if branch.trimmed > 0 {
            json.text(self.trimmed_snapshot(&now, &branch).await?);
        }
        json.snapshots(branch.ranges);
        let source = meta
            .source
            .map_or_else(String::new, |source| format!(r#","source_id":{source}"#));
        json.text(format!(
            concat!(
                r#"],"first_index":{},"fqn":{},"key":{},"params":{},"structure":{},"concurrent_instances":{},"#,
                r#""created_at":"{}","updated_at":"{}","snapshots_count":{},"rollbacks_count":{}{},"errors":["#
            ),
            first,
            json!(meta.fqn),
            json!(meta.key),
            meta.params,
            meta.structure,
            meta.concurrent_instances,
            meta.created_at,
            meta.updated_at,
            count,
            now.index.rollbacks_count(),
            source,
        ));
        let errors = now.index.errors();
        json.push(Chunk::Errors {
            seqs: errors.into_iter().map(|(_, seq)| seq).collect(),
            has_items: false,
        });
        match rollbacks {
            Some(from) => {
                let first = from.max(now.index.origin().rollbacks);
                json.text(format!(r#"],"first_rollback":{first},"rollbacks":["#));
                let items = RollbackItems::new(self.reads(), now, from);
                json.push(Chunk::Rollbacks(Box::new(items)));
            }
            None => json.text("]"),
        }
        json.push(Chunk::Check(cursor));
        json.text("}");
        Ok(json)
    }
}
