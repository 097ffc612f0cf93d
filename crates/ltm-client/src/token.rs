//! Credentials.

use std::{error::Error as StdError, fmt, str::FromStr, sync::Arc};

use futures_util::future::BoxFuture;
use reqwest::header::HeaderValue;

use crate::Error;

/// A JWT or an API key. `Debug` does not print it.
#[derive(Clone)]
pub struct Token(HeaderValue);

/// The error for a text that cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token must not contain spaces or control characters")]
pub struct TokenError;

impl Token {
    /// The value of the header `Authorization`.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let value = HeaderValue::from_str(&format!("Bearer {}", text.trim()));
        let mut value = value.map_err(|_| TokenError)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// The result of a token source.
pub(crate) type TokenResult = Result<Token, Box<dyn StdError + Send + Sync>>;

/// The source of tokens.
#[derive(Clone)]
pub(crate) enum Tokens {
    /// The services do not require a token.
    None,
    /// One token for all requests.
    One(Token),
    /// A function that returns the token as of now.
    Source(Arc<dyn Fn() -> BoxFuture<'static, TokenResult> + Send + Sync>),
}

impl Tokens {
    /// The token as of now.
    pub(crate) async fn current(&self) -> Result<Option<Token>, Error> {
        match self {
            Self::None => Ok(None),
            Self::One(token) => Ok(Some(token.clone())),
            Self::Source(source) => source().await.map(Some).map_err(Error::Token),
        }
    }

    /// Whether another token may be available after one was rejected.
    pub(crate) fn may_renew(&self) -> bool {
        matches!(self, Self::Source(_))
    }
}
