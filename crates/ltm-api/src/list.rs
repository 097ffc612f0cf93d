//! `GET /ltm`: lists LTMs, newest first.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_service::{ListQuery, Parameters, ProblemResponse};
use ltm_types::LtmId;

use crate::{Api, access};

pub(crate) async fn list(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let query = ListQuery::read(&Parameters::of(&request)?)?;
    let grant = access::caller(&api, &request)?.grant;
    let (listing, store) = (query.listing(), api.store());
    let page = store.list(listing, &grant.shown()).await?;
    store.heal(listing, &page.missing).await?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = page.next {
        response.insert_header((header::LINK, link(request.path(), &query, next)));
    }
    Ok(response.json(page.rows))
}

/// Where the page after this one is (RFC 8288).
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
