//! `DELETE /ltm/{id}`: ends an LTM and removes its log.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_docs::problems::DeleteProblems;
use ltm_service::ProblemResponse;
use ltm_types::{Cursor, LtmId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Api,
    http::{headers, path, problem::invalid},
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
        ("If-Match" = Option<String>, Header, description = "Deletes only if the LTM is at this cursor", nullable = false),
    ),
    responses((status = 200, description = "The LTM is deleted", body = Deleted), DeleteProblems),
)]
pub(crate) async fn delete(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let expected = match headers::if_match(&request)?.as_deref() {
        None => None,
        Some([cursor]) => Some(*cursor),
        Some(_) => return Err(invalid("If-Match", "If-Match must name one cursor here")),
    };
    let cursor = api.writer().delete(id, expected).await?;
    Ok(HttpResponse::Ok().json(Deleted {
        id,
        cursor,
        deleted: true,
    }))
}
