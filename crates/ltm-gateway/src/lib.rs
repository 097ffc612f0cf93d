//! The service that pushes the snapshots of LTMs to WebSocket subscribers.
//!
//! [`run()`] is the whole service; [`Gateway::new`] and [`configure`] mount it in another server.

mod fanout;
mod gateway;
mod gauges;
mod http;
mod list;
mod metrics;
mod run;
mod settings;
mod subscriber;

pub use gateway::Gateway;
pub use http::configure;
pub use run::{RunError, run};
pub use settings::{GatewaySettings, Settings};
pub use subscriber::follow_request::FollowRequest;
