//! What a service reports about itself: metrics, traces, requests, limits that were hit.

pub(crate) mod access_log;
pub(crate) mod http_metrics;
pub(crate) mod limits_hit;
pub(crate) mod log_throttle;
pub(crate) mod metrics;
pub(crate) mod otlp;
pub(crate) mod process_metrics;
pub(crate) mod settings;
pub(crate) mod trace;
