//! Who is let in: connections and requests, of all clients and of each.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::IpAddr,
    num::NonZeroU32,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error, ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::Next,
    rt::net::TcpStream,
    web::{self, Bytes},
};
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use ltm_types::{Problem, ProblemKind};
use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    HttpSettings, ProblemResponse,
    connection::{Connection, Standing, UnderWay},
    limit_reached,
    proxies::client_key,
};

/// How many connections beyond the limit are told so at once; more are cut off without a word.
pub(crate) const REFUSED_AT_ONCE: usize = 256;
/// Over which time the requests of an address are counted.
const RATE_PERIOD: Duration = Duration::from_secs(10);
/// How many addresses are remembered for that. One that is forgotten begins anew.
const REMEMBERED: usize = 16 * 1024;

/// Lets clients in. All workers share it.
pub(crate) struct Admission {
    settings: HttpSettings,
    connections: Arc<Semaphore>,
    refused: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    rates: Option<Rates>,
}

/// What a connection takes, and gives back at its end.
pub(crate) struct Places {
    _connection: OwnedSemaphorePermit,
    _address: Option<AddressPlace>,
}

/// Why a connection's requests are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There are as many connections as allowed.
    Full,
    /// Its client has as many as allowed.
    AddressFull,
}

impl Admission {
    pub(crate) fn new(settings: HttpSettings) -> Self {
        let connections = settings.max_connections.get().min(Semaphore::MAX_PERMITS);
        Self {
            connections: Arc::new(Semaphore::new(connections)),
            refused: Arc::new(Semaphore::new(REFUSED_AT_ONCE)),
            addresses: Arc::new(Addresses {
                max: settings.max_connections_per_address,
                open: Mutex::default(),
            }),
            rates: NonZeroU32::new(settings.max_requests_per_address).map(Rates::new),
            settings,
        }
    }

    /// Takes a new connection: to serve it, to tell it that it is refused, or not even that.
    ///
    /// # Errors
    ///
    /// Where so many are being refused that this one is cut off, or it is gone already.
    pub(crate) fn connect(&self, stream: TcpStream) -> io::Result<Connection> {
        let peer = stream.peer_addr()?.ip();
        let address = if self.settings.trusted_proxies.trust(peer) {
            Ok(None)
        } else {
            self.addresses.take(peer)
        };
        let full = |_| {
            limit_reached("http.max_connections");
            Refusal::Full
        };
        let place = self.connections.clone().try_acquire_owned().map_err(full);
        let (refusal, connection, address) = match (place, address) {
            (Ok(place), Ok(address)) => (None, place, address),
            (Err(refusal), _) | (_, Err(refusal)) => {
                let place = self.refused.clone().try_acquire_owned();
                (Some(refusal), place.map_err(io::Error::other)?, None)
            }
        };
        let places = Places {
            _connection: connection,
            _address: address,
        };
        Ok(Connection::new(stream, &self.settings, refusal, places))
    }

    /// How many connections are open, without those that are only being told that they are refused.
    pub(crate) fn connections(&self) -> usize {
        let max = self.settings.max_connections.get();
        max.min(Semaphore::MAX_PERMITS)
            .saturating_sub(self.connections.available_permits())
    }

    /// Takes a request; gives what a client behind a proxy holds while it lasts.
    fn request(&self, request: &ServiceRequest) -> Result<Option<AddressPlace>, Refused> {
        let standing = request.conn_data::<Standing>();
        match standing.and_then(|standing| standing.refusal) {
            // Who asks for the health of a full service must not take it for a dead one.
            Some(Refusal::Full) if matches!(request.path(), "/healthz" | "/readyz") => {}
            Some(refusal) => return Err(refusal.into()),
            None => {}
        }
        let Some(peer) = request.peer_addr().map(|peer| peer.ip()) else {
            return Ok(None);
        };
        let proxies = &self.settings.trusted_proxies;
        let Some(client) = proxies.client(peer, request.headers()) else {
            return Ok(None);
        };
        if let Some(rates) = &self.rates {
            rates.count(client)?;
        }
        if proxies.trust(peer) {
            return Ok(self.addresses.take(client)?);
        }
        Ok(None)
    }
}

