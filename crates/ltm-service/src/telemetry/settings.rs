//! Where traces go.

use std::time::Duration;

use actix_web::http::Uri;
use serde::{Deserialize, Serialize};

use crate::process::settings::{SettingsError, check_wait, within};

/// The section `tracing` of the settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracingSettings {
    /// The collector that spans are sent to, by OTLP over HTTP: `http://collector:4318`. Empty: nowhere.
    pub endpoint: String,
    /// Of the calls that come without a `traceparent`, which part is traced: 0 to 1. The others are as
    /// their callers decided.
    pub sample: f64,
    /// The most spans that wait for the collector.
    pub queue: usize,
    /// How long the collector may take, and how long is waited for it when the service stops.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
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
    /// Refuses values that cannot be used.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Value`] names the key.
    pub fn check(&self) -> Result<(), SettingsError> {
        within("tracing.sample", self.sample, 0.0..=1.0)?;
        within("tracing.queue", self.queue, 1..=1_000_000)?;
        check_wait("tracing.timeout", self.timeout)?;
        if self.endpoint.is_empty() || self.names_a_collector() {
            return Ok(());
        }
        Err(SettingsError::Value {
            key: "tracing.endpoint".into(),
            detail: "it is a URL such as `http://collector:4318`, without a user or a query".into(),
        })
    }

    /// Where spans are sent to.
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
