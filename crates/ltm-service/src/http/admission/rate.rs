//! The limits on requests of each client in ten seconds.

use std::{
    convert::Infallible, hash::Hash, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration,
};

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
pub(super) struct RateLimit<Client> {
    quota: Quota,
    clients: Cache<Client, Arc<DefaultDirectRateLimiter>>,
    /// The name of the setting.
    setting: &'static str,
    limits: LimitsHit,
}

/// Who makes a call: the caller with this digest of its name, or anybody at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CallerKey {
    Name([u8; 16]),
    Address(IpAddr),
}

impl CallerKey {
    pub(super) fn at(address: IpAddr) -> Self {
        Self::Address(client_key(address))
    }
}

/// A client has to wait this long before its next request.
pub(super) struct TooFast {
    pub(super) wait: Duration,
}

impl<Client: Clone + Eq + Hash> RateLimit<Client> {
    /// `setting` limits each client to this many requests.
    pub(super) fn new(setting: &'static str, requests: NonZeroU32, limits: LimitsHit) -> Self {
        // The interval is never 0: the period has more nanoseconds than a `u32` can count.
        let quota = Quota::with_period(PERIOD / requests.get())
            .unwrap_or(Quota::per_second(NonZeroU32::MAX));
        Self {
            quota: quota.allow_burst(requests),
            clients: Cache::new(REMEMBERED),
            setting,
            limits,
        }
    }

    /// Counts a request of a client.
    pub(super) fn count(&self, client: &Client) -> Result<(), TooFast> {
        let make = || Ok::<_, Infallible>(Arc::new(RateLimiter::direct(self.quota)));
        let Ok(limiter) = self.clients.get_or_insert_with(client, make);
        limiter.check().map_err(|not_until| {
            self.limits.hit(self.setting);
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
        let rates = RateLimit::new("a setting", NonZeroU32::MIN, LimitsHit::default());
        let last = CallerKey::at(IpAddr::from([10, 255, 255, 255]));
        for number in 0..200_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            let _ = rates.count(&CallerKey::at(address));
        }
        assert!(rates.clients.len() <= REMEMBERED);
        assert!(rates.count(&last).is_ok());
        let refused = rates.count(&last).err().unwrap();
        assert!(refused.wait <= PERIOD);
    }
}
