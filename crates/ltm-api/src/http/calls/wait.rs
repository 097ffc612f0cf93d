//! `GET /ltm/{id}/wait`: answers when an LTM has a status (long poll).

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use jiff::SignedDuration;
use ltm_docs::{problems::WaitProblems, schemas::Row};
use ltm_service::{Parameters, ProblemResponse, client_ended};
use ltm_types::{Cursor, Problem, ProblemKind};

use crate::{
    Api,
    http::{authorize, path, problem::invalid},
    waits::Awaited,
};

/// How long a request waits that does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

#[utoipa::path(
    get,
    path = "/api/v0/ltm/{id}/wait",
    tag = "LTMs",
    summary = "Wait until an LTM has a status",
    description = "Give `status`, `after`, or both. The API looks at the LTM several times a second, so it may miss a status \
        that lasts a shorter time.",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("status" = Option<String>, Query, description = "The statuses to wait for, separated by commas", nullable = false),
        ("after" = Option<String>, Query, description = "Waits until the LTM has left this cursor", nullable = false),
        ("timeout" = Option<String>, Query, description = "How long to wait: `30s`, `1m`, at most `api.max_wait`. Default: `30s`", nullable = false),
    ),
    responses(
        (status = 200, description = "The LTM, as in the list", body = Row, headers(("ETag" = String, description = "The cursor"))),
        (status = 204, description = "Not yet: the time is over, the client has ended its side of the connection, or the API stops. Ask again"),
        WaitProblems,
    ),
)]
pub(crate) async fn wait(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let parameters = Parameters::of(&request)?;
    let awaited = awaited(&parameters)?;
    let limit = timeout(&parameters, api.settings().max_wait)?;
    let seen = tokio::select! {
        seen = api.waits().wait(id, &awaited, limit) => seen?,
        () = client_ended(&request) => None,
    };
    // The credential may have ended meanwhile.
    authorize::again(&api, &request).await?;
    Ok(match seen {
        None => HttpResponse::NoContent().finish(),
        Some(seen) => HttpResponse::Ok()
            .insert_header((header::ETAG, format!("\"{}\"", seen.cursor)))
            .json(&*seen.row),
    })
}

fn awaited(parameters: &Parameters) -> Result<Awaited, ProblemResponse> {
    let statuses = parameters.text("status").unwrap_or_default().split(',');
    let statuses = statuses.map(str::trim).filter(|status| !status.is_empty());
    let awaited = Awaited {
        statuses: statuses.map(Into::into).collect(),
        after: parameters.text("after").map(after).transpose()?,
    };
    if awaited.statuses.is_empty() && awaited.after.is_none() {
        let detail = "say what to wait for: `status=finished,error`, or `after=<cursor>`";
        return Err(invalid("status", detail));
    }
    Ok(awaited)
}

fn after(text: &str) -> Result<Cursor, ProblemResponse> {
    text.parse().map_err(|e| {
        Problem::new(ProblemKind::InvalidCursor, format!("`after`: {e}"))
            .with_field("after")
            .into()
    })
}

/// How long the request waits. Less than it asks for does no harm: it asks again.
fn timeout(parameters: &Parameters, most: Duration) -> Result<Duration, ProblemResponse> {
    let Some(text) = parameters.text("timeout") else {
        return Ok(DEFAULT_TIMEOUT.min(most));
    };
    let given = text.parse::<SignedDuration>().ok();
    match given.and_then(|given| Duration::try_from(given).ok()) {
        Some(given) => Ok(given.min(most)),
        None => Err(invalid(
            "timeout",
            format!("{text:?} is not a duration such as `30s` or `1m`"),
        )),
    }
}
