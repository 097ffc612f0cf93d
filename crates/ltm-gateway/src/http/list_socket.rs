//! `GET /ws/ltms`: a list of LTMs, live, on a WebSocket.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_service::{Parameters, ProblemResponse};

use crate::{
    fanout::worker::Worker, http::handshake::open, list::subscriber::FollowedList,
    subscriber::follow_request::FollowOptions,
};

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    let parameters = Parameters::of(&request)?;
    let options = FollowOptions::read(&parameters).map_err(ProblemResponse)?;
    let list = FollowedList::of(&request, &worker, &parameters).await?;
    let max_messages = worker.gateway.settings().max_messages;
    let (handshake, mut socket) = open(&request, worker.clone(), max_messages).await?;
    Ok(handshake.then(async move {
        let session_auth = list.session_auth.clone();
        let on_text = |text: &str| {
            if let Some(session_auth) = &session_auth {
                session_auth.offer_renewal(text);
            }
        };
        let work = list.deliver(worker, socket.outbound.clone(), options);
        socket
            .serve("a list", session_auth.as_deref(), on_text, Box::pin(work))
            .await;
    }))
}
