//! `POST /ltm/{id}/copy`: copies an LTM to the playground.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_service::ProblemResponse;
use serde_json::json;

use crate::{Api, query, states::Turn};

pub(crate) async fn copy(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = query::ltm_id(&request)?;
    let current = async |mut turn: Turn<'_>| {
        let state = turn.take_current().await?;
        let copy = state.clone();
        turn.put(state);
        Ok(copy)
    };
    let state = api.states().with(id, current).await?;
    let copy = api.store().copy(id, &state).await?;
    Ok(HttpResponse::Ok().json(json!({"copy_id": copy.id, "cursor": copy.cursor})))
}
