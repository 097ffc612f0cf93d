//! From a request to an open WebSocket, and to its end.

use std::{cell::Cell, fmt::Display, rc::Rc};

use actix_http::ws::{HandshakeError, verify_handshake};
use actix_web::{HttpRequest, HttpResponse, body::BoxBody, http::header, web};
use futures_util::future::LocalBoxFuture;
use ltm_service::{ProblemResponse, Upgrade, auth::PROTOCOL};
use ltm_types::{Problem, ProblemKind};
use tokio::time::{Duration, Instant, interval, timeout};

use crate::{
    fanout::worker::Worker,
    subscriber::{
        close::CloseCause,
        drain::SubscriberPermit,
        inbound::{FrameBudget, Inbound},
        outbound::Outbound,
        session_auth::{SessionAuth, auth_lost},
    },
};

/// How long a client may take to answer a close.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// A WebSocket that is open once the answer is out.
pub(crate) struct OpenSocket {
    pub worker: web::Data<Worker>,
    pub outbound: Rc<Outbound>,
    heard: Rc<Cell<Instant>>,
    inbound: Inbound,
    permit: SubscriberPermit,
    _session: Option<BoxBody>,
}

/// An answer, and what it opens.
pub(crate) struct Handshake {
    pub response: HttpResponse,
    pub upgrade: Upgrade,
    pub socket: OpenSocket,
}

/// Takes a seat and makes the answer. The client may say so many messages in ten seconds.
pub(crate) async fn open(
    request: &HttpRequest,
    worker: web::Data<Worker>,
    max_messages: u32,
) -> Result<Handshake, actix_web::Error> {
    let permit = worker.gateway.drain().acquire();
    let permit = permit.map_err(ProblemResponse)?;
    verify_handshake(request.head()).map_err(no_handshake)?;
    let upgrade = Upgrade::of(request)
        .ok_or_else(|| refusal("Upgrade", "send `Upgrade: websocket`, and no body"))?;
    let settings = worker.gateway.settings();
    let budget = FrameBudget::new(settings);
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
    let socket = OpenSocket {
        worker,
        outbound: Rc::new(Outbound::new(upgrade.socket())),
        heard,
        inbound,
        permit,
        _session: session,
    };
    Ok(Handshake {
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

impl OpenSocket {
    /// Serves the client until `work` is done or one side ends it; `hear` is told what the client says.
    ///
    /// An async function holds what it takes by value twice, and this one for as long as a client is connected: it
    /// takes nothing large.
    pub(crate) async fn serve(
        &mut self,
        what: impl Display,
        session_auth: Option<&SessionAuth>,
        on_text: impl Fn(&str),
        work: LocalBoxFuture<'_, CloseCause>,
    ) {
        let every = self.worker.gateway.settings().ping_interval;
        let end = tokio::select! {
            end = work => end,
            end = self.inbound.read(&self.outbound, on_text) => end,
            end = auth_lost(session_auth) => end,
            end = ping(&self.outbound, &self.heard, every) => end,
            () = self.permit.drained() => CloseCause::Restarting,
        };
        tracing::debug!(%what, %end, "a subscriber is gone");
        self.worker.gateway.metrics().ended(&end);
        self.outbound.close(end.close_reason());
        // A socket that takes nothing is reset by the kernel after the same time.
        let write_stall = self.worker.gateway.settings().write_stall;
        let sent = timeout(write_stall, self.outbound.flushed()).await;
        if matches!(sent, Ok(Ok(()))) && end != CloseCause::Left {
            let _ = timeout(CLOSE_WAIT, self.inbound.finish()).await;
        }
        self.outbound.shut_down();
    }
}

/// Pings, and finds out who is gone without a word.
async fn ping(outbound: &Outbound, heard: &Cell<Instant>, every: Duration) -> CloseCause {
    let mut ticks = interval(every);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if heard.get().elapsed() > every * 2 {
            return CloseCause::Silent;
        }
        outbound.ping();
    }
}
