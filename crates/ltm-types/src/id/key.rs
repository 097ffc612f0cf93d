//! Keys: the engine's own names for LTMs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 255;

/// The longest class that can have keys, in bytes.
pub const MAX_FQN: usize = 1024;

/// The class of an LTM and its key: a text that the engine chooses, unique within the class.
///
/// A path can name every `LtmKey`: each of the two is one segment, percent-encoded. So neither is `.` or `..`, which
/// clients resolve before they send a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct LtmKey {
    fqn: String,
    key: String,
}

/// A class and a key as a client gave them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    fqn: String,
    key: String,
}

/// Why two texts are not a class and a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LtmKeyError {
    /// The class is empty or too long.
    #[error("`fqn` must name the LTM's class in 1 to {MAX_FQN} bytes")]
    Class,
    /// The key is empty or too long.
    #[error("`key` has {0} bytes; a key has 1 to {MAX_KEY}")]
    Length(usize),
    /// A character has no visible form.
    #[error("`{0}` contains a control character; a class with keys, and a key, may not")]
    Control(&'static str),
    /// Clients take it for a step in a path.
    #[error("`{0}` is \".\" or \"..\"; a class with keys, and a key, may be neither")]
    Dots(&'static str),
    /// The segment of a path is not percent-encoded UTF-8.
    #[error("`{0}` in the path is not percent-encoded UTF-8: write `%` as `%25` and `/` as `%2F`")]
    Encoding(&'static str),
}

impl LtmKeyError {
    /// The field that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Class => "fqn",
            Self::Length(_) => "key",
            Self::Control(field) | Self::Dots(field) | Self::Encoding(field) => field,
        }
    }
}

impl LtmKey {
    /// The key `key` of the class `fqn`.
    ///
    /// # Errors
    ///
    /// What is wrong with one of them.
    pub fn new(fqn: impl Into<String>, key: impl Into<String>) -> Result<Self, LtmKeyError> {
        let (fqn, key) = (fqn.into(), key.into());
        if !(1..=MAX_FQN).contains(&fqn.len()) {
            return Err(LtmKeyError::Class);
        }
        if !(1..=MAX_KEY).contains(&key.len()) {
            return Err(LtmKeyError::Length(key.len()));
        }
        for (field, text) in [("fqn", &fqn), ("key", &key)] {
            if text.chars().any(char::is_control) {
                return Err(LtmKeyError::Control(field));
            }
            if text == "." || text == ".." {
                return Err(LtmKeyError::Dots(field));
            }
        }
        Ok(Self { fqn, key })
    }

    /// The key that two segments of a path name. They are percent-encoded, and are decoded once.
    ///
    /// # Errors
    ///
    /// What is wrong with one of them.
    pub fn from_segments(fqn: &str, key: &str) -> Result<Self, LtmKeyError> {
        let decode = |field, text| percent_decode(text).ok_or(LtmKeyError::Encoding(field));
        Self::new(decode("fqn", fqn)?, decode("key", key)?)
    }

    /// The two segments of a path that name it: `app.Agent/3f2c`.
    pub fn to_segments(&self) -> String {
        format!(
            "{}/{}",
            percent_encode(&self.fqn),
            percent_encode(&self.key)
        )
    }

    /// The class.
    pub fn fqn(&self) -> &str {
        &self.fqn
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl TryFrom<Unchecked> for LtmKey {
    type Error = LtmKeyError;

    fn try_from(given: Unchecked) -> Result<Self, LtmKeyError> {
        Self::new(given.fqn, given.key)
    }
}

/// The class, a slash and the key, as they are.
impl fmt::Display for LtmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.fqn, self.key)
    }
}

/// Encodes all bytes but the unreserved characters of RFC 3986.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Decodes a text once; `None` if a `%` is not followed by two digits, or the result is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(digits[0])? * 16 + digit(digits[1])?;
        decoded.push(u8::try_from(value).ok()?);
        rest = after;
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segments(key: &LtmKey) -> (String, String) {
        let text = key.to_segments();
        let (fqn, key) = text.split_once('/').unwrap();
        (fqn.into(), key.into())
    }

    proptest! {
        #[test]
        fn every_key_has_a_path_of_two_segments_that_leads_back_to_it(fqn in ".{1,20}", key in ".{1,20}") {
            if let Ok(known) = LtmKey::new(fqn, key) {
                let (fqn, key) = segments(&known);
                prop_assert!(!key.contains('/'));
                prop_assert_eq!(LtmKey::from_segments(&fqn, &key).unwrap(), known);
            }
        }

        #[test]
        fn any_two_segments_are_read_or_refused(fqn in "[%a-f0-9./]{0,8}", key in "[%a-f0-9./]{0,8}") {
            let _ = LtmKey::from_segments(&fqn, &key);
        }
    }

    #[test]
    fn a_segment_is_decoded_once_and_strictly() {
        let key = |text| LtmKey::from_segments("app.Agent", text).map(|it| it.key().to_owned());
        for (text, expected) in [
            ("a%2Fb", "a/b"),
            ("a%252Fb", "a%2Fb"),
            ("a+b%20c", "a+b c"),
            ("%c3%A9", "é"),
            ("...", "..."),
            ("%2e%2e%2f", "../"),
        ] {
            assert_eq!(key(text).as_deref(), Ok(expected), "{text}");
        }
        let encoding = LtmKeyError::Encoding("key");
        for text in [
            "%",
            "%2",
            "%zz",
            "%+1",
            "%ff",
            "%c3",
            "%ed%a0%80",
            "a%u0041",
        ] {
            assert_eq!(key(text), Err(encoding.clone()), "{text}");
        }
        assert_eq!(key("%00"), Err(LtmKeyError::Control("key")));
        assert_eq!(key("a%0d%0ab"), Err(LtmKeyError::Control("key")));
        assert_eq!(key("%2e."), Err(LtmKeyError::Dots("key")));
        assert_eq!(key(""), Err(LtmKeyError::Length(0)));
    }

    #[test]
    fn a_key_has_1_to_255_bytes_and_a_class_1_to_1024() {
        assert!(LtmKey::new("a", "é".repeat(127) + "x").is_ok());
        assert_eq!(
            LtmKey::new("a", "é".repeat(128)),
            Err(LtmKeyError::Length(256))
        );
        assert!(LtmKey::new("a".repeat(1024), "k").is_ok());
        for fqn in ["", &"a".repeat(1025)] {
            assert_eq!(LtmKey::new(fqn, "k"), Err(LtmKeyError::Class));
        }
    }
}
