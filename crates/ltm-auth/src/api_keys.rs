//! API keys: long random texts for producers. The service knows only their hashes.

use std::{fmt::Write, path::Path, sync::Arc};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest::SHA256_OUTPUT_LEN};
use ltm_settings::SettingError;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    caller::Caller,
    credential_id::CredentialId,
    error::AuthError,
    grant::{Grant, GrantError},
    jwt::key_file::KeyFile,
    secret::{RandomError, hash, random_text},
    settings::AuthSettings,
};

/// The prefix of every API key. It tells people and scanners what a text is that they find somewhere.
pub const API_KEY_PREFIX: &str = "ltm_";

/// The keys of a file.
pub(crate) struct ApiKeys(KeyFile<Vec<ApiKey>>);

/// A key of the file.
pub(crate) struct ApiKey {
    hash: [u8; SHA256_OUTPUT_LEN],
    caller: Caller,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    #[serde(default)]
    key: Vec<KeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    name: String,
    sha256: String,
    ltm: Value,
    can: Value,
}

/// Why a file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
enum KeysFileError {
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    #[error("key {name:?}: `sha256`: {source}; make keys with `ltm key`")]
    Hash {
        name: String,
        source: hex::FromHexError,
    },
    #[error("key {name:?}: {source}")]
    Grant { name: String, source: GrantError },
}

/// Why an API key cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// The grant is wrong.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The operating system supplies no random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl ApiKeys {
    /// The keys that the settings name; `None` if they name no file.
    pub(crate) fn of(settings: &AuthSettings) -> Result<Option<Self>, SettingError> {
        let path: &Path = &settings.api_keys_file;
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        KeyFile::open("auth.api_keys_file", path, parse).map(|file| Some(Self(file)))
    }

    /// The caller that has this key.
    pub(crate) fn caller(&self, key: &str) -> Result<Caller, AuthError> {
        let hash = hash(key);
        // All keys are compared, each in constant time, so that the time tells nothing about them.
        let mut found = None;
        for known in self.0.get().iter() {
            if verify_slices_are_equal(&known.hash, &hash).is_ok() {
                found = Some(known.caller.clone());
            }
        }
        found.ok_or(AuthError::UnknownApiKey)
    }

    /// Whether the file still has the key of this caller, with the same name and grant.
    pub(crate) fn hold(&self, caller: &Caller) -> bool {
        self.0.get().iter().any(|known| known.caller == *caller)
    }

    /// The keys as they were last read: the same allocation until the file is read again.
    pub(crate) fn current(&self) -> Arc<Vec<ApiKey>> {
        self.0.get()
    }
}

fn parse(text: &str) -> Result<Vec<ApiKey>, KeysFileError> {
    let file: KeysFile = toml::from_str(text)?;
    file.key.into_iter().map(ApiKey::of).collect()
}

impl ApiKey {
    fn of(entry: KeyEntry) -> Result<Self, KeysFileError> {
        let KeyEntry {
            name,
            sha256,
            ltm,
            can,
        } = entry;
        let mut hash = [0; SHA256_OUTPUT_LEN];
        if let Err(source) = hex::decode_to_slice(&sha256, &mut hash) {
            return Err(KeysFileError::Hash { name, source });
        }
        match Grant::read(&ltm, &can) {
            Ok(grant) => Ok(Self {
                hash,
                caller: Caller {
                    credential: CredentialId::ApiKey {
                        name: name.clone(),
                        sha256: hex::encode(hash),
                    },
                    name,
                    grant,
                    expires: None,
                },
            }),
            Err(source) => Err(KeysFileError::Grant { name, source }),
        }
    }
}

/// A key that was just made.
pub struct NewApiKey {
    /// The key, for the producer only.
    pub key: String,
    /// The entry for the file of keys.
    pub entry: String,
}

impl NewApiKey {
    /// Makes a key of this name for these LTMs (see [`Grant::read`]).
    ///
    /// # Errors
    ///
    /// The grant is wrong.
    pub fn make(name: &str, ltm: &[String], can: &str) -> Result<Self, ApiKeyError> {
        let json = |text: &str| Value::String(text.into());
        let list = Value::Array(ltm.iter().map(|item| json(item)).collect());
        Grant::read(&list, &json(can))?;
        let key = format!("{API_KEY_PREFIX}{}", random_text()?);
        let hash = hex::encode(hash(&key));
        let mut entry = String::from("[[key]]\n");
        // Writing to a text does not fail.
        let _ = writeln!(
            entry,
            "name = {}\nsha256 = \"{hash}\"\nltm = {list}\ncan = {}",
            json(name),
            json(can)
        );
        Ok(Self { key, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Access;

    #[test]
    fn a_key_that_was_made_is_known_by_its_entry() {
        let made =
            NewApiKey::make("engine \"1\"", &["app.*".into(), "42".into()], "write").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let other = NewApiKey::make("other", &["*".into()], "read").unwrap();
        std::fs::write(&path, format!("{}\n{}", made.entry, other.entry)).unwrap();
        let settings = AuthSettings {
            api_keys_file: path,
            ..AuthSettings::default()
        };
        let keys = ApiKeys::of(&settings).unwrap().unwrap();
        let caller = keys.caller(&made.key).unwrap();
        assert_eq!(caller.name, "engine \"1\"");
        assert!(caller.grant.covers_class("app.Agent") && !caller.grant.is_for_all());
        assert!(caller.grant.includes(Access::Write) && !caller.grant.includes(Access::Admin));
        assert!(matches!(
            keys.caller("ltm_guess"),
            Err(AuthError::UnknownApiKey)
        ));
        assert!(!made.entry.contains(&made.key));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named() {
        for (text, named) in [
            (
                "[[key]]\nname = \"a\"\nsha256 = \"xy\"\nltm = \"*\"\ncan = \"read\"",
                "sha256",
            ),
            (
                "[[key]]\nname = \"a\"\nltm = \"*\"\ncan = \"read\"",
                "sha256",
            ),
            ("[[keys]]\n", "keys"),
        ] {
            let error = parse(text).err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
        }
        let hash = "00".repeat(32);
        let error = parse(&format!(
            "[[key]]\nname = \"me\"\nsha256 = \"{hash}\"\nltm = []\ncan = \"read\""
        ))
        .err()
        .unwrap()
        .to_string();
        assert!(
            error.contains("\"me\"") && error.contains("`ltm`"),
            "{error}"
        );
        assert!(NewApiKey::make("a", &["*".into()], "fly").is_err());
    }
}
