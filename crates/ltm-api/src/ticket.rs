//! `POST /ws-ticket`: gives a caller what their page can show in the URL of a WebSocket, once.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_auth::{Access, Ticket};
use ltm_docs::problems::ListProblems;
use ltm_service::{ProblemResponse, credential};
use serde_json::json;

use crate::Api;
use crate::answers::Ticketed;

#[utoipa::path(
    post,
    path = "/api/v0/ws-ticket",
    tag = "Tickets",
    summary = "A ticket: what a page can show in the address of a WebSocket, once",
    responses((status = 200, description = "It is good for a moment", body = Ticketed), ListProblems),
)]
pub(crate) async fn ticket(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let redis = api.store().redis();
    let shown = credential(&request);
    let caller = api.auth().caller(shown, redis).await?;
    caller.may(Access::Read)?;
    let ttl = api.settings().ticket_ttl;
    let ticket = Ticket::issue(redis, &caller, ttl).await?;
    let answer = json!({"ticket": ticket.text, "expires_in": ttl.as_secs_f64()});
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(answer))
}
