//! Admission: which connections and requests the server accepts, of all clients together and of each client.

pub(crate) mod permit;
mod rate;
pub(crate) mod trusted_proxies;

use std::{
    io,
    net::IpAddr,
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::Next,
    rt::net::TcpStream,
    web::{self, Bytes},
};
use ltm_auth::Caller;
use ltm_types::{Problem, ProblemKind};

use self::{
    permit::{AddressLimit, AddressPermit, ConnectionLimit, Refusal},
    rate::{CallerKey, RateLimit, TooFast},
    trusted_proxies::client_key,
};
use super::{
    connection::{Connection, ConnectionState, RequestPermit},
    problem::ProblemResponse,
    settings::HttpSettings,
};
use crate::telemetry::{
    access_log::{self, CallerName},
    limits_hit::LimitsHit,
};

/// Decides which connections and requests the server accepts. All workers share it.
pub(crate) struct Admission {
    settings: HttpSettings,
    connections: ConnectionLimit,
    addresses: Arc<AddressLimit>,
    rates: Option<RateLimit<IpAddr>>,
    caller_rates: Option<RateLimit<CallerKey>>,
    limits: LimitsHit,
}

impl Admission {
    pub(crate) fn new(settings: HttpSettings, limits: &LimitsHit) -> Self {
        Self {
            connections: ConnectionLimit::new(settings.max_connections, limits.clone()),
            addresses: Arc::new(AddressLimit::new(
                settings.max_connections_per_address,
                limits.clone(),
            )),
            rates: NonZeroU32::new(settings.max_requests_per_address)
                .map(|max| RateLimit::new(PER_ADDRESS, max, limits.clone())),
            caller_rates: NonZeroU32::new(settings.max_requests_per_caller)
                .map(|max| RateLimit::new(PER_CALLER, max, limits.clone())),
            limits: limits.clone(),
            settings,
        }
    }

    /// Accepts a new connection. Beyond a limit, its requests are refused.
    ///
    /// # Errors
    ///
    /// Too many connections are being refused already, or the client has closed this one.
    pub(crate) fn connect(&self, stream: TcpStream) -> io::Result<Connection> {
        let peer = stream.peer_addr()?.ip();
        let address = if self.settings.trusted_proxies.trust(peer) {
            Ok(None)
        } else {
            self.addresses.acquire(peer)
        };
        let (permit, refusal) = self.connections.acquire(address)?;
        let (settings, limits) = (&self.settings, self.limits.clone());
        Ok(Connection::new(stream, settings, refusal, permit, limits))
    }

    /// The number of open connections, without those that are being refused.
    pub(crate) fn connections(&self) -> usize {
        self.connections.used()
    }

    /// Accepts a request. One that a trusted proxy forwards has a permit until it ends.
    fn request(&self, request: &ServiceRequest) -> Result<Option<AddressPermit>, Refused> {
        let connection = request.conn_data::<ConnectionState>();
        match connection.and_then(|connection| connection.refusal) {
            // A health check must not take a full service for a dead one.
            Some(Refusal::Full) if matches!(request.path(), "/healthz" | "/readyz") => {}
            Some(refusal) => return Err(refusal.into()),
            None => {}
        }
        let Some(peer) = request.peer_addr().map(|peer| peer.ip()) else {
            return Ok(None);
        };
        let Some(client) = self.client(request) else {
            return Ok(None);
        };
        if let Some(rates) = &self.rates {
            rates.count(&client_key(client))?;
        }
        if self.settings.trusted_proxies.trust(peer) {
            return Ok(self.addresses.acquire(client)?);
        }
        Ok(None)
    }

    /// The address of the client that sent a request; `None` if a trusted proxy sent it itself.
    pub(crate) fn client(&self, request: &ServiceRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip();
        let proxies = &self.settings.trusted_proxies;
        proxies.client(peer, request.headers())
    }

