//! `GET /ltm/{id}`: the document.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_docs::problems::ReadProblems;
use ltm_service::{Parameters, ProblemResponse, is_head};

use crate::{
    Api,
    http::{headers, path, schemas::Document},
    reader::Content,
};

#[utoipa::path(
    get,
    path = "/api/v0/ltm/{id}",
    tag = "LTMs",
    summary = "The document: state, history, errors, and the cursor to follow from",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("rollbacks" = Option<bool>, Query, description = "Whether to add the histories that rollbacks took out: a page of them", nullable = false),
        ("from_rollback" = Option<u64>, Query, description = "The index of the first rollback on the page: `next_rollback` of the page before. It asks for `rollbacks`, too", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "A cursor: the answer is 304 if the LTM is still at it", nullable = false),
    ),
    responses(
        (status = 200, description = "The document", body = Document, headers(("ETag" = String, description = "The cursor"))),
        (status = 304, description = "Nothing has changed since"),
        ReadProblems,
    ),
)]
pub(crate) async fn document(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let parameters = Parameters::of(&request)?;
    let from = parameters.number("from_rollback", 0, u64::MAX)?;
    let asked = parameters.flag("rollbacks")? || from.is_some();
    let rollbacks = asked.then_some(from.unwrap_or(0));
    let known = headers::if_none_match(&request);
    let documents = api.documents();
    // HEAD needs only the beginning.
    let document = if rollbacks.is_some() || is_head(&request) {
        documents.streamed(id, &known, rollbacks).await?
    } else {
        documents.shared(id, &known).await?
    };
    let tag = (header::ETAG, format!("\"{}\"", document.cursor));
    let mut head = HttpResponse::Ok();
    head.insert_header(tag.clone())
        .content_type("application/json");
    Ok(match document.content {
        Content::Known => HttpResponse::NotModified().insert_header(tag).finish(),
        Content::Shared(content) => content.answer(&mut head),
        Content::Streamed(json) => head.streaming(json.into_stream()),
    })
}
