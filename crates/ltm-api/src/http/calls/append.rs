//! `POST /ltm/{id}/snapshots`: appends a snapshot.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use ltm_docs::{problems::WriteProblems, schemas::Snapshot};
use ltm_service::ProblemResponse;
use ltm_state::{Limits, State};
use ltm_types::{Cursor, Entry, LtmId};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    Api,
    body_budget::Share,
    http::{
        body::{self, Body},
        write_call::{WriteHeaders, payload, write_call, written_answer},
    },
    json_work::drop_elsewhere,
    writer::{SnapshotAppend, SnapshotFields, SnapshotWrite},
};

/// The answer to an append.
#[derive(Serialize, ToSchema)]
struct Appended<'a> {
    #[schema(value_type = u64, minimum = 1)]
    id: LtmId,
    /// The entry's cursor.
    #[schema(value_type = String)]
    cursor: Cursor,
    /// The snapshot's index in the history.
    index: u64,
    /// The snapshot; null if it was appended before and is no longer kept.
    #[schema(value_type = Option<Snapshot>, required = true)]
    snapshot: Option<&'a RawValue>,
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm/{id}/snapshots",
    tag = "History",
    summary = "Append a snapshot: a step and its change",
    params(("id" = u64, Path, description = "The LTM's id", minimum = 1), WriteHeaders),
    request_body = SnapshotFields,
    responses(
        (status = 201, description = "The snapshot is in the log", body = Appended, headers(
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
    let limits = api.settings().limits();
    let mut memory = 0;
    let read = async |_, body: &mut Body| {
        let read = move |bytes: &[u8], share: &mut Share| {
            let fields: SnapshotFields<'_> = body::parse(bytes)?;
            share.add(fields.memory())?;
            Ok(SnapshotWrite::read(fields, limits)?)
        };
        let write = body.read(&api, read).await?;
        memory = body.memory();
        Ok(SnapshotAppend::new(write, api.json_work().clone()))
    };
    let (id, write, written) = write_call(&request, body, &api, None, read).await?;
    drop_elsewhere(memory, write).await;
    let answer = Appended {
        id,
        cursor: written.cursor,
        index: written.snapshots_count.saturating_sub(1),
        snapshot: payload(&written),
    };
    Ok(written_answer(StatusCode::CREATED, &written, &answer))
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
    let change = SnapshotWrite::read(body::parse(body)?, *limits)?.apply_to(state)?;
    let entry = Entry::after(state.cursor, change.kind, change.payload);
    state.advance(&entry);
    Ok(entry)
}
