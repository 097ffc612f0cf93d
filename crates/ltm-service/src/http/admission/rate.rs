//! The limit on requests of each client in ten seconds.

use std::{convert::Infallible, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use quick_cache::sync::Cache;

use super::trusted_proxies::client_key;
use crate::telemetry::limits_hit::LimitsHit;

/// The time over which the requests of a client are counted.
const PERIOD: Duration = Duration::from_secs(10);
/// The most clients that are remembered. A client that is forgotten starts with a full quota.
const REMEMBERED: usize = 16 * 1024;

/// The number of requests that each client may still send.
pub(super) struct RateLimit {
    quota: Quota,
    clients: Cache<IpAddr, Arc<DefaultDirectRateLimiter>>,
    limits: LimitsHit,
}

/// A client has to wait this long before its next request.
pub(super) struct TooFast {
    pub(super) wait: Duration,
}

impl RateLimit {
    pub(super) fn new(requests: NonZeroU32, limits: LimitsHit) -> Self {
        // The interval is never 0: the period has more nanoseconds than a `u32` can count.
        let quota = Quota::with_period(PERIOD / requests.get())
            .unwrap_or(Quota::per_second(NonZeroU32::MAX));
        Self {
            quota: quota.allow_burst(requests),
            clients: Cache::new(REMEMBERED),
            limits,
        }
    }

    /// Counts a request from `address`.
    pub(super) fn count(&self, address: IpAddr) -> Result<(), TooFast> {
        let make = || Ok::<_, Infallible>(Arc::new(RateLimiter::direct(self.quota)));
        let Ok(limiter) = self.clients.get_or_insert_with(&client_key(address), make);
        limiter.check().map_err(|not_until| {
            self.limits.hit("http.max_requests_per_address");
            TooFast {
                wait: not_until.wait_time_from(DefaultClock::default().now()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_addresses_does_not_fill_the_memory() {
        let rates = RateLimit::new(NonZeroU32::MIN, LimitsHit::default());
        let last = IpAddr::from([10, 255, 255, 255]);
        for number in 0..200_000_u32 {
            let _ = rates.count(IpAddr::from(number.to_be_bytes()));
        }
        assert!(rates.clients.len() <= REMEMBERED);
        assert!(rates.count(last).is_ok());
        let refused = rates.count(last).err().unwrap();
        assert!(refused.wait <= PERIOD);
    }
}
