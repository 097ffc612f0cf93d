//! `GET /ltm`: lists LTMs, newest first.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_service::ProblemResponse;
use ltm_types::LtmId;

use crate::{Api, query::Parameters};

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
    let page = api.store().list(playground, rows, before).await?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = page.next {
        let path = request.path();
        let link =
            format!("<{path}?playground={playground}&limit={limit}&before={next}>; rel=\"next\"");
        response.insert_header((header::LINK, link));
    }
    Ok(response.json(page.rows))
}
