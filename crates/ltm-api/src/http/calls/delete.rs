//! `DELETE /ltm/{id}`: ends an LTM and removes its log.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_docs::problems::DeleteProblems;
use ltm_service::ProblemResponse;
use ltm_types::{Cursor, LtmId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    http::{
        path,
        problem::invalid,
        write_call::{WriteHeaders, mark_replayed, preconditions},
    },
};

/// The answer to a deletion.
#[derive(Serialize, ToSchema)]
struct Deleted {
    #[schema(value_type = u64, minimum = 1)]
    id: LtmId,
    /// The cursor of the entry that ended the log.
    #[schema(value_type = String)]
    cursor: Cursor,
    deleted: bool,
}

#[utoipa::path(
    delete,
    path = "/api/v0/ltm/{id}",
    tag = "LTMs",
    summary = "Delete an LTM; its id is never given again",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        WriteHeaders,
    ),
    responses(
        (status = 200, description = "The LTM is deleted", body = Deleted, headers(
            ("Idempotent-Replayed" = String, description = "`true` if this is the answer to an earlier request with this key"),
        )),
        DeleteProblems,
    ),
)]
pub(crate) async fn delete(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let preconditions = preconditions(&request, &[b"delete"])?;
    if preconditions
        .if_match
        .as_ref()
        .is_some_and(|cursors| cursors.len() != 1)
    {
        return Err(invalid("If-Match", "If-Match must name one cursor here"));
    }
    let deleted = api.writer().delete(id, &preconditions).await?;
    let mut response = HttpResponse::Ok();
    mark_replayed(&mut response, deleted.replayed);
    Ok(response.json(Deleted {
        id,
        cursor: deleted.cursor,
        deleted: true,
    }))
}
