//! From a request to an open WebSocket, and to its end.

use std::{cell::Cell, fmt::Display, rc::Rc};

use actix_http::ws::{HandshakeError, verify_handshake};
use actix_web::{HttpRequest, HttpResponse, body::BoxBody, http::header, web};
use futures_util::future::LocalBoxFuture;
use ltm_auth::PROTOCOL;
use ltm_service::{ProblemResponse, Upgrade};
use ltm_types::{Problem, ProblemKind};
use tokio::time::{Duration, Instant, interval, timeout};

use crate::{
    drain::Seat,
    end::End,
    inbound::{Budget, Inbound},
    outbound::Outbound,
    pass::{Pass, passed},
    worker::Worker,
};

/// How long a client may take to answer a close.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// A WebSocket that is open once the answer is out.
pub(crate) struct Socket {
    pub worker: web::Data<Worker>,
    pub outbound: Rc<Outbound>,
    heard: Rc<Cell<Instant>>,
    inbound: Inbound,
    seat: Seat,
    _session: Option<BoxBody>,
}

/// An answer, and what it opens.
pub(crate) struct Opened {
    pub response: HttpResponse,
    pub upgrade: Upgrade,
    pub socket: Socket,
}

/// Takes a seat and makes the answer. The client may say so many messages in ten seconds.
pub(crate) async fn open(
    request: &HttpRequest,
    worker: web::Data<Worker>,
    max_messages: u32,
) -> Result<Opened, actix_web::Error> {
    let seat = worker.gateway.drain().take_seat();
    let seat = seat.map_err(ProblemResponse)?;
    verify_handshake(request.head()).map_err(no_handshake)?;
    let upgrade = Upgrade::of(request)
        .ok_or_else(|| refusal("Upgrade", "send `Upgrade: websocket`, and no body"))?;
    let settings = worker.gateway.settings();
    let budget = Budget::new(settings);
    let payload = budget.limit(request, upgrade.incoming()).await?;
    let (response, _, stream) = actix_ws::handle_with_protocols(request, payload, &[PROTOCOL])?;
    let heard = Rc::new(Cell::new(Instant::now()));
    let inbound = Inbound::new(stream, budget, heard.clone(), settings, max_messages);
    let mut session = None;
    let response = response.map_body(|_, body| {
        // The incoming messages end with it.
        session = Some(body);
        BoxBody::new(())
    });
    let socket = Socket {
        worker,
        outbound: Rc::new(Outbound::new(upgrade.socket())),
        heard,
        inbound,
        seat,
        _session: session,
    };
    Ok(Opened {
        response,
        upgrade,
        socket,
    })
}

/// What a request lacks to become a WebSocket (RFC 6455 section 4.2.1).
fn no_handshake(error: HandshakeError) -> ProblemResponse {
    let taken = "; a proxy in between may have taken it out (docs/proxies.md)";
    match error {
        HandshakeError::GetMethodRequired => refusal("method", "send GET"),
        HandshakeError::NoWebsocketUpgrade => {
            refusal("Upgrade", &format!("send `Upgrade: websocket`{taken}"))
        }
        HandshakeError::NoConnectionUpgrade => {
            refusal("Connection", &format!("send `Connection: Upgrade`{taken}"))
        }
        HandshakeError::NoVersionHeader | HandshakeError::UnsupportedVersion => {
            refusal("Sec-WebSocket-Version", "send `Sec-WebSocket-Version: 13`")
        }
        HandshakeError::BadWebsocketKey => {
            let what = "send 16 random bytes in Base64 as `Sec-WebSocket-Key`";
            refusal("Sec-WebSocket-Key", what)
        }
    }
}

fn refusal(field: &str, what: &str) -> ProblemResponse {
    let detail = format!("this path answers to WebSocket handshakes: {what}");
    ProblemResponse(Problem::new(ProblemKind::InvalidRequest, detail).with_field(field))
}

/// Refuses pages of foreign origins: browsers let any page open a WebSocket.
pub(crate) fn check_origin(request: &HttpRequest, worker: &Worker) -> Result<(), ProblemResponse> {
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

impl Socket {
    /// Serves the client until `work` is done or one side ends it; `hear` is told what the client says.
    ///
    /// An async function holds what it takes by value twice, and this one for as long as a client is connected: it
    /// takes nothing large.
    pub(crate) async fn serve(
        &mut self,
        what: impl Display,
        pass: Option<&Pass>,
        hear: impl Fn(&str),
        work: LocalBoxFuture<'_, End>,
    ) {
        let every = self.worker.gateway.settings().ping_interval;
        let end = tokio::select! {
            end = work => end,
            end = self.inbound.read(&self.outbound, hear) => end,
            end = passed(pass) => end,
            end = ping(&self.outbound, &self.heard, every) => end,
            () = self.seat.drained() => End::Restarting,
        };
        tracing::debug!(%what, %end, "a subscriber is gone");
        self.worker.gateway.metrics().ended(&end);
        self.outbound.close(end.close_reason());
        // A socket that takes nothing is reset by the kernel after the same time.
        let write_stall = self.worker.gateway.settings().write_stall;
        let sent = timeout(write_stall, self.outbound.flushed()).await;
        if matches!(sent, Ok(Ok(()))) && end != End::Left {
            let _ = timeout(CLOSE_WAIT, self.inbound.finish()).await;
        }
        self.outbound.shut_down();
    }
}

/// Pings, and finds out who is gone without a word.
async fn ping(outbound: &Outbound, heard: &Cell<Instant>, every: Duration) -> End {
    let mut ticks = interval(every);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if heard.get().elapsed() > every * 2 {
            return End::Silent;
        }
        outbound.ping();
    }
}
