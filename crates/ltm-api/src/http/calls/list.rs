//! `GET /ltm`: lists LTMs, newest first. `GET /ltm/counts`: counts them.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_docs::{
    problems::ListProblems,
    schemas::{ListCounts, Row},
};
use ltm_service::{ListQuery, Parameters, ProblemResponse};
use ltm_types::LtmId;

use crate::{Api, http::authorize};

/// The header of an answer that may lack LTMs.
const INCOMPLETE: &str = "Ltm-Incomplete";

#[utoipa::path(
    get,
    path = "/api/v0/ltm",
    tag = "LTMs",
    summary = "List LTMs, newest first",
    description = "Only LTMs for which all filters hold are on the list. If filters are combined, a page can have fewer rows \
        than `limit`, or none, and still have a next page: the API reads at most `redis.list_reads` LTMs for one page.",
    params(
        ("playground" = Option<bool>, Query, description = "The list of the playground, or the other one", nullable = false),
        ("status" = Option<String>, Query, description = "Only LTMs with one of these statuses, separated by commas", nullable = false, example = "error,active"),
        ("fqn" = Option<String>, Query, description = "Only LTMs of this class, or of all classes under a prefix: `app.*`", nullable = false, example = "app.*"),
        ("name" = Option<String>, Query, description = "Only LTMs whose name has, for each word of this text, a word that begins with it. Upper and lower case are the same", nullable = false, example = "har li"),
        ("created_after" = Option<String>, Query, description = "Only LTMs that were created at this time or later: RFC 3339", nullable = false, format = DateTime),
        ("created_before" = Option<String>, Query, description = "Only LTMs that were created before this time: RFC 3339", nullable = false, format = DateTime),
        ("updated_after" = Option<String>, Query, description = "Only LTMs whose last entry was written at this time or later: RFC 3339", nullable = false, format = DateTime),
        ("updated_before" = Option<String>, Query, description = "Only LTMs whose last entry was written before this time: RFC 3339", nullable = false, format = DateTime),
        ("has_errors" = Option<bool>, Query, description = "Only LTMs with a recorded error, or without any", nullable = false),
        ("limit" = Option<u64>, Query, description = "Rows on the page", minimum = 1, maximum = 1000, nullable = false),
        ("before" = Option<u64>, Query, description = "Only LTMs with lower ids", minimum = 1, nullable = false),
    ),
    responses(
        (status = 200, description = "A page of the list", body = Vec<Row>, headers(
            ("Link" = String, description = "`rel=\"next\"`: the next page, if there is one"),
            ("Ltm-Incomplete" = String, description = "`true` if the page may lack LTMs: a server of a Redis Cluster is down, or it is not known yet which LTMs have errors"),
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
    if let Err(error) = store.repair(&page).await {
        tracing::warn!(%error, "ids that do not belong on a list stay there; the next read of it removes them");
    }
    let mut response = HttpResponse::Ok();
    if page.is_incomplete || !page.unavailable.is_empty() {
        response.insert_header((INCOMPLETE, "true"));
    }
    if let Some(next) = page.next {
        response.insert_header((header::LINK, link(request.path(), &query, next)));
    }
    Ok(response.json(page.rows))
}

/// The link to the next page (RFC 8288).
fn link(path: &str, query: &ListQuery, next: LtmId) -> String {
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    parameters.extend_pairs(query.next_page(next));
    format!("<{path}?{}>; rel=\"next\"", parameters.finish())
}

#[utoipa::path(
    get,
    path = "/api/v0/ltm/counts",
    tag = "LTMs",
    summary = "Count LTMs by status and class",
    description = "Counts the LTMs that the caller may see.",
    params(
        ("playground" = Option<bool>, Query, description = "The LTMs of the playground, or the others", nullable = false),
    ),
    responses(
        (status = 200, description = "The numbers", body = ListCounts, headers(
            ("Ltm-Incomplete" = String, description = "`true` if the numbers lack LTMs: the API is still counting those of an older version, or there are too many different classes and statuses"),
        )),
        ListProblems,
    ),
)]
pub(crate) async fn counts(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let playground = Parameters::of(&request)?.flag("playground")?;
    let grant = authorize::caller(&api, &request)?.grant;
    let covers = |class: &str| grant.covers_class(class);
    let counts = api
        .store()
        .counts(playground, covers, grant.named())
        .await?
        .largest();
    let mut response = HttpResponse::Ok();
    if counts.is_incomplete {
        response.insert_header((INCOMPLETE, "true"));
    }
    Ok(response.json(counts))
}
