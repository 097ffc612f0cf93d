//! The Redis that a command reads.

use std::{env, path::PathBuf};

use ltm_service::{SettingsError, load_redis};
use ltm_store::{Redis, RedisSettings, Rejection, StoreError};

use crate::{dev, error::Error, terminal::Output};

/// The Redis to read: as in the settings of the services, or as an option names it.
#[derive(clap::Args, Debug)]
pub(crate) struct RedisArgs {
    /// The URL of Redis [default: LTM__REDIS__URL, or the file of --config, or the Redis of an `ltm dev` that runs with
    /// its default --data-dir, or redis://127.0.0.1:6379/0]
    #[arg(long = "redis", value_name = "URL", id = "redis_url")]
    pub(crate) url: Option<String>,
    /// A TOML file of the services, for its section `redis`; environment variables such as
    /// LTM__REDIS__SENTINELS override it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl RedisArgs {
    /// Opens the Redis, and says which one it is if nothing names it.
    pub(crate) fn open(&self, output: Output) -> Result<Redis, Error> {
        let redis = Redis::open(&self.settings()?)?;
        self.note(&redis, output)?;
        Ok(redis)
    }

    /// Says which Redis the command uses, if nothing names it.
    pub(crate) fn note(&self, redis: &Redis, output: Output) -> Result<(), Error> {
        if self.url.is_none() && !self.is_named(&load_redis(self.config.as_deref())?) {
            output.note(&format!(
                "using {}; --redis names another one",
                redis.shown_database()
            ));
        }
        Ok(())
    }

    /// The resulting settings.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if a setting is wrong.
    pub(crate) fn settings(&self) -> Result<RedisSettings, SettingsError> {
        let settings = load_redis(self.config.as_deref())?;
        // An `ltm dev` that runs on this machine.
        let of_dev = || {
            (!self.is_named(&settings))
                .then(dev::running_redis)
                .flatten()
        };
        let url = self.url.clone().or_else(of_dev);
        Ok(RedisSettings {
            url: url.unwrap_or(settings.url),
            ..settings
        })
    }

    /// The error of a store, with the Redis that did not answer, or that rejected the login.
    pub(crate) fn named(&self, error: Error) -> Error {
        let advice = match &error {
            Error::Store(error) if error.is_not_redis() => {
                "another program answers there: name the address of Redis with --redis"
            }
            Error::Store(StoreError::Unavailable(_)) => {
                "start it, or name another one with --redis"
            }
            Error::Store(StoreError::Rejected(Rejection::Credentials(_))) => {
                "correct the user and the password in the URL"
            }
            _ => return error,
        };
        match (error, self.settings()) {
            (Error::Store(source), Ok(settings)) => Error::Redis {
                address: settings.shown_address(),
                source,
                advice,
            },
            (error, _) => error,
        }
    }

    /// Whether the settings name a Redis.
    fn is_named(&self, settings: &RedisSettings) -> bool {
        self.config.is_some()
            || env::var_os("LTM__REDIS__URL").is_some()
            || !settings.sentinels.is_empty()
            || !settings.cluster_nodes.is_empty()
    }
}
