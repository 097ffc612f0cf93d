//! `GET /ltm`: lists LTMs, newest first.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_service::ProblemResponse;
use ltm_store::{Listing, Shown};
use ltm_types::LtmId;

use crate::{Api, access, query::Parameters};

/// Rows on a page: by default, and at most.
const MAX_ROWS: u64 = 1000;

pub(crate) async fn list(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let parameters = Parameters::of(&request)?;
    let playground = parameters.flag("playground")?;
    let limit = parameters.number("limit", 1, MAX_ROWS)?.unwrap_or(MAX_ROWS);
    let before = parameters
        .number("before", 1, u64::MAX)?
        .and_then(|id| LtmId::new(id).ok());
    // At most a thousand.
    let rows = usize::try_from(limit).unwrap_or(usize::MAX);
    let fqn = parameters.text("fqn");
    let listing = Listing {
        playground,
        fqn,
        limit: rows,
        before,
    };
    let caller = access::caller(&api, &request)?;
    let grant = &caller.grant;
    let shown = |id: LtmId, class: &str| grant.names(id) || grant.covers_class(class);
    let some: Option<&Shown<'_>> = if grant.is_for_all() {
        None
    } else {
        Some(&shown)
    };
    let page = api.store().list_some(listing, some).await?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = page.next {
        let path = request.path();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("playground", &playground.to_string())
            .append_pair("limit", &limit.to_string())
            .append_pair("before", &next.to_string());
        if let Some(fqn) = fqn {
            query.append_pair("fqn", fqn);
        }
        let link = format!("<{path}?{}>; rel=\"next\"", query.finish());
        response.insert_header((header::LINK, link));
    }
    Ok(response.json(page.rows))
}
