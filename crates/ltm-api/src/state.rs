//! `GET /ltm/{id}/state`: the state now, or as it was.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_docs::problems::ReadProblems;
use ltm_service::{Parameters, ProblemResponse};
use ltm_types::{Problem, ProblemKind};

use crate::answers::StateAt;
use crate::{
    Api,
    known::{Known, despite_trims},
    path,
};

#[utoipa::path(
    get,
    path = "/api/v0/ltm/{id}/state",
    tag = "History",
    summary = "The state, now or as of a snapshot",
    params(
        ("id" = u64, Path, description = "The LTM's id", minimum = 1),
        ("index" = Option<u64>, Query, description = "The state after this snapshot; the last one where it is left out", nullable = false),
        ("rollback" = Option<u64>, Query, description = "In the history that this rollback took out, by its place among all, from 0", nullable = false),
    ),
    responses(
        (status = 200, description = "The state", body = StateAt, headers(("ETag" = String, description = "The cursor that it is as of"))),
        ReadProblems,
    ),
)]
pub(crate) async fn state(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    despite_trims(async || read(&request, &api).await).await
}

async fn read(request: &HttpRequest, api: &Api) -> Result<HttpResponse, ProblemResponse> {
    let id = path::ltm_id(request)?;
    let parameters = Parameters::of(request)?;
    let index = parameters.number("index", 0, u64::MAX - 1)?;
    let (known, now) = Known::with_state(api, id).await?;
    let (branch, rollback) = known.branch_asked_for(&parameters)?;
    let last = branch.count().checked_sub(1);
    let (index, cursor, text) = match (index.or(last), rollback) {
        // Before the first snapshot, or now.
        (None, _) => (None, known.cursor, "{}".into()),
        (index, None) if index == last => (index, known.cursor, now),
        (Some(index), _) => {
            let place = branch.place(index).ok_or_else(|| {
                let detail = match last {
                    Some(last) => format!(
                        "LTM {id} has no snapshot {index} here; it has {} to {last}",
                        branch.first_index()
                    ),
                    None => format!("LTM {id} has no snapshots here"),
                };
                ProblemResponse(
                    Problem::new(ProblemKind::InvalidRequest, detail).with_field("index"),
                )
            })?;
            let state = api.store().state_after(id, place).await?;
            (Some(index), state.position(), state.text())
        }
    };
    let index = index.map_or_else(|| "-1".into(), |index| index.to_string());
    Ok(HttpResponse::Ok()
        .insert_header((header::ETAG, format!("\"{cursor}\"")))
        .content_type("application/json")
        .body(format!(
            r#"{{"id":{id},"cursor":"{cursor}","index":{index},"state":{text}}}"#
        )))
}
