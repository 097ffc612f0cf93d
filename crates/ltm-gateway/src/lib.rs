//! The gateway: the service that delivers the entries of LTMs to subscribers, over WebSocket and Server-Sent
//! Events.
//!
//! [`run()`] is the whole service; [`Gateway::new`] and [`configure`] mount it in another server.
//!
//! - `http`: the endpoints, from a request to a subscription;
//! - `subscriber`: one subscriber: what it asks for, sends and receives, and how its subscription ends;
//! - `dialect`: what the messages become in an answer of Server-Sent Events;
//! - `compression`: compressed messages, and how a client and the gateway agree on them;
//! - `fanout`: from Redis to the sockets of a thread, live and from the log;
//! - `list`: lists of LTMs.

#[doc(hidden)]
pub mod bench;
mod compression;
mod dialect;
mod fanout;
mod gateway;
mod gauges;
mod http;
mod list;
mod metrics;
mod run;
mod settings;
#[cfg(test)]
#[cfg(feature = "simulation")]
mod simulation;
mod subscriber;

pub use gateway::Gateway;
pub use http::configure;
pub use run::run;
pub use settings::{GatewaySettings, Settings};
pub use subscriber::follow_request::FollowRequest;
