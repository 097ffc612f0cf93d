//! The text of a document.

use bytes::Bytes;
use ltm_state::Branch;
use ltm_store::Meta;
use serde_json::json;

use crate::reader::{
    error::ReadError,
    json_stream::{Chunk, JsonStream},
    point_in_time::PointInTime,
    read::Reader,
    rollback_items::RollbackItems,
};

/// The text before the snapshots.
pub(super) fn opening(now: &PointInTime, state: Bytes, meta: &Meta) -> [Bytes; 3] {
    let (id, cursor, name) = (now.id, now.cursor, json!(meta.name));
    let opening = format!(r#"{{"id":{id},"cursor":"{cursor}","name":{name},"state":"#);
    [
        opening.into(),
        state,
        Bytes::from_static(br#","snapshots":["#),
    ]
}

/// The text between the snapshots and the errors.
pub(super) fn middle(now: &PointInTime, branch: &Branch, meta: &Meta) -> String {
    let source = meta
        .source
        .map_or_else(String::new, |source| format!(r#","source_id":{source}"#));
    format!(
        concat!(
            r#"],"first_index":{},"fqn":{},"key":{},"params":{},"structure":{},"concurrent_instances":{},"#,
            r#""created_at":"{}","updated_at":"{}","snapshots_count":{},"rollbacks_count":{}{},"errors":["#
        ),
        branch.first_index(),
        json!(meta.fqn),
        json!(meta.key),
        meta.params,
        meta.structure,
        meta.concurrent_instances,
        meta.created_at,
        meta.updated_at,
        branch.count(),
        now.index.rollbacks_count(),
        source,
    )
}

/// The errors of an LTM.
pub(super) fn errors(now: &PointInTime) -> Chunk {
    let errors = now.index.errors();
    Chunk::Errors {
        seqs: errors.into_iter().map(|(_, seq)| seq).collect(),
        has_items: false,
    }
}

/// A document that one request reads while it is sent. `rollbacks` adds a page of the histories that rollbacks took out,
/// from this index on.
pub(super) async fn stream(
    reader: &Reader,
    now: PointInTime,
    state: Bytes,
    rollbacks: Option<u64>,
) -> Result<JsonStream, ReadError> {
    let meta = reader.store().meta(now.id).await?;
    let branch = now.index.branch();
    let cursor = now.cursor;
    let mut json = JsonStream::new(reader.reads().clone(), now.id);
    for text in opening(&now, state, &meta) {
        json.text(text);
    }
    if branch.trimmed > 0 {
        json.text(reader.trimmed_snapshot(&now, &branch).await?);
    }
    let middle = middle(&now, &branch, &meta);
    json.snapshots(branch.ranges);
    json.text(middle);
    json.push(errors(&now));
    match rollbacks {
        Some(from) => {
            let first = from.max(now.index.origin().rollbacks);
            json.text(format!(r#"],"first_rollback":{first},"rollbacks":["#));
            let items = RollbackItems::new(reader.reads(), now, from);
            json.push(Chunk::Rollbacks(Box::new(items)));
        }
        None => json.text("]"),
    }
    json.push(Chunk::Check(cursor));
    json.text("}");
    json.start().await?;
    Ok(json)
}
