//! The snapshots of an LTM as JSON, streamed from its log, and `GET /ltm/{id}/snapshots`.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use ltm_service::ProblemResponse;
use ltm_store::{History, StoreError};
use ltm_types::{Entry, Kind};

use crate::{
    Api,
    query::{self, Parameters},
};

/// Snapshots on a page: by default, and at most.
const ROWS: u64 = 100;
const MAX_ROWS: u64 = 1000;

/// A walk over snapshots that writes them as the items of a JSON array.
pub(crate) struct Snapshots {
    history: History,
    /// The index of the next snapshot in the log.
    index: u64,
    from: u64,
    until: u64,
}

impl Snapshots {
    /// Those from index `from` to before `until`, on a walk that meets index `index` first.
    pub(crate) fn new(history: History, index: u64, from: u64, until: u64) -> Self {
        Self {
            history,
            index,
            from,
            until,
        }
    }

    /// The next items with their commas; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while self.index < self.until {
            let Some(entries) = self.history.next().await? else {
                return Ok(None);
            };
            let items = self.items(&entries);
            if !items.is_empty() {
                return Ok(Some(items));
            }
        }
        Ok(None)
    }

    fn items(&mut self, entries: &[Entry]) -> Bytes {
        let mut items = BytesMut::new();
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Snapshot) {
            if (self.from..self.until).contains(&self.index) {
                if self.index > self.from {
                    items.extend_from_slice(b",");
                }
                items.extend_from_slice(entry.payload.as_bytes());
            }
            self.index += 1;
        }
        items.freeze()
    }

    /// `head`, the items, `tail`. The first items are read at once, so that what is wrong with the
    /// log becomes an answer and not a body that breaks off.
    pub(crate) async fn stream(
        mut self,
        head: String,
        tail: String,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + use<>, StoreError> {
        let first = self.next().await?;
        let begin = [Some(Bytes::from(head)), first]
            .into_iter()
            .flatten()
            .map(Ok);
        let rest = stream::try_unfold((self, Some(tail)), |(mut snapshots, mut tail)| async move {
            Ok(match snapshots.next().await? {
                Some(items) => Some((items, (snapshots, tail))),
                None => tail
                    .take()
                    .map(|tail| (Bytes::from(tail), (snapshots, None))),
            })
        });
        Ok(stream::StreamExt::chain(stream::iter(begin), rest))
    }
}

pub(crate) async fn snapshots(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = query::ltm_id(&request)?;
    let parameters = Parameters::of(&request)?;
    let from = parameters
        .number("from", 0, u64::MAX - MAX_ROWS)?
        .unwrap_or(0);
    let limit = parameters.number("limit", 1, MAX_ROWS)?.unwrap_or(ROWS);
    let meta = api.store().meta(id).await?;
    let (cursor, count) = (meta.cursor, meta.snapshots_count);
    let until = from.saturating_add(limit).min(count);
    // Where every entry is a snapshot, an index is a place in the log.
    let start = if cursor.seq == count {
        from.min(count)
    } else {
        0
    };
    let walk = Snapshots::new(api.store().history(id, start, cursor), start, from, until);
    let head = format!(r#"{{"id":{id},"cursor":"{cursor}","from":{from},"snapshots":["#);
    let tail = format!(r#"],"snapshots_count":{count}}}"#);
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    if until < count {
        let link = format!(
            "<{}?from={until}&limit={limit}>; rel=\"next\"",
            request.path()
        );
        response.insert_header((header::LINK, link));
    }
    Ok(response.streaming(walk.stream(head, tail).await?))
}
