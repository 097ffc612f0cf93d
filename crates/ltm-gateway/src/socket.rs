//! `GET /ws/{ltm_id}`: one subscriber's WebSocket.

use std::{future::ready, rc::Rc};

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use ltm_auth::AuthError;
use ltm_service::{ProblemResponse, handshake_credential};
use ltm_store::StoreError;

use crate::{
    end::End,
    handshake::{Opened, check_origin, open},
    outbound::Outbound,
    pass::Pass,
    subscription::Subscription,
    wish::Wish,
    worker::Worker,
};

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    let id = request.match_info().get("id").unwrap_or_default();
    let wish = Wish::read(id, request.query_string())?;
    check_origin(&request, &worker)?;
    let admitted = admit(&request, &worker, &wish).await?;
    let max_messages = worker.gateway.settings().max_messages;
    let Opened {
        response,
        upgrade,
        mut socket,
    } = open(&request, worker.clone(), max_messages).await?;
    // Before the handshake is answered: "from now on" begins there at the latest.
    let outbound = socket.outbound.clone();
    let (pass, deliver) = match admitted {
        Ok(pass) => match begin(&worker, wish, outbound.clone()).await {
            Ok(subscription) => (pass, subscription.deliver(outbound)),
            Err(end) => (None, ended(end)),
        },
        Err(end) => (None, ended(end)),
    };
    upgrade.then(async move {
        let hear = |text: &str| {
            if let Some(pass) = &pass {
                pass.hear(text);
            }
        };
        socket.serve(wish.id, pass.as_deref(), hear, deliver).await;
    });
    Ok(response)
}

fn ended(end: End) -> LocalBoxFuture<'static, End> {
    Box::pin(ready(end))
}

/// Lets somebody in who may follow. Where the LTM is not there, the socket says so, as to everybody.
async fn admit(
    request: &HttpRequest,
    worker: &Worker,
    wish: &Wish,
) -> Result<Result<Option<Box<Pass>>, End>, ProblemResponse> {
    let (auth, store) = (worker.gateway.auth(), worker.gateway.store());
    let shown = handshake_credential(request, request.query_string());
    match Pass::of(auth, store, wish.id, shown).await {
        Ok(pass) => Ok(Ok(pass)),
        Err(AuthError::Store(StoreError::Unknown(id))) => Ok(Err(End::Unknown(id))),
        Err(AuthError::Store(StoreError::Deleted { .. })) => Ok(Err(End::Deleted)),
        Err(error) => Err(error.into()),
    }
}

/// Begins a subscription.
pub(crate) async fn begin(
    worker: &Worker,
    wish: Wish,
    outbound: Rc<Outbound>,
) -> Result<Subscription, End> {
    let lease = worker.topics.follow(wish.id)?;
    let (store, backlog) = (worker.gateway.store(), worker.gateway.backlog().clone());
    Subscription::begin(lease, store, backlog, wish.start, wish.marker, outbound).await
}
