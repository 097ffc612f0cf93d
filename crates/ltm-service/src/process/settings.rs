//! Settings: built-in defaults, then a TOML file, then the environment.

use std::{collections::HashMap, fmt::Debug, ops::RangeInclusive, path::Path, time::Duration};

use config::{Config, ConfigBuilder, Environment, File, FileFormat, builder::DefaultState};
use ltm_store::RedisSettings;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::program::Program;
use crate::http::settings::HttpSettings;

/// The longest time that a setting may say: sums of such times can be told by every clock.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);
/// The shortest pause between two times that something is done.
const SHORTEST: Duration = Duration::from_millis(1);

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A source cannot be read.
    #[error("{0}")]
    Source(#[from] config::ConfigError),
    /// A value is wrong, or a key is unknown.
    #[error("setting `{key}` (environment: LTM__{}): {detail}", .key.replace('.', "__").to_uppercase())]
    Value {
        /// The key: `api.max_body`.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// A section that belongs to another service: a file may hold the settings of all.
#[derive(Clone, Copy, Debug, Default)]
pub struct OtherSection;

impl<'de> Deserialize<'de> for OtherSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelling {
    Text(String),
    List(Vec<String>),
}

/// Reads a list, or text with commas, which is what a variable can hold.
pub(crate) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = match Spelling::deserialize(deserializer)? {
        Spelling::Text(text) => text.split(',').map(str::to_owned).collect(),
        Spelling::List(list) => list,
    };
    let items = list.iter().map(|item| item.trim().to_owned());
    Ok(items.filter(|item| !item.is_empty()).collect())
}

/// Reads the settings: `P::default()`, then the TOML file, then variables such as
/// `LTM__REDIS__URL`.
///
/// # Errors
///
/// [`SettingsError`]; an unknown key is an error that names it.
pub(crate) fn load<P: Program>(file: Option<&Path>) -> Result<P, SettingsError> {
    let mut sources = defaults::<P>()?;
    if let Some(file) = file {
        sources = sources.add_source(File::from(file).format(FileFormat::Toml));
    }
    finish(sources.add_source(variables()))
}

/// The same from the text of a file and from variables that are given.
///
/// # Errors
///
/// As where they are loaded.
pub fn read_settings<P: Program>(
    file: &str,
    given: HashMap<String, String>,
) -> Result<P, SettingsError> {
    let file = File::from_str(file, FileFormat::Toml);
    let sources = defaults::<P>()?.add_source(file);
    finish(sources.add_source(variables().source(Some(given))))
}

/// Reads the section `redis` alone, from the same sources, for tools that need no other.
///
/// # Errors
///
/// As where all are loaded.
pub fn load_redis(file: Option<&Path>) -> Result<RedisSettings, SettingsError> {
    #[derive(Default, Serialize, Deserialize)]
    struct Section {
        redis: RedisSettings,
    }
    let mut sources = Config::builder().add_source(Config::try_from(&Section::default())?);
    if let Some(file) = file {
        sources = sources.add_source(File::from(file).format(FileFormat::Toml));
    }
    let section: Section = read(sources.add_source(variables()))?;
    check_redis(&section.redis)?;
    Ok(section.redis)
}

fn defaults<P: Program>() -> Result<ConfigBuilder<DefaultState>, SettingsError> {
    Ok(Config::builder().add_source(Config::try_from(&P::default())?))
}

fn variables() -> Environment {
    Environment::with_prefix("LTM").separator("__")
}

fn finish<P: Program>(sources: ConfigBuilder<DefaultState>) -> Result<P, SettingsError> {
    let settings: P = read(sources)?;
    settings.check()?;
    Ok(settings)
}

fn read<T: DeserializeOwned>(sources: ConfigBuilder<DefaultState>) -> Result<T, SettingsError> {
    let all = sources.build()?;
    serde_path_to_error::deserialize(all).map_err(|e| SettingsError::Value {
        key: e.path().to_string(),
        detail: e.inner().to_string(),
    })
}

/// Refuses a value that is out of bounds.
///
/// # Errors
///
/// [`SettingsError::Value`] names the key.
pub fn within<T: PartialOrd + Debug>(
    key: &str,
    value: T,
    bounds: RangeInclusive<T>,
) -> Result<(), SettingsError> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(SettingsError::Value {
        key: key.into(),
        detail: format!(
            "{value:?} is out of bounds; it can be {:?} to {:?}",
            bounds.start(),
            bounds.end()
        ),
    })
}

/// Refuses a wait that no clock can tell.
///
/// # Errors
///
/// As [`within`].
pub fn check_wait(key: &str, value: Duration) -> Result<(), SettingsError> {
    within(key, value, Duration::ZERO..=LONGEST)
}

/// Refuses a pause between two times that something is done that is none, or that no clock can tell.
///
/// # Errors
///
/// As [`within`].
pub fn check_pause(key: &str, value: Duration) -> Result<(), SettingsError> {
    within(key, value, SHORTEST..=LONGEST)
}

/// Refuses what is out of bounds in the section `http`.
///
/// # Errors
///
/// As [`within`].
pub fn check_http(http: &HttpSettings) -> Result<(), SettingsError> {
    check_wait("http.header_timeout", http.header_timeout)?;
    check_wait("http.keep_alive", http.keep_alive)
}

/// Refuses what is out of bounds in the section `redis`.
///
/// # Errors
///
/// As [`within`].
pub fn check_redis(redis: &RedisSettings) -> Result<(), SettingsError> {
    check_wait("redis.response_timeout", redis.response_timeout)?;
    check_wait("redis.connect_timeout", redis.connect_timeout)?;
    check_wait("redis.wait_timeout", redis.wait_timeout)
}
