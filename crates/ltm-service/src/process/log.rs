//! The log of the process, on standard error.

use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// The section `log` of the settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: `info`, or a filter such as `info,ltm_gateway=debug`.
    pub level: String,
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object per line, for machines.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Pretty,
            // The cluster's connection tells each try; ours tells what an operator can act on.
            level: "info,actix_server=warn,redis=error".into(),
        }
    }
}

impl LogSettings {
    /// Begins to log. A second call in one process changes nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the filter.
    pub(crate) fn install(&self) -> Result<(), String> {
        let filter = EnvFilter::try_new(&self.level)
            .map_err(|e| format!("setting `log.level` {:?}: {e}", self.level))?;
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(io::stderr().is_terminal())
            // That a line cannot be written would be said there, too, and end the task that wrote it.
            .log_internal_errors(false)
            .with_writer(io::stderr);
        // An error means that the process logs already.
        let _ = match self.format {
            LogFormat::Pretty => log.with_target(false).try_init(),
            LogFormat::Json => log
                .json()
                .flatten_event(true)
                .with_span_list(false)
                .try_init(),
        };
        Ok(())
    }
}
