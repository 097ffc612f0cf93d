//! Which Redis a command reads.

use std::path::PathBuf;

use ltm_service::{SettingsError, load_redis};
use ltm_store::RedisSettings;

/// Which Redis: as the services are told, or by an option.
#[derive(clap::Args, Debug)]
pub(crate) struct RedisArgs {
    /// Where Redis is [default: what LTM__REDIS__URL or the file says, or redis://127.0.0.1:6379/0]
    #[arg(long = "redis", value_name = "URL", id = "redis_url")]
    pub(crate) url: Option<String>,
    /// The services' TOML file, for its section `redis`; variables such as LTM__REDIS__SENTINELS win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl RedisArgs {
    /// The settings that result.
    ///
    /// # Errors
    ///
    /// What is wrong with one.
    pub(crate) fn settings(&self) -> Result<RedisSettings, SettingsError> {
        let settings = load_redis(self.config.as_deref())?;
        Ok(RedisSettings {
            url: self.url.clone().unwrap_or(settings.url),
            ..settings
        })
    }
}
