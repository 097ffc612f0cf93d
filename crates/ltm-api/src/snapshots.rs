//! The snapshots of an LTM as JSON, streamed from its log, and `GET /ltm/{id}/snapshots`.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use bytes::{Bytes, BytesMut};
use ltm_docs::problems::ReadProblems;
use ltm_service::{Parameters, ProblemResponse};
use ltm_state::{Branch, Span, State, diff};
use ltm_store::{History, Store, StoreError};
use ltm_types::{Entry, Kind, LtmId, Rollback, Snapshot};
use serde_json::{Map, value::RawValue};

use crate::answers::SnapshotsPage;
use crate::{
    Api, change,
    known::{Known, despite_trims},
    parts::{Part, Parts},
    path,
};

/// Snapshots on a page: by default, and at most.
const ROWS: u64 = 100;
const MAX_ROWS: u64 = 1000;

/// A walk over snapshots that writes them as the items of a JSON array.
pub(crate) struct Snapshots {
    history: History,
    /// Whether an item was written before the next one.
    begun: bool,
}

impl Snapshots {
    /// Those in `spans`; `begun` says that the array has an item already.
    pub(crate) fn new(store: &Store, id: LtmId, spans: Vec<Span>, begun: bool) -> Self {
        Self {
            history: store.history(id, spans),
            begun,
        }
    }

    /// The next items with their commas; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while let Some(entries) = self.history.next().await? {
            if !entries.is_empty() {
                return Ok(Some(self.items(&entries)));
            }
        }
        Ok(None)
    }

    fn items(&mut self, entries: &[Entry]) -> Bytes {
        let mut items = BytesMut::new();
        for entry in entries {
            if self.begun {
                items.extend_from_slice(b",");
            }
            self.begun = true;
            items.extend_from_slice(entry.payload.as_bytes());
        }
        items.freeze()
    }
}

#[utoipa::path(
    get,
    path = "/api/v0/ltm/{id}/snapshots",
    tag = "History",
    summary = "A page of the history",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("from" = Option<u64>, Query, description = "The index of the first", nullable = false),
        ("limit" = Option<u64>, Query, description = "Snapshots on the page", minimum = 1, maximum = 1000, nullable = false),
        ("rollback" = Option<u64>, Query, description = "The history that this rollback took out, by its place among all, from 0", nullable = false),
    ),
    responses(
        (status = 200, description = "A page", body = SnapshotsPage, headers(("Link" = String, description = "`rel=\"next\"`: the next page, if there is one"))),
        ReadProblems,
    ),
)]
pub(crate) async fn snapshots(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    despite_trims(async || read(&request, &api).await).await
}

async fn read(request: &HttpRequest, api: &Api) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(request)?;
    let parameters = Parameters::of(request)?;
    let from = parameters
        .number("from", 0, u64::MAX - MAX_ROWS)?
        .unwrap_or(0);
    let limit = parameters.number("limit", 1, MAX_ROWS)?.unwrap_or(ROWS);
    let known = Known::of(api, id).await?;
    let (branch, rollback) = known.branch_asked_for(&parameters)?;
    let (first, count) = (branch.first_index(), branch.count());
    let from = from.max(first);
    let until = from.saturating_add(limit).min(count);
    let cursor = known.cursor;
    let head = format!(r#"{{"id":{id},"cursor":"{cursor}","from":{from},"snapshots":["#);
    let mut parts = Parts::new(api.store().clone(), id);
    parts.text(head);
    if branch.trimmed > 0 && from == first {
        let trimmed = known.trimmed(api, &branch).await?;
        parts.push(Part::Text(trimmed));
    }
    parts.snapshots(clip(&branch, from, until));
    parts.text(format!(
        r#"],"first_index":{first},"snapshots_count":{count}}}"#
    ));
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    if until < count {
        let rollback = rollback.map_or_else(String::new, |index| format!("&rollback={index}"));
        let link = format!(
            "<{}?from={until}&limit={limit}{rollback}>; rel=\"next\"",
            request.path()
        );
        response.insert_header((header::LINK, link));
    }
    Ok(response.streaming(parts.stream().await?))
}

/// The parts of a history from index `from` to before `until`.
fn clip(branch: &Branch, from: u64, until: u64) -> Vec<Span> {
    let clip = |span: &Span| {
        let begin = span.index.max(from);
        let end = (span.index + span.len).min(until);
        (begin < end).then(|| Span {
            index: begin,
            seq: span.seq + (begin - span.index),
            len: end - begin,
        })
    };
    branch.spans.iter().filter_map(clip).collect()
}

/// The snapshot that stands for all that were trimmed: from nothing to the state that they led to.
pub(crate) fn trimmed(time: &str, state: &State) -> Result<String, ProblemResponse> {
    let none = Map::new();
    let members = state.tree.value().as_object().unwrap_or(&none);
    let empty = change::text(&[])?;
    let snapshot = Snapshot {
        time,
        reason: "trimmed",
        item: RawValue::NULL,
        patch: &change::text(&diff::diff(&none, members))?,
        execute_queue: &empty,
        transitions_queue: &empty,
    };
    Ok(change::written(&snapshot)?.to_string())
}

/// When a rollback was made.
pub(crate) fn rollback_time(entry: &Entry) -> Option<String> {
    if entry.kind != Kind::Rollback {
        return None;
    }
    let back: Rollback<'_> = serde_json::from_str(&entry.payload).ok()?;
    Some(back.rollback.time.into_owned())
}
