//! `GET /ltm/{id}/snapshots`: a page of the history.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_docs::problems::ReadProblems;
use ltm_service::{Parameters, ProblemResponse};

use crate::{
    Api,
    http::{path, schemas::SnapshotsPage},
};

/// Snapshots on a page: by default, and at most.
const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1000;

#[utoipa::path(
    get,
    path = "/api/v0/ltm/{id}/snapshots",
    tag = "History",
    summary = "A page of the history",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("from" = Option<u64>, Query, description = "The index of the first snapshot", nullable = false),
        ("limit" = Option<u64>, Query, description = "Snapshots on the page", minimum = 1, maximum = 1000, nullable = false),
        ("rollback" = Option<u64>, Query, description = "The history that this rollback took out, by its index among all rollbacks, from 0", nullable = false),
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
    let id = path::ltm_id(&request)?;
    let parameters = Parameters::of(&request)?;
    let from = parameters
        .number("from", 0, u64::MAX - MAX_LIMIT)?
        .unwrap_or(0);
    let limit = parameters
        .number("limit", 1, MAX_LIMIT)?
        .unwrap_or(DEFAULT_LIMIT);
    let rollback = parameters.number("rollback", 0, u64::MAX)?;
    let page = api.reader().history_page(id, from, limit, rollback).await?;
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    if let Some(next) = page.next {
        let rollback = rollback.map_or_else(String::new, |index| format!("&rollback={index}"));
        let path = request.path();
        let link = format!("<{path}?from={next}&limit={limit}{rollback}>; rel=\"next\"");
        response.insert_header((header::LINK, link));
    }
    Ok(response.streaming(page.json.into_stream()))
}
