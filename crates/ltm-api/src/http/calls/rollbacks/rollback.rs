//! `POST /ltm/{id}/rollback`: goes back to a snapshot, or undoes a rollback.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use ltm_docs::problems::WriteProblems;
use ltm_service::ProblemResponse;
use ltm_types::{Cursor, LtmId, now};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Api,
    http::{
        body::{self, Body},
        write_call::{WriteHeaders, write_call, written_answer},
    },
    object::Object,
    writer::{RollbackTarget, RollbackTo, WriteError, time},
};

/// Where to go back to: `snapshot` or `rollback`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RollbackTo, example = json!({"snapshot": {"index": 0}}))]
struct RollbackBody {
    /// The snapshot to go back to.
    #[schema(value_type = Option<ToSnapshot>)]
    snapshot: Option<Object<ToSnapshot>>,
    /// The rollback to undo, if no snapshot is named.
    #[schema(value_type = Option<Undone>)]
    rollback: Option<Object<Undone>>,
    /// When (RFC 3339). Default: now.
    #[schema(format = DateTime)]
    time: Option<String>,
}

/// A snapshot to go back to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ToSnapshot {
    /// The index of the last snapshot that is kept.
    index: u64,
    /// The engine is about to take this snapshot again: only those before it are kept. Default: false.
    #[serde(default)]
    #[schema(required = false)]
    replay: bool,
}

/// A rollback to undo.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Undone {
    /// Its index among all rollbacks of the LTM, from 0.
    index: u64,
}

/// The answer to a rollback.
#[derive(Serialize, ToSchema)]
struct RolledBack {
    success: bool,
    #[schema(value_type = u64, minimum = 1)]
    id: LtmId,
    /// The entry's cursor.
    #[schema(value_type = String)]
    cursor: Cursor,
    /// The index of the last snapshot that is kept; -1 for none, null if a rollback was undone.
    #[schema(required = true)]
    snapshot_index: Option<i64>,
    /// The LTM's snapshots after the rollback.
    snapshots_count: u64,
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm/{id}/rollback",
    tag = "History",
    summary = "Go back to a snapshot, or undo a rollback",
    params(("id" = u64, Path, description = "The LTM's id", minimum = 1), WriteHeaders),
    request_body = RollbackBody,
    responses(
        (status = 200, description = "The rollback is in the log", body = RolledBack, headers(
            ("ETag" = String, description = "The cursor"),
            ("Idempotent-Replayed" = String, description = "`true` if this is the answer to an earlier request with this key"),
        )),
        WriteProblems,
    ),
)]
pub(crate) async fn rollback(
    request: HttpRequest,
    body: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let read = async |id, body: &mut Body| {
        let body: RollbackBody = body::parse(body)?;
        let time = time(body.time.as_deref())?.unwrap_or_else(now);
        Ok(RollbackTo::new(
            api.reader(),
            api.json_work(),
            id,
            target(&body)?,
            time,
        ))
    };
    let (id, rollback, written) = write_call(
        &request,
        body::read(&request, body, &api),
        &api,
        Some(b"rollback"),
        read,
    )
    .await?;
    let answer = RolledBack {
        success: true,
        id,
        cursor: written.cursor(),
        snapshot_index: rollback.target.snapshot_index(),
        snapshots_count: written.snapshots_count,
    };
    Ok(written_answer(StatusCode::OK, &written, &answer))
}

fn target(body: &RollbackBody) -> Result<RollbackTarget, WriteError> {
    match (&body.snapshot, &body.rollback) {
        (Some(Object(to)), _) if to.replay => Ok(RollbackTarget::Replay(to.index)),
        (Some(Object(to)), _) => Ok(RollbackTarget::Snapshot(to.index)),
        (None, Some(Object(undone))) => Ok(RollbackTarget::Undo(undone.index)),
        (None, None) => Err(WriteError::invalid(
            "snapshot",
            r#"give `{"snapshot": {"index": 5}}` to go back to a snapshot, or `{"rollback": {"index": 0}}` to undo a rollback"#,
        )),
    }
}
