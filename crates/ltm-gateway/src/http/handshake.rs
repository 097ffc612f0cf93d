//! From a request to an open WebSocket, and to its close.

use std::{cell::Cell, fmt::Display, future::Future, rc::Rc};

use actix_http::{
    Payload,
    ws::{HandshakeError, verify_handshake},
};
use actix_web::{
    FromRequest as _, HttpRequest, HttpResponse,
    body::BoxBody,
    error::ErrorInternalServerError,
    http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS},
    web,
};
use futures_util::{FutureExt, future::LocalBoxFuture};
use ltm_auth::PROTOCOL;
use ltm_service::{ProblemResponse, Upgrade, count_call, tasks::catch_panic};
use ltm_types::{Problem, ProblemKind};
use tokio::time::{Duration, Instant, interval, timeout};

use crate::{
    compression::negotiation::Agreement,
    fanout::worker::Worker,
    settings::bytes,
    subscriber::{
        close::CloseCause,
        drain::SubscriberPermit,
        frame_reader::FrameReader,
        inbound::Inbound,
        outbound::Outbound,
        session_auth::{SessionAuth, auth_lost},
    },
};

/// How long a client may take to answer a close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// A handshake that is about to be answered with 101.
pub(crate) struct Handshake {
    response: HttpResponse,
    upgrade: Upgrade,
}

/// The WebSocket that is open once the handshake is answered.
pub(crate) struct OpenSocket {
    pub outbound: Rc<Outbound>,
    worker: web::Data<Worker>,
    last_heard: Rc<Cell<Instant>>,
    inbound: Inbound,
    permit: SubscriberPermit,
}

/// Acquires a permit and prepares the answer. The client may send `max_messages` in ten seconds.
pub(crate) async fn open(
    request: &HttpRequest,
    worker: web::Data<Worker>,
    max_messages: u32,
) -> Result<(Handshake, OpenSocket), actix_web::Error> {
    let permit = worker.gateway.drain().acquire();
    let permit = permit.map_err(ProblemResponse)?;
    verify_handshake(request.head()).map_err(no_handshake)?;
    let upgrade = Upgrade::of(request)
        .ok_or_else(|| refusal("Upgrade", "send `Upgrade: websocket`, and no body"))?;
    let settings = worker.gateway.settings();
    let offered = request.headers();
    let compression = settings.compression.then(|| Agreement::of(offered));
    let compression = compression.flatten();
    let incoming = upgrade.incoming();
    let frames = FrameReader::new(incoming, bytes(settings.max_frame), compression.is_some());
    let last_heard = Rc::new(Cell::new(Instant::now()));
    let inbound = Inbound::new(
        frames,
        last_heard.clone(),
        settings,
        max_messages,
        worker.gateway.limits().clone(),
    );
    let large_messages = worker.gateway.large_messages();
    let outbound = Outbound::new(upgrade.socket(), compression, large_messages);
    let socket = OpenSocket {
        worker,
        outbound: Rc::new(outbound),
        last_heard,
        inbound,
        permit,
    };
    let response = answer(request, compression).await?;
    Ok((Handshake { response, upgrade }, socket))
}

/// The answer to a handshake: 101, with the protocol and the compression if the client offers them.
async fn answer(
    request: &HttpRequest,
    compression: Option<Agreement>,
) -> Result<HttpResponse, actix_web::Error> {
    // The gateway reads and writes the frames itself, so the session has no input.
    let nothing = web::Payload::from_request(request, &mut Payload::None).await?;
    let (mut answer, ..) = actix_ws::handle_with_protocols(request, nothing, &[PROTOCOL])?;
    if let Some(compression) = compression {
        let value =
            HeaderValue::try_from(compression.answer()).map_err(ErrorInternalServerError)?;
        answer.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, value);
    }
    Ok(answer.map_body(|_, _| BoxBody::new(())))
}

/// Counts a handshake of a client with this credential, or else of its address.
///
/// # Errors
///
/// The client makes more handshakes than `http.max_requests_per_caller` allows.
pub(crate) fn count(
    request: &HttpRequest,
    session_auth: Option<&SessionAuth>,
) -> Result<(), ProblemResponse> {
    let caller = session_auth.map(SessionAuth::caller);
    count_call(request, caller.as_deref())
}

/// What a request lacks to become a WebSocket (RFC 6455 section 4.2.1).
fn no_handshake(error: HandshakeError) -> ProblemResponse {
    let removed = "; a proxy may have removed it (docs/proxies.md)";
    match error {
        HandshakeError::GetMethodRequired => refusal("method", "send GET"),
        HandshakeError::NoWebsocketUpgrade => {
            refusal("Upgrade", &format!("send `Upgrade: websocket`{removed}"))
        }
        HandshakeError::NoConnectionUpgrade => refusal(
            "Connection",
            &format!("send `Connection: Upgrade`{removed}"),
        ),
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
    let detail = format!("this path expects a WebSocket handshake: {what}");
    ProblemResponse(Problem::new(ProblemKind::InvalidRequest, detail).with_field(field))
}

impl Handshake {
    /// The answer; `task` runs once it is out. A panic in `task` ends this connection only: the client
    /// reconnects with its cursor.
    pub(crate) fn then(self, task: impl Future<Output = ()> + 'static) -> HttpResponse {
        self.upgrade.then(catch_panic("subscriber", task).map(drop));
        self.response
    }
}

impl OpenSocket {
    /// Serves the client until `work` is done or one side ends it. `on_text` receives the client's texts.
    ///
    /// An async function keeps each argument twice in its future, and this future lives as long as the
    /// client is connected: no argument is large.
    pub(crate) async fn serve(
        &mut self,
        what: impl Display,
        session_auth: Option<&SessionAuth>,
        on_text: impl Fn(&str),
        work: LocalBoxFuture<'_, CloseCause>,
    ) {
        let ping_interval = self.worker.gateway.settings().ping_interval;
        let cause = tokio::select! {
            cause = work => cause,
            cause = self.inbound.read(&self.outbound, on_text) => cause,
            cause = auth_lost(session_auth) => cause,
            cause = ping(&self.outbound, &self.last_heard, ping_interval) => cause,
            () = self.permit.drained() => CloseCause::Restarting,
        };
        tracing::debug!(%what, %cause, "a subscription ended");
        self.worker.gateway.metrics().ended(&cause);
        self.outbound.close(cause.close_reason());
        // The kernel resets a socket that takes nothing after the same time.
        let write_stall = self.worker.gateway.settings().write_stall;
        let sent = timeout(write_stall, self.outbound.flushed()).await;
        if matches!(sent, Ok(Ok(()))) && cause != CloseCause::Left {
            let _ = timeout(CLOSE_WAIT, self.inbound.finish()).await;
        }
        self.outbound.shut_down();
    }
}

/// Pings the client, and detects one that is gone without a close.
async fn ping(outbound: &Outbound, last_heard: &Cell<Instant>, every: Duration) -> CloseCause {
    let mut ticks = interval(every);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if last_heard.get().elapsed() > every * 2 {
            return CloseCause::Silent;
        }
        outbound.ping();
    }
}
