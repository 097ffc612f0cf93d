//! `POST /ws-ticket`: gives a caller a ticket, which a page shows once in the URL of a WebSocket.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use ltm_auth::{Access, Ticket};
use ltm_docs::problems::ListProblems;
use ltm_service::ProblemResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Api, http::authorize};

/// A ticket.
#[derive(Serialize, ToSchema)]
struct Ticketed<'a> {
    ticket: &'a str,
    /// Seconds until it expires.
    expires_in: f64,
}

#[utoipa::path(
    post,
    path = "/api/v0/ws-ticket",
    tag = "Tickets",
    summary = "A ticket, which a page shows once in the URL of a WebSocket",
    responses((status = 200, description = "A ticket, valid for a short time", body = Ticketed), ListProblems),
)]
pub(crate) async fn ticket(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    let redis = api.store().redis();
    let caller = authorize::authenticated(&api, &request).await?;
    caller.may(Access::Read)?;
    let ttl = api.settings().ticket_ttl;
    let ticket = Ticket::issue(redis, &caller, ttl).await?;
    let answer = Ticketed {
        ticket: &ticket.text,
        expires_in: ttl.as_secs_f64(),
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(answer))
}
