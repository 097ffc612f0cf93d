//! `GET /sse/{id}` and `GET /sse/by-key/{fqn}/{key}`: one LTM as Server-Sent Events, with the messages of a WebSocket.

use std::{convert::Infallible, rc::Rc};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{self, ContentType},
    web::{self, Bytes},
};
use futures_util::{FutureExt, future::LocalBoxFuture, stream::empty};
use ltm_service::{
    Parameters, ProblemResponse, handshake_credential, is_head, ltm_in_path, tasks::catch_panic,
};
use ltm_store::StoreError;
use ltm_types::LtmId;
use tokio::time::interval;

use crate::{
    dialect::{answer::Dialect, messages::Messages},
    fanout::worker::Worker,
    http::{handshake::count, ltm_socket::subscribe},
    settings::bytes,
    subscriber::{
        close::CloseCause,
        drain::SubscriberPermit,
        event_queue::{EventQueue, EventStream},
        follow_request::{FollowRequest, Start},
        outbound::Outbound,
        session_auth::{SessionAuth, auth_lost},
    },
};

/// The header in which a browser that reconnects sends the `id` of the last event.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// The parameter in which replacements of `EventSource` send it: they spare themselves a preflight request.
const LAST_EVENT_ID_PARAMETER: &str = "lastEventId";

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ProblemResponse> {
    let ltm = ltm_in_path(&request)?;
    let parameters = Parameters::of(&request)?;
    let last = last_event(&request, &parameters);
    let follow = FollowRequest::read(ltm, request.query_string())?.after_event(last)?;
    let (auth, store) = (worker.gateway.auth(), worker.gateway.store());
    let credential = handshake_credential(&request, request.query_string());
    let admitted = SessionAuth::of(auth, store, &follow.ltm, credential).await;
    let known = admitted.as_ref().ok().and_then(|(_, it)| it.as_deref());
    count(&request, known)?;
    let (id, session_auth) = admitted?;
    let start = follow.options.start;
    let permit = worker.gateway.drain().acquire()?;
    if last.is_some() && has_all(&worker, id, start).await? {
        // After any other status, the browser reconnects.
        return Ok(HttpResponse::NoContent().finish());
    }
    if is_head(&request) {
        // The checks of GET, but no subscription.
        exists(&worker, id).await?;
        return Ok(events().streaming(empty::<Result<Bytes, Infallible>>()));
    }
    let session_auth: Option<Rc<SessionAuth>> = session_auth.map(Rc::from);
    let subscriber = SseSubscriber::new(worker.clone(), session_auth, Box::new(Messages));
    let subscription = subscribe(&worker, id, follow.options, subscriber.outbound()).await;
    let subscription = subscription.map_err(|cause| ProblemResponse(cause.problem()))?;
    let deliver = subscription.deliver(subscriber.outbound());
    Ok(subscriber.start(Some(id), deliver, permit))
}

/// The name of the header or parameter with the `id` of the last event, and its value.
pub(crate) fn last_event<'a>(
    request: &'a HttpRequest,
    parameters: &'a Parameters,
) -> Option<(&'static str, &'a str)> {
    match request.headers().get(LAST_EVENT_ID) {
        Some(last) => Some((LAST_EVENT_ID, last.to_str().unwrap_or("(not text)"))),
        None => {
            let last = parameters.text(LAST_EVENT_ID_PARAMETER);
            last.map(|last| (LAST_EVENT_ID_PARAMETER, last))
        }
    }
}

/// The head of an answer with events.
pub(crate) fn events() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header(ContentType(mime::TEXT_EVENT_STREAM))
        // A proxy that compresses holds events back until it has enough of them.
        .insert_header((header::CACHE_CONTROL, "no-store, no-transform"))
        // Otherwise nginx holds events back until its buffer is full.
        .insert_header((header::HeaderName::from_static("x-accel-buffering"), "no"));
    response
}

/// Checks that the LTM exists, or did: a subscriber learns of the deletion from the stream.
pub(crate) async fn exists(worker: &Worker, id: LtmId) -> Result<(), ProblemResponse> {
    match worker.gateway.store().head(id).await {
        Ok(_) | Err(StoreError::Deleted { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the LTM was deleted, and the subscriber has received the deletion.
async fn has_all(worker: &Worker, id: LtmId, start: Start) -> Result<bool, ProblemResponse> {
    match worker.gateway.store().head(id).await {
        Err(StoreError::Deleted { cursor, .. }) => Ok(start == Start::After(cursor)),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(false),
    }
}

/// One subscriber. Its stream ends when this is dropped, also by a panic.
pub(crate) struct SseSubscriber {
    worker: web::Data<Worker>,
    queue: Rc<EventQueue>,
    outbound: Rc<Outbound>,
    session_auth: Option<Rc<SessionAuth>>,
}

impl SseSubscriber {
    /// A subscriber whose events a dialect writes.
    pub(crate) fn new(
        worker: web::Data<Worker>,
        session_auth: Option<Rc<SessionAuth>>,
        dialect: Box<dyn Dialect>,
    ) -> Self {
        let max = bytes(worker.gateway.settings().queue);
        let queue = Rc::new(EventQueue::new(max, dialect));
        let outbound = Outbound::events(queue.clone(), worker.gateway.large_messages());
        Self {
            worker,
            outbound: Rc::new(outbound),
            queue,
            session_auth,
        }
    }

    /// Takes the messages that it gets.
    pub(crate) fn outbound(&self) -> Rc<Outbound> {
        self.outbound.clone()
    }

    /// Serves the subscriber in a task. Returns the answer to its request. A list has no id.
    pub(crate) fn start(
        self,
        id: Option<LtmId>,
        deliver: LocalBoxFuture<'static, CloseCause>,
        permit: SubscriberPermit,
    ) -> HttpResponse {
        let (tasks, queue) = (self.worker.gateway.tasks().clone(), self.queue.clone());
        let serve = catch_panic("subscriber", self.serve(id, deliver, permit));
        tasks.spawn_local("SSE", Box::pin(serve.map(drop)));
        events().streaming(EventStream(queue))
    }

    /// Serves the subscriber until one side ends it.
    async fn serve(
        self,
        id: Option<LtmId>,
        deliver: LocalBoxFuture<'static, CloseCause>,
        permit: SubscriberPermit,
    ) {
        // The server cuts a connection whose peer accepts nothing for `gateway.write_stall`.
        let stall = self.worker.gateway.settings().write_stall / 2;
        let cause = tokio::select! {
            biased;
            () = self.queue.finished() => CloseCause::Finished,
            () = self.queue.stalled(stall) => CloseCause::Stalled,
            cause = deliver => cause,
            cause = auth_lost(self.session_auth.as_deref()) => cause,
            () = self.ping() => CloseCause::Left,
            () = permit.drained() => CloseCause::Restarting,
            () = self.queue.abandoned() => CloseCause::Left,
        };
        match id {
            Some(id) => tracing::debug!(%id, %cause, "a subscription ended"),
            None => tracing::debug!(%cause, "a subscription to a list ended"),
        }
        self.worker.gateway.metrics().ended(&cause);
        self.queue.end(id, &cause);
        // The server ends a connection whose peer takes nothing.
        self.queue.emptied().await;
    }

    async fn ping(&self) {
        let mut ticks = interval(self.worker.gateway.settings().ping_interval);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.outbound.ping();
        }
    }
}

impl Drop for SseSubscriber {
    fn drop(&mut self) {
        self.queue.close();
    }
}
