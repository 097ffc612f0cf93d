//! `POST /ltm/{id}/copy`: copies an LTM to the playground, as it is or as it was at a cursor.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_docs::problems::CopyProblems;
use ltm_service::{Parameters, ProblemResponse};
use ltm_store::Created;
use ltm_types::{Cursor, LtmId, Problem, ProblemKind};
use serde_json::json;

use crate::answers::Copied;
use crate::{Api, access, known::despite_trims, path, states::Turn};

#[utoipa::path(
    post,
    path = "/api/v0/ltm/{id}/copy",
    tag = "LTMs",
    summary = "Copy an LTM to the playground, with its history",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("until" = Option<String>, Query, description = "The cursor of the last entry to copy", nullable = false),
    ),
    responses((status = 200, description = "The copy is there", body = Copied), CopyProblems),
)]
pub(crate) async fn copy(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let caller = access::caller(&api, &request)?;
    caller.may_copy(id, api.store()).await?;
    let until = until(&request)?;
    let copy = despite_trims(async || write(&api, id, until).await).await?;
    api.metrics().copied();
    Ok(HttpResponse::Ok().json(json!({"copy_id": copy.id, "cursor": copy.cursor})))
}

async fn write(api: &Api, id: LtmId, until: Option<Cursor>) -> Result<Created, ProblemResponse> {
    let current = async |mut turn: Turn<'_>| {
        let state = turn.take_current().await?;
        let copy = state.loaded();
        turn.put(state);
        Ok(copy)
    };
    let state = match until {
        // Only what is before it is read: a log that is damaged later on can be copied up to there.
        Some(cursor) => api.store().state_at(id, cursor).await?,
        None => api.states().with(id, current).await?,
    };
    Ok(api.store().copy(id, &state).await?)
}

/// The last entry that is to be copied, where the request names one.
fn until(request: &HttpRequest) -> Result<Option<Cursor>, ProblemResponse> {
    let parameters = Parameters::of(request)?;
    // An empty one may be a cursor that was lost on its way: a copy of everything is not what was asked for.
    let Some(text) = parameters.given("until") else {
        return Ok(None);
    };
    match text.parse() {
        Ok(Cursor::ORIGIN) | Err(_) => {
            let detail = format!("`until`: {text:?} is not the cursor of an entry");
            Err(Problem::new(ProblemKind::InvalidCursor, detail)
                .with_field("until")
                .into())
        }
        Ok(cursor) => Ok(Some(cursor)),
    }
}
