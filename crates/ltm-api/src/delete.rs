//! `DELETE /ltm/{id}`: ends an LTM and removes what is kept of it.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_docs::problems::DeleteProblems;
use ltm_service::ProblemResponse;
use ltm_store::AppendError;
use ltm_types::{Problem, ProblemKind};
use serde_json::json;

use crate::answers::Deleted;
use crate::{Api, headers, path, write};

#[utoipa::path(
    delete,
    path = "/api/v0/ltm/{id}",
    tag = "LTMs",
    summary = "Delete an LTM; its id is never given again",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("If-Match" = Option<String>, Header, description = "Deletes only where the LTM is at this cursor", nullable = false),
    ),
    responses((status = 200, description = "It is gone", body = Deleted), DeleteProblems),
)]
pub(crate) async fn delete(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(&request)?;
    let expected = match headers::if_match(&request)?.as_deref() {
        None => None,
        Some([cursor]) => Some(*cursor),
        Some(_) => {
            let detail = "If-Match must name one cursor here";
            return Err(Problem::new(ProblemKind::InvalidRequest, detail)
                .with_field("If-Match")
                .into());
        }
    };
    let deleted = api.store().delete(id, expected).await;
    api.states().forget(id);
    match deleted {
        Ok(cursor) => {
            api.metrics().deleted();
            Ok(HttpResponse::Ok().json(json!({"id": id, "cursor": cursor, "deleted": true})))
        }
        Err(AppendError::Conflict { current }) => Err(write::mismatch(current)),
        Err(AppendError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::new(ProblemKind::Internal, error.to_string()).into()),
    }
}
