//! The section `tracing` of the settings.

use std::time::Duration;

use actix_web::http::Uri;
use ltm_settings::{SettingError, check_wait, duration, within};
use serde::{Deserialize, Serialize};

/// Where a service sends its traces.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracingSettings {
    /// The OpenTelemetry collector that receives spans by OTLP over HTTP, such as `http://collector:4318`. The path
    /// `/v1/traces` is added. Empty: no tracing.
    ///
    /// Set it to trace calls from the producer to the delivery.
    pub endpoint: String,
    /// The fraction of requests that start a trace, from 0 to 1: `0.01` is one in a hundred. It applies only to
    /// requests without a `traceparent`; all others are traced if their callers trace them.
    ///
    /// Lower it if traces cost too much.
    pub sample: f64,
    /// The most spans that wait for the collector. Further ones are dropped and counted in the log.
    ///
    /// Raise it if the log reports dropped spans although the collector keeps up.
    pub queue: usize,
    /// The longest time that one export may take, and that a service waits for its last spans when it stops.
    ///
    /// Raise it if the collector is slow.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

impl Default for TracingSettings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            sample: 1.0,
            queue: 4096,
            timeout: Duration::from_secs(5),
        }
    }
}

impl TracingSettings {
    /// Rejects values that cannot be used.
    ///
    /// # Errors
    ///
    /// Names the setting.
    pub fn check(&self) -> Result<(), SettingError> {
        within("tracing.sample", self.sample, 0.0..=1.0)?;
        within("tracing.queue", self.queue, 1..=1_000_000)?;
        check_wait("tracing.timeout", self.timeout)?;
        if self.endpoint.is_empty() || self.names_a_collector() {
            return Ok(());
        }
        Err(SettingError::new(
            "tracing.endpoint",
            "use a URL such as http://collector:4318, without a user or a query",
        ))
    }

    /// The URL that receives spans.
    pub(crate) fn traces_url(&self) -> String {
        format!("{}/v1/traces", self.endpoint.trim_end_matches('/'))
    }

    fn names_a_collector(&self) -> bool {
        self.endpoint.parse::<Uri>().is_ok_and(|uri| {
            let scheme = uri.scheme_str();
            let host = uri.authority().is_some_and(|it| !it.as_str().contains('@'));
            matches!(scheme, Some("http" | "https")) && host && uri.query().is_none()
        })
    }
}
