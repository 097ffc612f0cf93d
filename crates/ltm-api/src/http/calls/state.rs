//! `GET /ltm/{id}/state`: the state now, or after a snapshot.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_docs::problems::ReadProblems;
use ltm_service::{Parameters, ProblemResponse};

use crate::{
    Api,
    http::{path, schemas::StateAt},
};

#[utoipa::path(
    get,
    path = "/api/v0/ltm/{id}/state",
    tag = "History",
    summary = "The state, now or after a snapshot",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("index" = Option<u64>, Query, description = "The state after this snapshot. Default: the last one", nullable = false),
        ("rollback" = Option<u64>, Query, description = "In the history that this rollback took out, by its index among all rollbacks, from 0", nullable = false),
    ),
    responses(
        (status = 200, description = "The state", body = StateAt, headers(("ETag" = String, description = "The cursor of the state"))),
        ReadProblems,
    ),
)]
pub(crate) async fn state(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let parameters = Parameters::of(&request)?;
    let index = parameters.number("index", 0, u64::MAX - 1)?;
    let rollback = parameters.number("rollback", 0, u64::MAX)?;
    let found = api.reader().state_at(id, index, rollback).await?;
    let (cursor, state) = (found.cursor, found.state);
    let index = found.index.map_or(-1, i128::from);
    // A state can be as large as a document: its text is not parsed again.
    Ok(HttpResponse::Ok()
        .insert_header((header::ETAG, format!("\"{cursor}\"")))
        .content_type("application/json")
        .body(format!(
            r#"{{"id":{id},"cursor":"{cursor}","index":{index},"state":{state}}}"#
        )))
}
