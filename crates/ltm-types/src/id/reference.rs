//! The two ways to name an LTM.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use super::{LtmId, key::LtmKey};

/// An LTM, named by its id, or by its class and key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum LtmRef {
    /// By its id.
    Id(LtmId),
    /// By its class and key.
    Key(LtmKey),
}

/// The text names neither an id, nor a class and a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no LTM: give an id such as 42, or a class, a slash and a key such as app.Agent/3f2c"
)]
pub struct LtmRefError(String);

impl LtmRef {
    /// What stands for it in a path: `42`, or `by-key/app.Agent/3f2c`.
    pub fn to_path(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Key(key) => format!("by-key/{}", key.to_segments()),
        }
    }
}

impl From<LtmId> for LtmRef {
    fn from(id: LtmId) -> Self {
        Self::Id(id)
    }
}

impl From<LtmKey> for LtmRef {
    fn from(key: LtmKey) -> Self {
        Self::Key(key)
    }
}

impl From<&LtmRef> for LtmRef {
    fn from(ltm: &LtmRef) -> Self {
        ltm.clone()
    }
}

/// `42` or `app.Agent/3f2c`.
impl fmt::Display for LtmRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Key(key) => key.fmt(f),
        }
    }
}

/// Reads `42` or `app.Agent/3f2c`. Only the first slash separates: a key may contain more.
impl FromStr for LtmRef {
    type Err = LtmRefError;

    fn from_str(text: &str) -> Result<Self, LtmRefError> {
        let refused = || LtmRefError(text.chars().take(80).collect());
        match text.split_once('/') {
            None => text.parse().map(Self::Id).map_err(|_| refused()),
            Some((fqn, key)) => LtmKey::new(fqn, key).map(Self::Key).map_err(|_| refused()),
        }
    }
}

/// Reads a number, its text, or an object with `fqn` and `key`.
impl<'de> Deserialize<'de> for LtmRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            key @ Value::Object(_) => LtmKey::deserialize(key).map(Self::Key),
            id => LtmId::deserialize(id).map(Self::Id),
        }
        .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ltm_is_named_by_its_id_or_by_class_and_key() {
        for (text, json, path) in [
            ("42", "42", "42"),
            (
                "18446744073709551615",
                "18446744073709551615",
                "18446744073709551615",
            ),
            (
                "app.Agent/3f2c",
                r#"{"fqn":"app.Agent","key":"3f2c"}"#,
                "by-key/app.Agent/3f2c",
            ),
            (
                "app.Agent/a/../b c",
                r#"{"fqn":"app.Agent","key":"a/../b c"}"#,
                "by-key/app.Agent/a%2F..%2Fb%20c",
            ),
        ] {
            let ltm: LtmRef = text.parse().unwrap();
            assert_eq!(ltm.to_string(), text);
            assert_eq!(ltm.to_path(), path);
            assert_eq!(serde_json::to_string(&ltm).unwrap(), json);
            assert_eq!(serde_json::from_str::<LtmRef>(json).unwrap(), ltm);
        }
        let by_text: LtmRef = serde_json::from_str(r#""42""#).unwrap();
        assert_eq!(by_text.to_string(), "42");
        for text in ["", "0", "x", "/k", "app.Agent/", "a/.."] {
            assert!(text.parse::<LtmRef>().is_err(), "{text}");
        }
        for json in [
            "0",
            "1.5",
            "-1",
            "true",
            "null",
            "[]",
            r#""x""#,
            "{}",
            r#"{"fqn":"a"}"#,
            r#"{"fqn":"a","key":""}"#,
            r#"{"fqn":"a","key":1}"#,
        ] {
            assert!(serde_json::from_str::<LtmRef>(json).is_err(), "{json}");
        }
    }
}
