//! The section `http` of the settings.

use std::{num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;
use ltm_settings::{SettingError, check_wait, duration, within};
use serde::{Deserialize, Serialize};

use super::{admission::trusted_proxies::TrustedProxies, browser::hosts::HostNames};

/// The HTTP server of a service. All limits are per process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// The most connections that are open at once, WebSockets among them. The first request of a further connection
    /// gets 503 `over-limit`.
    ///
    /// Raise it with `gateway.max_subscribers`, and keep it above that, so that the gateway itself answers a subscriber
    /// that it rejects. Every connection needs a file descriptor.
    pub max_connections: NonZeroUsize,
    /// The most connections of one client that are open at once: of an IPv4 address or an IPv6 /64 network. Further
    /// ones get 429 `too-many-requests`. 0: no limit.
    ///
    /// Set it if clients can reach the service from the internet. Behind a proxy, set `http.trusted_proxies` first.
    pub max_connections_per_address: usize,
    /// The most requests of one client in ten seconds, WebSocket handshakes among them. Further ones get 429
    /// `too-many-requests`. 0: no limit.
    ///
    /// Set it if clients can reach the service from the internet. Behind a proxy, set `http.trusted_proxies` first.
    pub max_requests_per_address: u32,
    /// The most requests of one caller in ten seconds, WebSocket handshakes among them. Further ones get 429
    /// `too-many-requests`. A caller is an API key or the `sub` of JWTs; without a valid credential, it is an address. Calls
    /// from this machine without a credential do not count. 0: no limit.
    ///
    /// Raise it if an engine writes more. Lower it if one caller should leave more to others.
    pub max_requests_per_caller: u32,
    /// The names by which clients may address the service, such as `ltm.example.com`. An IP address and `localhost` are
    /// always allowed. A request for another host gets 421 `unknown-host`. `*`: every name. Empty: every name if
    /// `auth.mode` is `required`, otherwise none.
    ///
    /// Set it if callers need no credential and address the service by a name. Without this check, a web page could send
    /// requests as a page of the service, through a name of its own (DNS rebinding).
    pub hosts: HostNames,
    /// The proxies whose headers `X-Forwarded-For` and `X-Forwarded-Host` name the client, and the host that it
    /// addresses: addresses and networks such as `10.0.0.0/8`.
    ///
    /// Set it to the addresses of your proxies before you set a limit per address. Each of them must replace the headers
    /// that it gets from a client, or remove them.
    pub trusted_proxies: TrustedProxies,
    /// The longest time that the head of a request may take to arrive. After that the client gets 408, and the server
    /// closes the connection.
    ///
    /// Lower it if clients that send nothing hold many connections.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// The longest time that a connection stays open between two requests.
    ///
    /// Keep it longer than the same setting of your proxies and clients, so that the server never closes a connection
    /// on which a request is about to arrive.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// The least bytes of an answer that a client must accept in `http.progress_time` while more of the answer waits. The
    /// server closes the connection of a slower client, WebSockets and Server-Sent Events among them. 0: no limit.
    ///
    /// Raise it if clients that read slowly hold too many connections. Lower it if subscribers have very slow networks. The
    /// system accepts bytes for a client only when a third of `http.send_buffer` is free, so keep it below that.
    pub min_progress: ByteSize,
    /// The time in which a client must accept `http.min_progress`.
    ///
    /// Raise it, together with `http.min_progress`, if the networks of clients fail for longer.
    #[serde(with = "duration")]
    pub progress_time: Duration,
    /// The most bytes of responses that the system buffers for one client. Linux uses up to twice as much. Further
    /// bytes wait in the service.
    ///
    /// Raise it for single fast downloads over a long distance. Lower it if many subscribers are slow and the memory
    /// counts against a container's limit.
    pub send_buffer: ByteSize,
    /// Whether answers to `GET` are compressed for clients that accept `zstd` or `gzip`. Event streams are not.
    ///
    /// Set it to `false` if a proxy in front of the service compresses, or if processor time costs more than bandwidth.
    pub compression: bool,
    /// The smallest answer that is compressed. It can be at most 1 MiB.
    ///
    /// Raise it if many answers are small and processor time matters more than bandwidth.
    pub compression_min: ByteSize,
    /// The most answers that are compressed at once. Further ones are sent as they are. Each takes 200 KiB of memory with
    /// `gzip`, 450 KiB with `zstd`, until the client has read it.
    ///
    /// Raise it if more clients read large answers at the same time. Lower it if memory is short.
    pub max_compressions: usize,
}

/// More than `gateway.max_subscribers`, so that the gateway itself answers a subscriber that it rejects.
const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(12_000).expect("it is not 0");

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            max_connections: MAX_CONNECTIONS,
            max_connections_per_address: 0,
            max_requests_per_address: 0,
            max_requests_per_caller: 20_000,
            hosts: HostNames::default(),
            trusted_proxies: TrustedProxies::default(),
            header_timeout: Duration::from_secs(10),
            // Longer than proxies and clients keep theirs: otherwise the server could close a connection on which a
            // request is about to arrive.
            keep_alive: Duration::from_secs(75),
            min_progress: ByteSize::kib(64),
            progress_time: Duration::from_secs(120),
            send_buffer: ByteSize::kib(128),
            compression: true,
            compression_min: ByteSize::kib(1),
            max_compressions: 128,
        }
    }
}

impl HttpSettings {
    /// Rejects values that are out of bounds.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingError> {
        let min = self.compression_min;
        within(
            "http.compression_min",
            min,
            ByteSize::b(0)..=ByteSize::mib(1),
        )?;
        check_wait("http.header_timeout", self.header_timeout)?;
        check_wait("http.progress_time", self.progress_time)?;
        check_wait("http.keep_alive", self.keep_alive)
    }
}
