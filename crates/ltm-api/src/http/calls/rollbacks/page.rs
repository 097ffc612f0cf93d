//! `GET /ltm/{id}/rollbacks`: a page of the rollbacks.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_docs::problems::ReadProblems;
use ltm_service::{Parameters, ProblemResponse};

use crate::{
    Api,
    http::{path, schemas::RollbacksPage},
};

/// Rollbacks on a page: by default, and at most.
const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1000;

#[utoipa::path(
    get,
    path = "/api/v0/ltm/{id}/rollbacks",
    tag = "History",
    summary = "A page of the rollbacks",
    description = "To read what a rollback took out: the history with `GET /ltm/{id}/snapshots?rollback=`, and the state with \
        `GET /ltm/{id}/state?rollback=`.",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("from" = Option<u64>, Query, description = "The index of the first rollback", nullable = false),
        ("limit" = Option<u64>, Query, description = "Rollbacks on the page", minimum = 1, maximum = 1000, nullable = false),
    ),
    responses(
        (status = 200, description = "A page, oldest first", body = RollbacksPage, headers(("Link" = String, description = "`rel=\"next\"`: the next page, if there is one"))),
        ReadProblems,
    ),
)]
pub(crate) async fn rollbacks(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let parameters = Parameters::of(&request)?;
    let from = parameters.number("from", 0, u64::MAX - MAX_LIMIT)?;
    let limit = parameters.number("limit", 1, MAX_LIMIT)?;
    let (from, limit) = (from.unwrap_or(0), limit.unwrap_or(DEFAULT_LIMIT));
    let page = api.reader().rollback_page(id, from, limit).await?;
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    if let Some(next) = page.next {
        let path = request.path();
        let link = format!("<{path}?from={next}&limit={limit}>; rel=\"next\"");
        response.insert_header((header::LINK, link));
    }
    Ok(response.streaming(page.json.into_stream()))
}
