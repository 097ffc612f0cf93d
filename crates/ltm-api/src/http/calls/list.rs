//! `GET /ltm`: lists LTMs, newest first.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_docs::{problems::ListProblems, schemas::Row};
use ltm_service::{ListQuery, Parameters, ProblemResponse};
use ltm_types::LtmId;

use crate::{Api, http::authorize};

#[utoipa::path(
    get,
    path = "/api/v0/ltm",
    tag = "LTMs",
    summary = "List LTMs, newest first",
    params(
        ("playground" = Option<bool>, Query, description = "The list of the playground, or the other one", nullable = false),
        ("fqn" = Option<String>, Query, description = "Only LTMs of this class", nullable = false),
        ("limit" = Option<u64>, Query, description = "Rows on the page", minimum = 1, maximum = 1000, nullable = false),
        ("before" = Option<u64>, Query, description = "Only LTMs with lower ids", minimum = 1, nullable = false),
    ),
    responses(
        (status = 200, description = "A page of the list", body = Vec<Row>, headers(
            ("Link" = String, description = "`rel=\"next\"`: the next page, if there is one"),
            ("Ltm-Incomplete" = String, description = "`true` if a server of a Redis Cluster is down, and the page lacks its LTMs"),
        )),
        ListProblems,
    ),
)]
pub(crate) async fn list(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let query = ListQuery::read(&Parameters::of(&request)?)?;
    let grant = authorize::caller(&api, &request)?.grant;
    let (listing, store) = (query.listing(), api.store());
    let page = store.list(listing, &grant.shown()).await?;
    // The list is right without it, and Redis may have no room for what it writes.
    if let Err(error) = store.remove_missing(listing, &page.missing).await {
        tracing::warn!(%error, "ids of missing LTMs stay on a list; the next read of it removes them");
    }
    let mut response = HttpResponse::Ok();
    if !page.unavailable.is_empty() {
        response.insert_header(("Ltm-Incomplete", "true"));
    }
    if let Some(next) = page.next {
        response.insert_header((header::LINK, link(request.path(), &query, next)));
    }
    Ok(response.json(page.rows))
}

/// The link to the next page (RFC 8288).
fn link(path: &str, query: &ListQuery, next: LtmId) -> String {
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    parameters
        .append_pair("playground", &query.playground.to_string())
        .append_pair("limit", &query.limit.to_string())
        .append_pair("before", &next.to_string());
    if let Some(fqn) = &query.fqn {
        parameters.append_pair("fqn", fqn);
    }
    format!("<{path}?{}>; rel=\"next\"", parameters.finish())
}