    /// Who makes a call without a valid credential: `None` if that is a trusted proxy itself, or a program on this machine.
    fn anonymous(&self, request: &HttpRequest) -> Option<CallerKey> {
        let peer = request.peer_addr()?.ip();
        let proxies = &self.settings.trusted_proxies;
        let client = proxies.client(peer, request.headers())?;
        (!client.to_canonical().is_loopback()).then(|| CallerKey::at(client))
    }
}

/// The settings that limit the requests of one client.
const PER_ADDRESS: &str = "http.max_requests_per_address";
const PER_CALLER: &str = "http.max_requests_per_caller";

/// Counts a call of this caller, or else of the address that the request comes from. The access log names the caller.
///
/// # Errors
///
/// 429 if the caller makes more calls than `http.max_requests_per_caller` allows.
pub fn count_call(request: &HttpRequest, caller: Option<&Caller>) -> Result<(), ProblemResponse> {
    if let Some(caller) = caller.filter(|_| access_log::is_on()) {
        let name = CallerName(caller.name.clone());
        request.extensions_mut().insert(name);
    }
    let admission = request.app_data::<web::Data<Admission>>();
    let Some((admission, rates)) = admission.and_then(|it| Some((it, it.caller_rates.as_ref()?)))
    else {
        return Ok(());
    };
    let caller = caller.map(|caller| CallerKey::Name(caller.digest()));
    let Some(caller) = caller.or_else(|| admission.anonymous(request)) else {
        return Ok(());
    };
    rates.count(&caller).map_err(|too_fast| {
        let detail = "this caller sends more requests than allowed (http.max_requests_per_caller)";
        Problem::new(ProblemKind::TooManyRequests, detail)
            .with_retry_after(too_fast.wait.as_secs() + 1)
            .into()
    })
}

/// The answer to a request that is refused.
struct Refused {
    problem: Problem,
    /// In seconds.
    retry_after: u64,
    /// Whether the server closes the connection after the answer.
    close: bool,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (kind, detail) = match refusal {
            Refusal::Full => (
                ProblemKind::OverLimit,
                "as many connections are open as allowed (http.max_connections)",
            ),
            Refusal::AddressFull => (
                ProblemKind::TooManyRequests,
                "this address has as many connections open as allowed (http.max_connections_per_address)",
            ),
        };
        Self {
            problem: Problem::new(kind, detail),
            retry_after: 1,
            close: true,
        }
    }
}

impl From<TooFast> for Refused {
    fn from(too_fast: TooFast) -> Self {
        Self {
            problem: Problem::new(
                ProblemKind::TooManyRequests,
                "this address sends more requests than allowed (http.max_requests_per_address)",
            ),
            retry_after: too_fast.wait.as_secs() + 1,
            close: false,
        }
    }
}

/// The middleware in front of all routes: refuses a request, or counts it until its answer is sent.
pub(crate) async fn admit<B: MessageBody + 'static>(
    admission: web::Data<Admission>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let permit = request
        .conn_data::<ConnectionState>()
        .map(ConnectionState::begin);
    let address = match admission.request(&request) {
        Ok(address) => address,
        Err(refused) => return Ok(request.into_response(refused.response())),
    };
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| {
        BoxBody::new(AdmittedBody {
            body: body.boxed(),
            _permit: permit,
            _address: address,
        })
    }))
}

impl Refused {
    fn response(self) -> HttpResponse {
        let mut response = ProblemResponse(self.problem).error_response();
        let seconds = HeaderValue::from(self.retry_after);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        if self.close {
            let head = response.head_mut();
            head.set_connection_type(actix_http::ConnectionType::Close);
        }
        response
    }
}

/// The body of a response, with the permits of its request. The body of a WebSocket lives as long as the socket.
struct AdmittedBody {
    body: BoxBody,
    _permit: Option<RequestPermit>,
    _address: Option<AddressPermit>,
}

impl MessageBody for AdmittedBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
