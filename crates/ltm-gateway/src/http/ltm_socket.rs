//! `GET /ws/{id}` and `GET /ws/by-key/{fqn}/{key}`: one LTM on one WebSocket.

use std::{future::ready, rc::Rc};

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use ltm_auth::AuthError;
use ltm_service::{ProblemResponse, handshake_credential, ltm_in_path};
use ltm_store::StoreError;
use ltm_types::{LtmId, LtmRef};

use crate::{
    fanout::worker::Worker,
    http::handshake::{count, open},
    subscriber::{
        close::CloseCause,
        follow_request::{FollowOptions, FollowRequest},
        outbound::Outbound,
        session_auth::SessionAuth,
        subscription::Subscription,
    },
};

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    let ltm = ltm_in_path(&request)?;
    let follow = FollowRequest::read(ltm, request.query_string()).map_err(ProblemResponse)?;
    let admitted = admit(&request, &worker, &follow.ltm).await?;
    let max_messages = worker.gateway.settings().max_messages;
    let (handshake, mut socket) = open(&request, worker.clone(), max_messages).await?;
    // The subscription starts before the handshake is answered: a client that sees the answer receives
    // whatever is appended from then on.
    let outbound = socket.outbound.clone();
    let (session_auth, deliver) = match admitted {
        Ok((id, session_auth)) => {
            match subscribe(&worker, id, follow.options, outbound.clone()).await {
                Ok(subscription) => (session_auth, subscription.deliver(outbound)),
                Err(cause) => (None, ended(cause)),
            }
        }
        Err(cause) => (None, ended(cause)),
    };
    Ok(handshake.then(async move {
        let on_text = |text: &str| {
            if let Some(session_auth) = &session_auth {
                session_auth.offer_renewal(text);
            }
        };
        socket
            .serve(follow.ltm, session_auth.as_deref(), on_text, deliver)
            .await;
    }))
}

fn ended(cause: CloseCause) -> LocalBoxFuture<'static, CloseCause> {
    Box::pin(ready(cause))
}

/// Authenticates and authorizes the client. If there is no such LTM, the open socket tells the client why it
/// closes, as it tells a client of a service without authentication.
async fn admit(
    request: &HttpRequest,
    worker: &Worker,
    ltm: &LtmRef,
) -> Result<Result<(LtmId, Option<Box<SessionAuth>>), CloseCause>, ProblemResponse> {
    let (auth, store) = (worker.gateway.auth(), worker.gateway.store());
    let credential = handshake_credential(request, request.query_string());
    let admitted = SessionAuth::of(auth, store, ltm, credential).await;
    let known = admitted.as_ref().ok().and_then(|(_, it)| it.as_deref());
    count(request, known)?;
    match admitted {
        Ok(admitted) => Ok(Ok(admitted)),
        Err(AuthError::Store(
            error @ (StoreError::Unknown(_)
            | StoreError::UnknownKey(_)
            | StoreError::Deleted { .. }),
        )) => Ok(Err(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// Starts a subscription.
///
/// # Errors
///
/// Why it cannot start.
pub(crate) async fn subscribe(
    worker: &Worker,
    id: LtmId,
    options: FollowOptions,
    outbound: Rc<Outbound>,
) -> Result<Subscription, CloseCause> {
    let handle = worker.topics.follow(id)?;
    let backlog = worker.gateway.backlog().clone();
    Subscription::start(handle, backlog, options, outbound).await
}