/// An answer to who is not let in.
struct Refused {
    problem: Problem,
    retry_after: u64,
    /// Whether the connection is refused, and not only this request.
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

/// The middleware in front of all routes.
pub(crate) async fn admit<B: MessageBody + 'static>(
    admission: web::Data<Admission>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let under_way = request.conn_data::<Standing>().map(Standing::begin);
    let place = match admission.request(&request) {
        Ok(place) => place,
        Err(refused) => return Ok(request.into_response(refused.response())),
    };
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| {
        BoxBody::new(Held {
            body: body.boxed(),
            _under_way: under_way,
            _place: place,
        })
    }))
}

impl Refused {
    fn response(self) -> actix_web::HttpResponse {
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

/// The body of an answer, and what is held until it has been handed over. That of a WebSocket is
/// its whole life.
struct Held {
    body: BoxBody,
    _under_way: Option<UnderWay>,
    _place: Option<AddressPlace>,
}

impl MessageBody for Held {
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

/// How many connections each client has open.
struct Addresses {
    max: usize,
    /// As large as there are connections and requests under way.
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One of a client's connections, or a request of it that a proxy passed on.
pub(crate) struct AddressPlace {
    addresses: Arc<Addresses>,
    client: IpAddr,
}

impl Addresses {
    /// A place for one more, where they are counted.
    fn take(self: &Arc<Self>, address: IpAddr) -> Result<Option<AddressPlace>, Refusal> {
        if self.max == 0 {
            return Ok(None);
        }
        let client = client_key(address);
        let mut open = self.open();
        let count = open.entry(client).or_default();
        if *count >= self.max {
            limit_reached("http.max_connections_per_address");
            return Err(Refusal::AddressFull);
        }
        *count += 1;
        Ok(Some(AddressPlace {
            addresses: self.clone(),
            client,
        }))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut open = self.addresses.open();
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

/// How many requests each client may still send.
struct Rates {
    quota: Quota,
    limiters: Cache<IpAddr, Arc<DefaultDirectRateLimiter>>,
}

impl Rates {
    fn new(requests: NonZeroU32) -> Self {
        let each = RATE_PERIOD / requests.get();
        // A rate of more than 10⁸ in a second is none.
        let quota = Quota::with_period(each.max(Duration::from_nanos(1)))
            .unwrap_or(Quota::per_second(NonZeroU32::MAX));
        Self {
            quota: quota.allow_burst(requests),
            limiters: Cache::new(REMEMBERED),
        }
    }

    fn count(&self, address: IpAddr) -> Result<(), Refused> {
        let make = || Ok::<_, Infallible>(Arc::new(RateLimiter::direct(self.quota)));
        let Ok(limiter) = self.limiters.get_or_insert_with(&client_key(address), make);
        limiter.check().map_err(|not_until| {
            limit_reached("http.max_requests_per_address");
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            Refused {
                problem: Problem::new(
                    ProblemKind::TooManyRequests,
                    "this address sends more requests than allowed (http.max_requests_per_address)",
                ),
                retry_after: wait.as_secs() + 1,
                close: false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_forgotten_with_their_last_connection() {
        let addresses = Arc::new(Addresses {
            max: 2,
            open: Mutex::default(),
        });
        let take = |text: &str| addresses.take(text.parse().unwrap());
        let (first, second) = (take("192.0.2.1").unwrap(), take("192.0.2.1").unwrap());
        assert!(take("192.0.2.1").is_err());
        assert!(take("192.0.2.2").is_ok());
        drop(first);
        let again = take("192.0.2.1").unwrap();
        drop((second, again));
        assert!(addresses.open().is_empty());
    }

    #[test]
    fn a_flood_of_addresses_does_not_fill_the_memory() {
        let rates = Rates::new(NonZeroU32::MIN);
        let last = IpAddr::from([10, 255, 255, 255]);
        for number in 0..200_000_u32 {
            let _ = rates.count(IpAddr::from(number.to_be_bytes()));
        }
        assert!(rates.limiters.len() <= REMEMBERED);
        assert!(rates.count(last).is_ok());
        let refused = rates.count(last).err().unwrap();
        assert!((1..=11).contains(&refused.retry_after));
    }
}
