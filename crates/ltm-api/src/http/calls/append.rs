//! `POST /ltm/{id}/snapshots`: appends a snapshot, or a batch of them.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use ltm_docs::{problems::WriteProblems, schemas::Snapshot};
use ltm_service::ProblemResponse;
use ltm_state::{Limits, State, Work};
use ltm_types::{Cursor, Entry, Kind, LtmId};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    Api,
    body_budget::Share,
    http::{
        batch,
        body::{self, Body},
        write_call::{WriteHeaders, shown_answer, write_call, written_answer},
    },
    json_work::drop_elsewhere,
    writer::{SnapshotFields, SnapshotWrite, SnapshotsAppend},
};

/// The answer to one snapshot.
#[derive(Serialize, ToSchema)]
struct Appended<'a> {
    #[schema(value_type = u64, minimum = 1)]
    id: LtmId,
    /// The entry's cursor.
    #[schema(value_type = String)]
    cursor: Cursor,
    /// The snapshot's index in the history.
    index: u64,
    /// The snapshot; null if it was appended before and is no longer kept, or if the API has no memory for the answer.
    #[schema(value_type = Option<Snapshot>, required = true)]
    snapshot: Option<&'a RawValue>,
}

/// The answer to a batch.
#[derive(Serialize, ToSchema)]
struct AppendedBatch<'a> {
    #[schema(value_type = u64, minimum = 1)]
    id: LtmId,
    /// The cursor of the last entry.
    #[schema(value_type = String)]
    cursor: Cursor,
    /// The index of the last snapshot in the history.
    index: u64,
    /// The cursors of all entries, in order.
    #[schema(value_type = Vec<String>)]
    cursors: &'a [Cursor],
}

/// Snapshots of which all are appended, or none.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"snapshots": [{"reason": "execute", "merge": {"n": 1}}, {"reason": "execute", "merge": {"n": 2}}]}))]
#[expect(dead_code, reason = "only described: `batch` reads it")]
struct Batch<'a> {
    /// The snapshots, in order.
    #[schema(min_items = 1, max_items = 1000)]
    snapshots: Vec<SnapshotFields<'a>>,
    /// The cursor at which to write, as in `If-Match`: if the LTM is at another one, nothing is written.
    base: Option<String>,
}

/// The body of an append.
#[derive(ToSchema)]
#[schema(as = AppendBody)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described: `batch` reads it")]
enum AppendBody<'a> {
    One(SnapshotFields<'a>),
    Batch(Batch<'a>),
}

/// The answer to one snapshot, or to a batch.
#[derive(ToSchema)]
#[schema(as = AppendAnswer)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described")]
enum AppendAnswer<'a> {
    One(Appended<'a>),
    Batch(AppendedBatch<'a>),
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm/{id}/snapshots",
    tag = "History",
    summary = "Append a snapshot: a step and its change; or a batch of them",
    description = "A batch is `{\"snapshots\": [...]}`, or a body with a snapshot in each line (`application/x-ndjson`). \
        All of its snapshots are appended, or none. Subscribers get them one by one. Every request may have \
        `Content-Encoding: gzip`.",
    params(("id" = u64, Path, description = "The LTM's id", minimum = 1), WriteHeaders),
    request_body(
        content((AppendBody = "application/json"), (String = "application/x-ndjson")),
        description = "A snapshot, or a batch"
    ),
    responses(
        (status = 201, description = "The snapshots are in the log", body = AppendAnswer, headers(
            ("ETag" = String, description = "The cursor"),
            ("Idempotent-Replayed" = String, description = "`true` if this is the answer to an earlier request with this key"),
        )),
        WriteProblems,
    ),
)]
pub(crate) async fn append(
    request: HttpRequest,
    body: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let has_lines = body::has_lines(&request);
    let mut memory = 0;
    let read = async |_, body: &mut Body| {
        let of_read = api.clone();
        let read =
            move |bytes: &[u8], share: &mut Share| batch::read(bytes, has_lines, &of_read, share);
        let snapshots = body.read(&api, read).await?;
        memory = body.memory();
        Ok(SnapshotsAppend::new(snapshots, api.json_work().clone()))
    };
    let body = body::read_lines(&request, body, &api);
    // One line may be the same text as the body of one snapshot.
    let kind = has_lines.then_some(body::LINES.as_bytes());
    let (id, write, written) = write_call(&request, body, &api, kind, read).await?;
    let is_batch = write.is_batch();
    drop_elsewhere(memory, write).await;
    let cursor = written.cursor();
    let index = written.snapshots_count.saturating_sub(1);
    if is_batch {
        let answer = AppendedBatch {
            id,
            cursor,
            index,
            cursors: &written.cursors,
        };
        return Ok(written_answer(StatusCode::CREATED, &written, &answer));
    }
    let answer = |snapshot| Appended {
        id,
        cursor,
        index,
        snapshot,
    };
    Ok(shown_answer(
        &api,
        StatusCode::CREATED,
        id,
        &written,
        answer,
    ))
}

/// The entry that a body of `POST /ltm/{id}/snapshots` makes of `state`, which moves on to it. Nothing is read
/// or written.
///
/// # Errors
///
/// The problem with which the API refuses the request; the state is then as it was.
pub fn snapshot_of(
    body: &[u8],
    state: &mut State,
    limits: &Limits,
) -> Result<Entry, ProblemResponse> {
    let mut write = SnapshotWrite::read(body::parse(body)?, *limits)?;
    let (payload, _) = write.apply_to(state, &mut Work::within(limits))?;
    let entry = Entry::after(state.cursor, Kind::Snapshot, payload);
    state.advance(&entry);
    Ok(entry)
}
