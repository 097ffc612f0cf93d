//! The process around a service: settings, log, signals, the HTTP server, health, and the one
//! place that maps errors to HTTP answers.

mod admission;
pub mod auth;
mod build;
mod connection;
mod export;
mod health;
mod http;
mod limit;
mod line_pace;
mod list_query;
mod log;
mod metrics;
mod origins;
mod parameters;
mod problem;
mod process;
mod program;
mod proxies;
mod server;
mod settings;
mod shutdown;
mod socket;
pub mod tasks;
mod trace;
mod tracing_settings;
mod traffic;
mod unread;

pub use build::VERSION;
pub use health::Readiness;
pub use http::HttpSettings;
pub use limit::limit_reached;
pub use list_query::ListQuery;
pub use log::{LogFormat, LogSettings};
pub use metrics::Metrics;
pub use origins::{CorsSettings, Origins};
pub use parameters::Parameters;
pub use problem::{ProblemResponse, method_not_allowed};
pub use program::{Arguments, Program, run};
pub use proxies::TrustedProxies;
pub use server::Server;
pub use settings::{
    OtherSection, SettingsError, check_http, check_pause, check_redis, check_wait, load_redis,
    read_settings, within,
};
pub use shutdown::Shutdown;
pub use socket::{Incoming, Socket, Upgrade};
pub use tasks::Tasks;
pub use trace::Span;
pub use tracing_settings::TracingSettings;
