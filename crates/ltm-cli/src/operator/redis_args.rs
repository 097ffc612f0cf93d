//! The Redis that a command reads.

use std::path::PathBuf;

use ltm_service::{SettingsError, load_redis};
use ltm_store::RedisSettings;

/// The Redis to read: as in the settings of the services, or as an option names it.
#[derive(clap::Args, Debug)]
pub(crate) struct RedisArgs {
    /// The URL of Redis [default: LTM__REDIS__URL, or the file of --config, or redis://127.0.0.1:6379/0]
    #[arg(long = "redis", value_name = "URL", id = "redis_url")]
    pub(crate) url: Option<String>,
    /// A TOML file of the services, for its section `redis`; environment variables such as
    /// LTM__REDIS__SENTINELS override it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl RedisArgs {
    /// The resulting settings.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if a setting is wrong.
    pub(crate) fn settings(&self) -> Result<RedisSettings, SettingsError> {
        let settings = load_redis(self.config.as_deref())?;
        Ok(RedisSettings {
            url: self.url.clone().unwrap_or(settings.url),
            ..settings
        })
    }
}
