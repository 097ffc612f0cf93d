//! What tells a credential apart from others, so that it can be revoked.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest `jti`, `sub` or name that can be revoked, in bytes.
const MAX_BYTES: usize = 1024;

/// The credential that a caller presented.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialId {
    /// None: callers need no credential.
    #[default]
    None,
    /// A JWT.
    Jwt {
        /// The claim `sub`.
        sub: Option<String>,
        /// The claim `jti`.
        jti: Option<String>,
    },
    /// An API key.
    ApiKey {
        /// Its name.
        name: String,
        /// Its SHA-256 hash, in hexadecimal digits.
        sha256: String,
    },
}

/// What an administrator can revoke.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revocable {
    /// The API keys of this name.
    ApiKey(String),
    /// The JWT with this `jti`.
    Jti(String),
    /// All JWTs with this `sub`.
    Sub(String),
}

/// A text that cannot be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a text of 1 to {MAX_BYTES} bytes")]
pub struct NotRevocable;

impl CredentialId {
    /// The revocations that would concern this credential.
    pub(crate) fn revocables(&self) -> impl Iterator<Item = Revocable> {
        let all = match self.clone() {
            Self::None => [None, None],
            Self::Jwt { sub, jti } => [sub.map(Revocable::Sub), jti.map(Revocable::Jti)],
            Self::ApiKey { name, .. } => [Some(Revocable::ApiKey(name)), None],
        };
        all.into_iter().flatten()
    }
}

impl Revocable {
    /// Checks the length of the text.
    ///
    /// # Errors
    ///
    /// [`NotRevocable`].
    pub fn checked(self) -> Result<Self, NotRevocable> {
        if (1..=MAX_BYTES).contains(&self.text().len()) {
            return Ok(self);
        }
        Err(NotRevocable)
    }

    /// The text.
    pub fn text(&self) -> &str {
        match self {
            Self::Jti(text) | Self::Sub(text) | Self::ApiKey(text) => text,
        }
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (kind, text) = text.split_once(':')?;
        let make = match kind {
            "jti" => Self::Jti,
            "sub" => Self::Sub,
            "api_key" => Self::ApiKey,
            _ => return None,
        };
        Some(make(text.into()))
    }
}

impl fmt::Display for Revocable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Jti(_) => "jti",
            Self::Sub(_) => "sub",
            Self::ApiKey(_) => "api_key",
        };
        write!(f, "{kind}:{}", self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_is_read_as_it_was_written() {
        for revocable in [
            Revocable::Jti("a:b".into()),
            Revocable::Sub("jti:x".into()),
            Revocable::ApiKey("engine 1".into()),
        ] {
            assert_eq!(Revocable::read(&revocable.to_string()), Some(revocable));
        }
        assert_eq!(Revocable::read("version"), None);
        assert!(Revocable::Sub(String::new()).checked().is_err());
        assert!(Revocable::Sub("x".repeat(MAX_BYTES)).checked().is_ok());
        assert!(Revocable::Sub("x".repeat(MAX_BYTES + 1)).checked().is_err());
    }
}
