//! Settings: built-in defaults, then a TOML file, then the environment.

use std::path::Path;

use config::{Config, Environment, File, FileFormat};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

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

/// Reads the settings: `S::default()`, then the TOML file, then variables such as
/// `LTM__REDIS__URL`.
///
/// # Errors
///
/// [`SettingsError`]; an unknown key is an error that names it.
pub fn load<S: Default + Serialize + DeserializeOwned>(
    file: Option<&Path>,
) -> Result<S, SettingsError> {
    let mut sources = Config::builder().add_source(Config::try_from(&S::default())?);
    if let Some(file) = file {
        sources = sources.add_source(File::from(file).format(FileFormat::Toml));
    }
    let all = sources
        .add_source(Environment::with_prefix("LTM").separator("__"))
        .build()?;
    serde_path_to_error::deserialize(all).map_err(|e| SettingsError::Value {
        key: e.path().to_string(),
        detail: e.inner().to_string(),
    })
}
