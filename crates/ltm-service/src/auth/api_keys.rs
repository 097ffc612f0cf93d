//! API keys: long random words for producers, of which the service knows only the hashes.

use std::{fmt::Write, path::Path};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::{AuthError, AuthSettings, Caller, Grant, file::WatchedFile, tickets::random};
use ltm_settings::SettingError;

/// What every API key begins with, so that it is known for one wherever it turns up.
pub const API_KEY_PREFIX: &str = "ltm_";
/// The random bytes of a key. Nobody can guess so many, so that a plain hash keeps them secret; what makes hashes slow
/// is for words that people choose.
const BYTES: usize = 32;

/// The keys that are known.
pub(super) struct ApiKeys(WatchedFile<Vec<Known>>);

struct Known {
    hash: [u8; SHA256_OUTPUT_LEN],
    caller: Caller,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    #[serde(default)]
    key: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    sha256: String,
    ltm: Value,
    can: Value,
}

impl ApiKeys {
    /// The keys of the settings, where they name a file.
    pub(super) fn of(settings: &AuthSettings) -> Result<Option<Self>, SettingError> {
        let path: &Path = &settings.api_keys_file;
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        WatchedFile::open("auth.api_keys_file", path, read).map(|file| Some(Self(file)))
    }

    /// Whose key this is.
    pub(super) fn caller(&self, key: &str) -> Result<Caller, AuthError> {
        let hash = digest(&SHA256, key.as_bytes());
        // All are compared, each in the same time whatever it holds.
        let mut found = None;
        for known in self.0.get().iter() {
            if verify_slices_are_equal(&known.hash, hash.as_ref()).is_ok() {
                found = Some(known.caller.clone());
            }
        }
        found.ok_or(AuthError::UnknownApiKey)
    }
}

fn read(text: &str) -> Result<Vec<Known>, String> {
    let file: KeysFile = toml::from_str(text).map_err(|e| e.to_string())?;
    let known = |line: Line| {
        let named = |detail: String| format!("key {:?}: {detail}", line.name);
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hex::decode_to_slice(&line.sha256, &mut hash)
            .map_err(|e| named(format!("`sha256`: {e}; make keys with `ltm key`")))?;
        let grant = Grant::read(&line.ltm, &line.can).map_err(named)?;
        Ok(Known {
            hash,
            caller: Caller {
                name: line.name,
                grant,
                expires: None,
            },
        })
    };
    file.key.into_iter().map(known).collect()
}

/// A key that was just made.
pub struct NewApiKey {
    /// The key: for the producer, and for nobody else.
    pub key: String,
    /// What goes into the file of keys.
    pub entry: String,
}

impl NewApiKey {
    /// Makes a key of this name for these LTMs (see [`Grant::read`]).
    ///
    /// # Errors
    ///
    /// What is wrong with the grant.
    pub fn make(name: &str, ltm: &[String], can: &str) -> Result<Self, String> {
        let json = |text: &str| Value::String(text.into());
        let list = Value::Array(ltm.iter().map(|item| json(item)).collect());
        Grant::read(&list, &json(can))?;
        let random = random::<BYTES>().map_err(|e| e.to_string())?;
        let key = format!("{API_KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let hash = hex::encode(digest(&SHA256, key.as_bytes()));
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
    use crate::auth::Access;

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
            let error = read(text).err().unwrap();
            assert!(error.contains(named), "{error}");
        }
        let hash = "00".repeat(32);
        let error = read(&format!(
            "[[key]]\nname = \"me\"\nsha256 = \"{hash}\"\nltm = []\ncan = \"read\""
        ))
        .err()
        .unwrap();
        assert!(
            error.contains("\"me\"") && error.contains("`ltm`"),
            "{error}"
        );
        assert!(NewApiKey::make("a", &["*".into()], "fly").is_err());
    }
}
