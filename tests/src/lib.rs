//! The harness of the end-to-end tests: the real binaries, a real Redis, subscribers, a network that can be cut,
//! recorded histories, and an implementation of RFC 6902 that is not the services' own.
//!
//! Every wait ends with an event, or fails after [`LIMIT`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

/// The programs that tests start.
mod servers {
    pub(crate) mod agent;
    pub(crate) mod binaries;
    pub(crate) mod cluster;
    pub(crate) mod forward_proxy;
    pub(crate) mod haproxy;
    pub(crate) mod ports;
    pub(crate) mod redis_server;
    pub(crate) mod replicated;
    pub(crate) mod sentinels;
    pub(crate) mod service;
    pub(crate) mod stack;
    pub(crate) mod users;
}

/// The other side of a service: engines, subscribers, and clients that speak byte by byte.
mod clients {
    pub(crate) mod api;
    pub(crate) mod events;
    pub(crate) mod raw_connection;
    pub(crate) mod scrape;
    pub(crate) mod subscriber;
    pub(crate) mod writer;
}

/// A network that fails, and a clock that jumps.
mod faults {
    pub(crate) mod clock;
    pub(crate) mod network;
}

/// Certificates and keys.
mod credentials {
    pub(crate) mod authority;
    pub(crate) mod signing_key;
}

mod crowd;
mod inflater;
mod recording;
mod rfc6902;
mod until;
mod watchdog;

pub use clients::{
    api::{Answer, Api},
    events::{Event, Events},
    raw_connection::{RawConnection, masked_frame},
    scrape::Scrape,
    subscriber::{Follower, Heard, Subscriber},
    writer::{Writer, items},
};
pub use credentials::{authority::Authority, signing_key::SigningKey};
pub use crowd::{Crowd, size};
pub use faults::{clock::Clock, network::Network};
pub use inflater::Inflater;
pub use recording::{Recording, data};
pub use rfc6902::{apply, fold, same};
pub use servers::{
    agent::{Agent, AgentRun},
    binaries::binary,
    cluster::Cluster,
    forward_proxy::ForwardProxy,
    haproxy::Haproxy,
    ports::free_port,
    redis_server::{RedisServer, signal},
    replicated::Replicated,
    sentinels::{FAILOVER_LIMIT, Sentinels},
    service::{Service, cpu_seconds, forget_peak, peak_bytes, resident_bytes},
    stack::Stack,
    users::{PASSWORD, add_shipped_users, shipped_users},
};
pub use until::{LIMIT, Look, attempt, until, until_blocking, until_within};
