//! `GET /sse/{ltm_id}`: what a WebSocket is sent, as Server-Sent Events.

use std::rc::Rc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, CacheControl, CacheDirective, ContentType},
    rt, web,
};
use futures_util::future::LocalBoxFuture;
use ltm_service::{ProblemResponse, handshake_credential};
use ltm_store::StoreError;
use ltm_types::LtmId;
use tokio::time::interval;

use crate::{
    drain::Seat,
    end::End,
    event_queue::{EventQueue, EventStream},
    handshake::check_origin,
    outbound::Outbound,
    pass::{Pass, passed},
    settings::bytes,
    socket::begin,
    subscription::Start,
    wish::Wish,
    worker::Worker,
};

/// What a browser says that connects again: the `id` of the last event.
const LAST_EVENT_ID: &str = "Last-Event-ID";

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ProblemResponse> {
    let id = request.match_info().get("id").unwrap_or_default();
    let last = request.headers().get(LAST_EVENT_ID);
    let last = last.map(|last| last.to_str().unwrap_or("(not text)"));
    let wish = Wish::read(id, request.query_string())?.after_event(last)?;
    check_origin(&request, &worker)?;
    let (auth, store) = (worker.gateway.auth(), worker.gateway.store());
    let shown = handshake_credential(&request, request.query_string());
    let pass = Pass::of(auth, store, wish.id, shown).await?;
    let seat = worker.gateway.drain().take_seat()?;
    if last.is_some() && has_all(&worker, &wish).await? {
        // The only answer after which a browser does not ask again.
        return Ok(HttpResponse::NoContent().finish());
    }
    let settings = worker.gateway.settings();
    let queue = Rc::new(EventQueue::new(bytes(settings.queue)));
    let outbound = Rc::new(Outbound::events(queue.clone()));
    let subscription = begin(&worker, wish, outbound.clone()).await;
    let subscription = subscription.map_err(|end| ProblemResponse(end.problem()))?;
    let deliver = subscription.deliver(outbound.clone());
    let events = Events {
        worker,
        queue: queue.clone(),
        outbound,
        pass,
    };
    rt::spawn(events.run(wish.id, deliver, seat));
    Ok(HttpResponse::Ok()
        .insert_header(ContentType(mime::TEXT_EVENT_STREAM))
        .insert_header(CacheControl(vec![CacheDirective::NoStore]))
        // nginx would keep events back until its buffer is full.
        .insert_header((header::HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(EventStream(queue)))
}

/// Whether the LTM was deleted, and the subscriber has been told.
async fn has_all(worker: &Worker, wish: &Wish) -> Result<bool, ProblemResponse> {
    match worker.gateway.store().head(wish.id).await {
        Err(StoreError::Deleted { cursor, .. }) => Ok(wish.start == Start::After(cursor)),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(false),
    }
}

/// One subscriber's events.
struct Events {
    worker: web::Data<Worker>,
    queue: Rc<EventQueue>,
    outbound: Rc<Outbound>,
    pass: Option<Box<Pass>>,
}

impl Events {
    /// Serves the subscriber until one side ends it.
    async fn run(self, id: LtmId, deliver: LocalBoxFuture<'static, End>, seat: Seat) {
        let end = tokio::select! {
            end = deliver => end,
            end = passed(self.pass.as_deref()) => end,
            () = self.ping() => End::Left,
            () = seat.drained() => End::Restarting,
            () = self.queue.abandoned() => End::Left,
        };
        tracing::debug!(%id, %end, "a subscriber is gone");
        self.worker.gateway.metrics().ended(&end);
        self.queue.end(id, &end);
        // A connection that takes nothing is ended by the server.
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
