//! `POST /ltm/{id}/copy`: copies an LTM to the playground.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_docs::problems::CopyProblems;
use ltm_service::{Parameters, ProblemResponse};
use ltm_store::Idempotency;
use ltm_types::{Cursor, LtmId, Problem, ProblemKind, shorten};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    http::{
        authorize, path,
        write_call::{WriteHeaders, mark_replayed, preconditions},
    },
};

/// The answer to a copy.
#[derive(Serialize, ToSchema)]
struct Copied {
    #[schema(value_type = u64, minimum = 1)]
    copy_id: LtmId,
    /// The copy's cursor.
    #[schema(value_type = String)]
    cursor: Cursor,
}

#[utoipa::path(
    post,
    path = "/api/v0/ltm/{id}/copy",
    tag = "LTMs",
    summary = "Copy an LTM to the playground, with its history",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("until" = Option<String>, Query, description = "The cursor of the last entry to copy", nullable = false),
        WriteHeaders,
    ),
    responses(
        (status = 200, description = "The copy exists", body = Copied, headers(
            ("Idempotent-Replayed" = String, description = "`true` if this is the answer to an earlier request with this key"),
        )),
        CopyProblems,
    ),
)]
pub(crate) async fn copy(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let caller = authorize::caller(&api, &request)?;
    caller.may_copy(id, api.store()).await?;
    let until = until(&request)?;
    let asked = until.map_or_else(String::new, |until| until.to_string());
    let mut preconditions = preconditions(&request, &[b"copy", asked.as_bytes()])?;
    // Keys are each LTM's own.
    let key = preconditions.idempotency.map(|idempotency| {
        let key = format!("copy:{id}:{}", idempotency.key);
        authorize::key_of(&api, &caller, &key)
    });
    if let (Some(idempotency), Some(key)) = (preconditions.idempotency, &key) {
        preconditions.idempotency = Some(Idempotency { key, ..idempotency });
    }
    let copy = api.writer().copy(id, until, &preconditions).await?;
    let mut response = HttpResponse::Ok();
    mark_replayed(&mut response, copy.replayed);
    Ok(response.json(Copied {
        copy_id: copy.id,
        cursor: copy.cursor,
    }))
}

/// The last entry to copy, if the request names one.
fn until(request: &HttpRequest) -> Result<Option<Cursor>, ProblemResponse> {
    let parameters = Parameters::of(request)?;
    // An empty one may be a cursor that was lost on its way: the caller did not ask for a copy of everything.
    let Some(text) = parameters.given("until") else {
        return Ok(None);
    };
    match text.parse() {
        Ok(Cursor::ORIGIN) | Err(_) => {
            let detail = format!("`until`: {:?} is not the cursor of an entry", shorten(text));
            Err(Problem::new(ProblemKind::InvalidCursor, detail)
                .with_field("until")
                .into())
        }
        Ok(cursor) => Ok(Some(cursor)),
    }
}
