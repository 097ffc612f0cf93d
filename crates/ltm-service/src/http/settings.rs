//! The settings of the HTTP server that every service runs in.

use std::{num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::trusted_proxies::TrustedProxies;

/// The section `http` of the settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// The most connections at once.
    pub max_connections: NonZeroUsize,
    /// The most connections of one client address at once; 0: any number.
    pub max_connections_per_address: usize,
    /// The most requests of one client address in ten seconds; 0: any number.
    pub max_requests_per_address: u32,
    /// The proxies whose `X-Forwarded-For` is believed: addresses and networks.
    pub trusted_proxies: TrustedProxies,
    /// How long the head of a request may take to arrive.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub header_timeout: Duration,
    /// How long a connection is kept between two requests.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub keep_alive: Duration,
    /// What the system may hold for one client that reads slowly; Linux holds up to twice as much.
    pub send_buffer: ByteSize,
}

/// More than a gateway's seats, so that who finds none taken is told so by the gateway.
const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(12_000).expect("it is not 0");

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            max_connections: MAX_CONNECTIONS,
            max_connections_per_address: 0,
            max_requests_per_address: 0,
            trusted_proxies: TrustedProxies::default(),
            header_timeout: Duration::from_secs(10),
            // Longer than proxies and clients keep theirs, so that it is not the server that closes a
            // connection on which a request is just coming.
            keep_alive: Duration::from_secs(75),
            send_buffer: ByteSize::kib(128),
        }
    }
}
