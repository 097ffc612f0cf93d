//! What is shown to say who calls.

use std::{error::Error as StdError, fmt, str::FromStr, sync::Arc};

use futures_util::future::BoxFuture;
use reqwest::header::HeaderValue;

use crate::Error;

/// A JWT or an API key. It is never printed.
#[derive(Clone)]
pub struct Token(HeaderValue);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has no spaces and no control characters")]
pub struct TokenError;

impl Token {
    /// The value of `Authorization`.
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

/// What a source of tokens says.
pub(crate) type Given = Result<Token, Box<dyn StdError + Send + Sync>>;

/// Where tokens come from.
#[derive(Clone)]
pub(crate) enum Tokens {
    /// Nobody asks who calls.
    None,
    /// There is one.
    One(Token),
    /// There may be another by the next time.
    Source(Arc<dyn Fn() -> BoxFuture<'static, Given> + Send + Sync>),
}

impl Tokens {
    /// The token as of now.
    pub(crate) async fn ask(&self) -> Result<Option<Token>, Error> {
        match self {
            Self::None => Ok(None),
            Self::One(token) => Ok(Some(token.clone())),
            Self::Source(source) => source().await.map(Some).map_err(Error::Token),
        }
    }

    /// Whether there may be a better one where one was refused.
    pub(crate) fn may_renew(&self) -> bool {
        matches!(self, Self::Source(_))
    }
}
