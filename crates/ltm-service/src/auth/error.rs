//! Why a caller is turned away.

use ltm_store::StoreError;
use ltm_types::{LtmId, Problem, ProblemKind};

use super::Access;
use crate::ProblemResponse;

/// Why a caller is turned away. What they showed is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// They did not say who they are.
    #[error("say who calls: `Authorization: Bearer <token>`, with a JWT or an API key")]
    Missing,
    /// The header is of no kind that is known here.
    #[error("`Authorization` must be `Bearer <token>`, with a JWT or an API key")]
    NotBearer,
    /// There are no API keys here.
    #[error("this service takes no API keys: auth.api_keys_file is not set")]
    NoApiKeys,
    /// There is nothing to prove JWTs with.
    #[error("this service takes no JWTs: neither auth.jwt_key_file nor auth.jwks_url is set")]
    NoTokens,
    /// No such API key.
    #[error("there is no such API key")]
    UnknownApiKey,
    /// The JWT is not valid.
    #[error("the token is not valid: {0}")]
    InvalidToken(String),
    /// The ticket is none, or was used, or is too old.
    #[error("the ticket was used or has expired: ask for another one with POST /api/v0/ws-ticket")]
    InvalidTicket,
    /// They may not do that at all.
    #[error("{name:?} may not {}", .access.as_str())]
    TooLittle {
        /// Who.
        name: String,
        /// What would be needed.
        access: Access,
    },
    /// They may not do that with this LTM.
    #[error("{name:?} may not {} LTM {id}", .access.as_str())]
    NotThisLtm {
        /// Who.
        name: String,
        /// What would be needed.
        access: Access,
        /// For what.
        id: LtmId,
    },
    /// They may not do that with LTMs of this class.
    #[error("{name:?} may not {} LTMs of the class {class:?}", .access.as_str())]
    NotThisClass {
        /// Who.
        name: String,
        /// What would be needed.
        access: Access,
        /// For what.
        class: String,
    },
    /// They could not read what they would make.
    #[error(
        "a copy gets an id of its own, and {name:?} may not write LTMs of the class {class:?}: it takes a grant for \
         the class"
    )]
    NotTheCopy {
        /// Who.
        name: String,
        /// The class of the LTM and of its copy.
        class: String,
    },
    /// The keys to prove a JWT with cannot be had now.
    #[error("the token cannot be proved now: {0}")]
    NoKeys(String),
    /// Redis failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthError {
    /// What RFC 6750 section 3.1 calls it; nothing where no token was shown.
    fn token_error(&self) -> Option<&'static str> {
        match self {
            Self::Missing | Self::NotBearer | Self::NoKeys(_) | Self::Store(_) => None,
            Self::NoApiKeys
            | Self::NoTokens
            | Self::UnknownApiKey
            | Self::InvalidToken(_)
            | Self::InvalidTicket => Some("invalid_token"),
            Self::TooLittle { .. }
            | Self::NotThisLtm { .. }
            | Self::NotThisClass { .. }
            | Self::NotTheCopy { .. } => Some("insufficient_scope"),
        }
    }
}

impl From<AuthError> for ProblemResponse {
    fn from(error: AuthError) -> Self {
        let (detail, token_error) = (error.to_string(), error.token_error());
        let kind = match error {
            AuthError::TooLittle { .. }
            | AuthError::NotThisLtm { .. }
            | AuthError::NotThisClass { .. }
            | AuthError::NotTheCopy { .. } => ProblemKind::Forbidden,
            AuthError::NoKeys(_) => ProblemKind::Unavailable,
            AuthError::Store(error) => return error.into(),
            _ => ProblemKind::Unauthenticated,
        };
        Problem::new(kind, detail)
            .with_field("Authorization")
            .with_token_error(token_error)
            .into()
    }
}
