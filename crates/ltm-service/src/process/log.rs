//! The log of the process, on standard error.

use std::io::{self, IsTerminal};

use ltm_settings::SettingError;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::telemetry::access_log;

/// The log of a service, on standard error.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// The form of a line.
    ///
    /// Set it to `json` if a machine collects the log.
    pub format: LogFormat,
    /// The least severe level that is logged: `error`, `warn`, `info`, `debug` or `trace`, or a filter by module such
    /// as `info,ltm_gateway=debug`.
    ///
    /// Set it to `debug` to investigate a problem.
    pub level: String,
    /// Whether to log a line for each request: method, path, status, bytes, time, client, caller, request id. It has
    /// neither queries nor headers, so no token or ticket. `level` does not apply to these lines.
    ///
    /// Set it to `true` if no proxy before the service has an access log.
    pub access: bool,
}

/// The form of the lines of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    Pretty,
    /// One JSON object per line, for machines.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Pretty,
            // The cluster connection of the library logs each attempt; our own lines are those that an operator can act on.
            level: "info,actix_server=warn,redis=error".into(),
            access: false,
        }
    }
}

impl LogSettings {
    /// Starts the log. A second call in one process changes nothing.
    ///
    /// # Errors
    ///
    /// `log.level` is not a filter.
    pub(crate) fn install(&self) -> Result<(), SettingError> {
        let filter: Targets = self
            .level
            .parse()
            .map_err(|e| SettingError::new("log.level", format!("{:?}: {e}", self.level)))?;
        let filter = filter.with_target(
            access_log::TARGET,
            match self.access {
                true => LevelFilter::INFO,
                false => LevelFilter::OFF,
            },
        );
        let lines = fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            // Otherwise a line that cannot be written would be reported on standard error as well, and end the task.
            .log_internal_errors(false)
            .with_writer(io::stderr);
        let log = tracing_subscriber::registry().with(filter);
        // An error means that the process has a log already.
        let _ = match self.format {
            LogFormat::Pretty => log.with(lines.with_target(false)).try_init(),
            LogFormat::Json => {
                let lines = lines.json().flatten_event(true).with_span_list(false);
                log.with(lines).try_init()
            }
        };
        Ok(())
    }
}
