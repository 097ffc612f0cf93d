//! Reads settings: built-in defaults, then a TOML file, then the environment.

use std::{collections::HashMap, path::Path};

use config::{Config, ConfigBuilder, Environment, File, FileFormat, builder::DefaultState};
use ltm_settings::SettingError;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] config::ConfigError),
    /// A value is wrong, or a setting is unknown.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// A section of another service: one file may hold the settings of all services.
#[derive(Clone, Copy, Debug, Default)]
pub struct OtherSection;

impl<'de> Deserialize<'de> for OtherSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Reads settings: `T::default()`, then the TOML file, then variables such as `LTM__REDIS__URL`.
///
/// # Errors
///
/// A source cannot be read, a value has the wrong form, or a setting is unknown.
pub(super) fn load<T: Default + Serialize + DeserializeOwned>(
    file: Option<&Path>,
) -> Result<T, SettingsError> {
    let mut sources = defaults::<T>()?;
    if let Some(file) = file {
        sources = sources.add_source(File::from(file).format(FileFormat::Toml));
    }
    read(sources.add_source(variables()))
}

/// As [`load`], from the text of a file and the given variables.
///
/// # Errors
///
/// As [`load`].
pub(super) fn parse<T: Default + Serialize + DeserializeOwned>(
    file: &str,
    given: HashMap<String, String>,
) -> Result<T, SettingsError> {
    let file = File::from_str(file, FileFormat::Toml);
    let sources = defaults::<T>()?.add_source(file);
    read(sources.add_source(variables().source(Some(given))))
}

fn defaults<T: Default + Serialize>() -> Result<ConfigBuilder<DefaultState>, SettingsError> {
    Ok(Config::builder().add_source(Config::try_from(&T::default())?))
}

fn variables() -> Environment {
    Environment::with_prefix("LTM").separator("__")
}

fn read<T: DeserializeOwned>(sources: ConfigBuilder<DefaultState>) -> Result<T, SettingsError> {
    let all = sources.build()?;
    let read = serde_path_to_error::deserialize(all);
    read.map_err(|e| SettingError::new(e.path().to_string(), e.inner().to_string()).into())
}
