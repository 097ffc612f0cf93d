//! `GET /ws/{ltm_id}`: one subscriber's WebSocket.

use std::rc::Rc;

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_service::{
    ProblemResponse,
    auth::{AuthError, Presented},
};
use ltm_store::StoreError;

use crate::{
    end::End,
    handshake::{Socket, check_origin, open},
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
    let opened = open(&request, worker.clone(), max_messages).await?;
    // Before the handshake is answered: "from now on" begins there at the latest.
    let outbound = opened.socket.outbound.clone();
    let (pass, subscription) = match admitted {
        Ok(pass) => (pass, begin(&worker, wish, outbound).await),
        Err(end) => (None, Err(end)),
    };
    opened
        .upgrade
        .then(run(opened.socket, wish, pass, subscription));
    Ok(opened.response)
}

/// Serves the subscriber until one side ends it.
async fn run(
    socket: Socket,
    wish: Wish,
    pass: Option<Box<Pass>>,
    subscription: Result<Subscription, End>,
) {
    let outbound = socket.outbound.clone();
    let deliver = async {
        match subscription {
            Ok(subscription) => subscription.deliver(&outbound).await,
            Err(end) => end,
        }
    };
    let hear = |text: &str| {
        if let Some(pass) = &pass {
            pass.hear(text);
        }
    };
    socket.serve(wish.id, pass.as_deref(), hear, deliver).await;
}

/// Lets somebody in who may follow. Where the LTM is not there, the socket says so, as to everybody.
async fn admit(
    request: &HttpRequest,
    worker: &Worker,
    wish: &Wish,
) -> Result<Result<Option<Box<Pass>>, End>, ProblemResponse> {
    let (auth, store) = (worker.gateway.auth(), worker.gateway.store());
    let shown = Presented::in_handshake(request, request.query_string());
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
