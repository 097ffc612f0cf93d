//! The Redis that a command reads.

use std::{env, path::PathBuf};

use ltm_service::{SettingsError, load_redis};
use ltm_store::{RedisSettings, StoreError};

use crate::{dev, error::Error};

/// The Redis to read: as in the settings of the services, or as an option names it.
#[derive(clap::Args, Debug)]
pub(crate) struct RedisArgs {
    /// The URL of Redis [default: LTM__REDIS__URL, or the file of --config, or the Redis of a running `ltm dev`, or
    /// redis://127.0.0.1:6379/0]
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
        let named = self.url.clone().or_else(|| self.of_dev(&settings));
        Ok(RedisSettings {
            url: named.unwrap_or(settings.url),
            ..settings
        })
    }

    /// The error of a store, with the Redis that did not answer.
    pub(crate) fn named(&self, error: Error) -> Error {
        match (error, self.settings()) {
            (Error::Store(source @ StoreError::Unavailable(_)), Ok(settings)) => Error::Redis {
                address: settings.shown_address(),
                source,
            },
            (error, _) => error,
        }
    }

    /// The Redis of an `ltm dev` that runs on this machine, if nothing names another one.
    fn of_dev(&self, settings: &RedisSettings) -> Option<String> {
        let is_named = self.config.is_some()
            || env::var_os("LTM__REDIS__URL").is_some()
            || !settings.sentinels.is_empty()
            || !settings.cluster_nodes.is_empty();
        if is_named { None } else { dev::running_redis() }
    }
}
