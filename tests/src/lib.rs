//! What the end-to-end tests share: the real binaries, a real Redis, subscribers, a network that can
//! be cut, recorded histories, and an implementation of RFC 6902 that is not the services' own.
//!
//! Everything waits for events, at most [`LIMIT`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod api;
mod authority;
mod binaries;
mod clock;
mod cluster;
mod crowd;
mod events;
mod forward_proxy;
mod haproxy;
mod network;
mod ports;
mod raw_connection;
mod recording;
mod redis_server;
mod rfc6902;
mod scrape;
mod sentinels;
mod service;
mod signing_key;
mod subscriber;
mod until;
mod users;
mod writer;

use std::time::Duration;

pub use api::{Answer, Api};
pub use authority::Authority;
pub use binaries::binary;
pub use clock::Clock;
pub use cluster::Cluster;
pub use crowd::{Crowd, size};
pub use events::{Event, Events};
pub use forward_proxy::ForwardProxy;
pub use haproxy::Haproxy;
pub use network::Network;
pub use ports::free_port;
pub use raw_connection::RawConnection;
pub use recording::{Recording, data};
pub use redis_server::{RedisServer, signal};
pub use rfc6902::{apply, fold, same};
pub use scrape::Scrape;
pub use sentinels::{FAILOVER_LIMIT, Sentinels};
pub use service::{Service, peak_bytes, resident_bytes};
pub use signing_key::SigningKey;
pub use subscriber::{Follower, Heard, Subscriber};
pub use until::{Look, attempt, until, until_blocking, until_within};
pub use users::{PASSWORD, add_shipped_users, shipped_users};
pub use writer::{Writer, items};

/// The longest wait for something that should happen.
pub const LIMIT: Duration = Duration::from_secs(60);

/// One Redis with an API and a gateway on it.
pub struct Stack {
    /// Dropped last: the services end first.
    pub api: Api,
    /// The gateway.
    pub gateway: Service,
    /// The API's process.
    pub api_service: Service,
    /// Redis.
    pub redis: RedisServer,
}

impl Stack {
    /// Starts all three.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts all three with these settings of the services.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start(&[]);
        let api_service = Service::api(&redis.url(), settings);
        let gateway = Service::gateway(&redis.url(), settings);
        let api = Api::at(&api_service);
        Self {
            api,
            gateway,
            api_service,
            redis,
        }
    }
}
