//! What every service is made of: its process, its HTTP server, and what it reports about itself.

mod byte_cache;
mod http;
mod process;
mod telemetry;

pub use byte_cache::{ByteCache, Bytes, byte_cache};
pub use http::{
    admission::{count_call, trusted_proxies::TrustedProxies},
    browser::{
        cors::{CorsSettings, Origins},
        hosts::HostNames,
    },
    compression::shared::{Keep, SharedContent},
    connection::{
        client_ended,
        upgrade::{Incoming, Socket, Upgrade},
    },
    credential::{credential, handshake_credential},
    head::is_head,
    health::Readiness,
    list_query::ListQuery,
    ltm_path::{ltm_in_path, path_segment},
    problem::{ProblemResponse, method_not_allowed},
    query::Parameters,
    server::Server,
    settings::HttpSettings,
};
pub use process::{
    log::{LogFormat, LogSettings},
    program::{Arguments, Common, Program, load_redis, read_settings, run, run_with},
    run_error::{Failure, RunError},
    settings::{OtherSection, SettingsError},
    shutdown::Shutdown,
    start_line::log_start,
    tasks::{self, Tasks},
    version::VERSION,
};
pub use telemetry::{
    limits_hit::LimitsHit, metrics::Metrics, settings::TracingSettings, trace::Span,
};
