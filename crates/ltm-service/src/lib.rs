//! What every service is made of: its process, its HTTP server, and what it reports about itself.

pub mod auth;
mod http;
mod process;
mod telemetry;

pub use http::{
    cors::{CorsSettings, Origins},
    health::Readiness,
    list_query::ListQuery,
    problem::{ProblemResponse, method_not_allowed},
    query::Parameters,
    server::Server,
    settings::HttpSettings,
    trusted_proxies::TrustedProxies,
    upgrade::{Incoming, Socket, Upgrade},
};
pub use process::{
    log::{LogFormat, LogSettings},
    program::{Arguments, Program, run},
    settings::{
        OtherSection, SettingsError, check_http, check_pause, check_redis, check_wait, load_redis,
        read_settings, within,
    },
    shutdown::Shutdown,
    tasks::{self, Tasks},
    version::VERSION,
};
pub use telemetry::{
    limits_hit::limit_reached, metrics::Metrics, settings::TracingSettings, trace::Span,
};
