//! `GET /ltm/{id}/state`: the state now, or after a snapshot.

use std::convert::Infallible;

use actix_web::{HttpRequest, HttpResponse, body::SizedStream, http::header, web};
use bytes::Bytes;
use futures_util::stream;
use ltm_docs::problems::ReadProblems;
use ltm_service::{Parameters, ProblemResponse};

use crate::{
    Api,
    http::{path, schemas::StateAt},
    reader::parts,
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
    // A state can be as large as a document: its text is neither parsed nor copied again.
    let head = format!(r#"{{"id":{id},"cursor":"{cursor}","index":{index},"state":"#);
    let texts = [head.into(), state, Bytes::from_static(b"}")];
    let length = texts.iter().map(|text| text.len() as u64).sum();
    let parts = texts.into_iter().flat_map(parts).map(Ok::<_, Infallible>);
    Ok(HttpResponse::Ok()
        .insert_header((header::ETAG, format!("\"{cursor}\"")))
        .content_type("application/json")
        .body(SizedStream::new(length, stream::iter(parts))))
}
