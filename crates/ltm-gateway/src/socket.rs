//! `GET /ws/{ltm_id}`: one subscriber's WebSocket.

use std::{cell::Cell, future::pending, rc::Rc};

use actix_http::ws::verify_handshake;
use actix_web::{HttpRequest, HttpResponse, body::BoxBody, http::header, web};
use ltm_service::{
    ProblemResponse, Upgrade,
    auth::{AuthError, PROTOCOL, Presented},
};
use ltm_store::StoreError;
use ltm_types::{LtmId, Problem, ProblemKind};
use tokio::{
    task::coop::consume_budget,
    time::{Duration, Instant, interval, timeout},
};

use crate::{
    drain::Seat,
    end::End,
    inbound::{Budget, Inbound},
    outbound::Outbound,
    pass::Pass,
    subscription::{Next, Subscription},
    wish::Wish,
    worker::Worker,
};

/// How long a client may take to answer a close.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    let id = request.match_info().get("id").unwrap_or_default();
    let wish = Wish::read(id, request.query_string())?;
    check_origin(&request, &worker)?;
    let admitted = admit(&request, &worker, &wish).await?;
    let seat = worker
        .gateway
        .drain()
        .take_seat()
        .map_err(ProblemResponse)?;
    verify_handshake(request.head())?;
    let upgrade = Upgrade::of(&request).ok_or_else(no_handshake)?;
    let settings = worker.gateway.settings();
    let budget = Budget::new(settings);
    let payload = budget.limit(&request, upgrade.incoming()).await?;
    let (response, _, stream) = actix_ws::handle_with_protocols(&request, payload, &[PROTOCOL])?;
    let heard = Rc::new(Cell::new(Instant::now()));
    let inbound = Inbound::new(stream, budget, heard.clone(), settings);
    let outbound = Rc::new(Outbound::new(upgrade.socket()));
    // Before the handshake is answered: "from now on" begins there at the latest.
    let (pass, subscription) = match admitted {
        Ok(pass) => (pass, begin(&worker, wish, outbound.clone()).await),
        Err(end) => (None, Err(end)),
    };
    let mut session = None;
    let response = response.map_body(|_, body| {
        // The incoming messages end with it.
        session = Some(body);
        BoxBody::new(())
    });
    let socket = Socket {
        worker,
        outbound,
        heard,
        pass,
        _session: session,
    };
    upgrade.then(socket.run(wish.id, subscription, inbound, seat));
    Ok(response)
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

/// The refusal of a request that cannot become a WebSocket.
fn no_handshake() -> ProblemResponse {
    let detail =
        "this path answers to WebSocket handshakes: send `Upgrade: websocket`, and no body";
    ProblemResponse(Problem::new(ProblemKind::InvalidRequest, detail).with_field("Upgrade"))
}

async fn begin(worker: &Worker, wish: Wish, outbound: Rc<Outbound>) -> Result<Subscription, End> {
    let lease = worker.topics.follow(wish.id)?;
    let (store, backlog) = (worker.gateway.store(), worker.gateway.backlog().clone());
    Subscription::begin(lease, store, backlog, wish.start, wish.marker, outbound).await
}

/// Refuses pages of foreign origins: browsers let any page open a WebSocket.
fn check_origin(request: &HttpRequest, worker: &Worker) -> Result<(), ProblemResponse> {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(());
    };
    match origin.to_str() {
        Ok(origin) if worker.gateway.origins().allow(origin) => Ok(()),
        _ => Err(Problem::new(
            ProblemKind::OriginForbidden,
            "pages of this origin may not follow LTMs (cors.origins)",
        )
        .with_field("Origin")
        .into()),
    }
}

/// One subscriber's socket.
struct Socket {
    worker: web::Data<Worker>,
    outbound: Rc<Outbound>,
    heard: Rc<Cell<Instant>>,
    pass: Option<Box<Pass>>,
    _session: Option<BoxBody>,
}

impl Socket {
    /// Serves the subscriber until one side ends it.
    async fn run(
        self,
        id: LtmId,
        subscription: Result<Subscription, End>,
        mut inbound: Inbound,
        seat: Seat,
    ) {
        let end = match subscription {
            Ok(subscription) => tokio::select! {
                end = self.deliver(subscription) => end,
                end = inbound.read(&self.outbound, self.pass.as_deref()) => end,
                end = self.passed() => end,
                end = self.ping() => end,
                () = seat.drained() => End::Restarting,
            },
            Err(end) => end,
        };
        tracing::debug!(%id, %end, "a subscriber is gone");
        self.worker.gateway.metrics().ended(&end);
        self.outbound.close(end.close_reason());
        // A socket that takes nothing is reset by the kernel after the same time.
        let write_stall = self.worker.gateway.settings().write_stall;
        let sent = timeout(write_stall, self.outbound.flushed()).await;
        if matches!(sent, Ok(Ok(()))) && end != End::Left {
            let _ = timeout(CLOSE_WAIT, inbound.finish()).await;
        }
        self.outbound.shut_down();
    }

    /// Sends what the subscriber lacks; what comes once it lacks nothing, its topic sends.
    async fn deliver(&self, mut subscription: Subscription) -> End {
        loop {
            // Who has much to catch up on lets others have their turn.
            consume_budget().await;
            let next = match subscription.next().await {
                Ok(next) => next,
                Err(end) => return end,
            };
            if matches!(next, Next::KeepUp) {
                subscription.keep_up().await;
            }
            if self.outbound.flushed().await.is_err() {
                return End::Left;
            }
            if let Next::Send(frames) = next
                && !self.outbound.send(&frames)
            {
                return End::Left;
            }
        }
    }

    /// Waits until the subscriber may follow no longer.
    async fn passed(&self) -> End {
        match &self.pass {
            Some(pass) => pass.ended().await,
            None => pending().await,
        }
    }

    /// Pings, and finds out who is gone without a word.
    async fn ping(&self) -> End {
        let every = self.worker.gateway.settings().ping_interval;
        let mut ticks = interval(every);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if self.heard.get().elapsed() > every * 2 {
                return End::Silent;
            }
            self.outbound.ping();
        }
    }
}
