//! Permits: counted uses of the limits on connections.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::trusted_proxies::client_key;
use crate::telemetry::limits_hit::LimitsHit;

/// The most connections beyond the limit that get an answer saying so. The server closes any further one at once.
pub(crate) const REFUSED_AT_ONCE: usize = 256;

/// Why the server refuses the requests of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// All connections are in use (`http.max_connections`).
    Full,
    /// The client uses all of its connections (`http.max_connections_per_address`).
    AddressFull,
}

/// The limit on open connections, of all clients together.
pub(crate) struct ConnectionLimit {
    max: usize,
    open: Arc<Semaphore>,
    refused: Arc<Semaphore>,
    limits: LimitsHit,
}

/// What a connection counts against until its socket is closed.
pub(crate) struct ConnectionPermit {
    _connection: OwnedSemaphorePermit,
    _address: Option<AddressPermit>,
}

impl ConnectionLimit {
    pub(super) fn new(max: NonZeroUsize, limits: LimitsHit) -> Self {
        let max = max.get().min(Semaphore::MAX_PERMITS);
        Self {
            max,
            open: Arc::new(Semaphore::new(max)),
            refused: Arc::new(Semaphore::new(REFUSED_AT_ONCE)),
            limits,
        }
    }

    /// A permit for one more connection, whose client has the permit `address`. If one of the two limits is reached,
    /// it is a permit only to be refused, with the reason.
    ///
    /// # Errors
    ///
    /// Too many connections are being refused already.
    pub(super) fn acquire(
        &self,
        address: Result<Option<AddressPermit>, Refusal>,
    ) -> io::Result<(ConnectionPermit, Option<Refusal>)> {
        let connection = self.open.clone().try_acquire_owned().map_err(|_| {
            self.limits.hit("http.max_connections");
            Refusal::Full
        });
        let (connection, address, refusal) = match (connection, address) {
            (Ok(connection), Ok(address)) => (connection, address, None),
            (Err(refusal), _) | (_, Err(refusal)) => {
                let connection = self.refused.clone().try_acquire_owned();
                let connection = connection.map_err(io::Error::other)?;
                (connection, None, Some(refusal))
            }
        };
        let permit = ConnectionPermit {
            _connection: connection,
            _address: address,
        };
        Ok((permit, refusal))
    }

    /// The number of open connections, without those that are being refused.
    pub(super) fn used(&self) -> usize {
        self.max.saturating_sub(self.open.available_permits())
    }
}

/// The limit on connections of each client; requests that a trusted proxy forwards count as connections.
pub(crate) struct AddressLimit {
    /// 0: no limit.
    max: usize,
    /// Has no more clients than there are connections and forwarded requests.
    used: Mutex<HashMap<IpAddr, usize>>,
    limits: LimitsHit,
}

/// One connection, or forwarded request, of a client.
pub(crate) struct AddressPermit {
    limit: Arc<AddressLimit>,
    client: IpAddr,
}

impl AddressLimit {
    pub(super) fn new(max: usize, limits: LimitsHit) -> Self {
        Self {
            max,
            used: Mutex::default(),
            limits,
        }
    }

    /// A permit for one more connection from `address`; `None` if there is no limit.
    pub(super) fn acquire(
        self: &Arc<Self>,
        address: IpAddr,
    ) -> Result<Option<AddressPermit>, Refusal> {
        if self.max == 0 {
            return Ok(None);
        }
        let client = client_key(address);
        let mut used = self.used();
        let count = used.entry(client).or_default();
        if *count >= self.max {
            self.limits.hit("http.max_connections_per_address");
            return Err(Refusal::AddressFull);
        }
        *count += 1;
        Ok(Some(AddressPermit {
            limit: self.clone(),
            client,
        }))
    }

    fn used(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut used = self.limit.used();
        if let Some(count) = used.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                used.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_forgotten_with_their_last_connection() {
        let limit = Arc::new(AddressLimit::new(2, LimitsHit::default()));
        let acquire = |text: &str| limit.acquire(text.parse().unwrap());
        let (first, second) = (acquire("192.0.2.1").unwrap(), acquire("192.0.2.1").unwrap());
        assert!(acquire("192.0.2.1").is_err());
        assert!(acquire("192.0.2.2").is_ok());
        drop(first);
        let again = acquire("192.0.2.1").unwrap();
        drop((second, again));
        assert!(limit.used().is_empty());
    }
}
