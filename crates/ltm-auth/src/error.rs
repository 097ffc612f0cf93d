//! Why a caller is rejected.

use std::error::Error;

use ltm_store::StoreError;
use ltm_types::LtmId;

use crate::{
    grant::{Access, GrantError},
    secret::RandomError,
};

/// The largest content of a ticket, in bytes. A grant for a thousand ids fits.
pub(crate) const MAX_TICKET_BYTES: usize = 32 * 1024;

/// Why a caller is rejected. No message repeats the credential.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The request has no credential.
    #[error("missing credentials: send `Authorization: Bearer <token>` with a JWT or an API key")]
    Missing,
    /// The header `Authorization` has another form.
    #[error("`Authorization` must be `Bearer <token>`, with a JWT or an API key")]
    NotBearer,
    /// The service has no API keys.
    #[error("this service accepts no API keys: auth.api_keys_file is not set")]
    NoApiKeys,
    /// The service has no keys to verify JWTs with.
    #[error("this service accepts no JWTs: neither auth.jwt_key_file nor auth.jwks_url is set")]
    NoTokens,
    /// No API key has this text.
    #[error("unknown API key")]
    UnknownApiKey,
    /// The JWT is not valid.
    #[error("invalid token: {0}")]
    InvalidToken(#[source] TokenError),
    /// An administrator revoked the credential.
    #[error("the credential was revoked: get a new one")]
    Revoked,
    /// The file of API keys no longer has the key with which a socket was opened, or it has another grant.
    #[error("the API key was removed or has another grant: connect again")]
    KeyChanged,
    /// The ticket was never issued, was used, or has expired.
    #[error("the ticket was used or has expired: get a new one with POST /api/v0/ws-ticket")]
    InvalidTicket,
    /// The caller may not do this with any LTM.
    #[error("{name:?} may not {}", .access.as_str())]
    TooLittle {
        /// The name of the caller.
        name: String,
        /// The access that the call needs.
        access: Access,
    },
    /// The caller may not do this with this LTM.
    #[error("{name:?} may not {} LTM {id}", .access.as_str())]
    NotThisLtm {
        /// The name of the caller.
        name: String,
        /// The access that the call needs.
        access: Access,
        /// The LTM.
        id: LtmId,
    },
    /// The caller may not do this with LTMs of this class.
    #[error("{name:?} may not {} LTMs of class {class:?}", .access.as_str())]
    NotThisClass {
        /// The name of the caller.
        name: String,
        /// The access that the call needs.
        access: Access,
        /// The class.
        class: String,
    },
    /// The caller may write the LTM, but could not write its copy.
    #[error(
        "a copy gets an id of its own, and {name:?} may not write LTMs of class {class:?}; use a grant for the class"
    )]
    NotTheCopy {
        /// The name of the caller.
        name: String,
        /// The class of the LTM and of its copy.
        class: String,
    },
    /// The caller may not revoke credentials.
    #[error(
        "{name:?} may not revoke credentials; that needs a grant for all LTMs (`*`) with `admin`"
    )]
    NotForAll {
        /// The name of the caller.
        name: String,
    },
    /// The grant is too large for a ticket.
    #[error(
        "the grant of this token needs {bytes} bytes, and a ticket holds {MAX_TICKET_BYTES}; name fewer LTMs and classes, or send the token as a subprotocol"
    )]
    TicketTooLarge {
        /// The size of the ticket.
        bytes: usize,
    },
    /// The service has no keys yet to verify the JWT with.
    #[error("the token cannot be verified now: {0}")]
    NoKeys(&'static str),
    /// The operating system supplies no random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A ticket cannot be made.
    #[error("a ticket cannot be issued: {0}")]
    Ticket(#[source] Box<dyn Error + Send + Sync>),
    /// Redis failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a JWT is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not a JWT, or its signature has an algorithm that is not supported.
    #[error("not a JWT that is signed with RS256, ES256, EdDSA or HS256")]
    Malformed,
    /// The header requires extensions (RFC 7515 section 4.1.11).
    #[error("its header requires extensions (`crit`), and none is supported")]
    Extensions,
    /// No key has the `kid` and `alg` of the header.
    #[error("no key of this service has its `kid` and `alg`")]
    UnknownKey,
    /// The keys that have its `kid` and `alg` did not sign it.
    #[error("its signature does not match any key of this service")]
    Signature,
    /// `aud` is another one.
    #[error("`aud` does not contain auth.audience")]
    Audience,
    /// `iss` is another one.
    #[error("`iss` is not auth.issuer")]
    Issuer,
    /// A claim that the settings require is missing.
    #[error("`aud` or `iss` is missing")]
    MissingClaim,
    /// A claim is not a time.
    #[error("`{0}` must be a number of seconds")]
    NotATime(&'static str),
    /// `exp` is over.
    #[error("it has expired")]
    Expired,
    /// The ticket is good, but not its token.
    #[error("it has expired since the ticket was issued")]
    ExpiredSinceTicket,
    /// `exp` is further ahead than `auth.max_lifetime`.
    #[error("its `exp` is further ahead than this service allows (auth.max_lifetime)")]
    LivesTooLong,
    /// `nbf` is still to come.
    #[error("it is not valid yet (`nbf`)")]
    NotYetValid,
    /// `ltm` or `can` is wrong.
    #[error(transparent)]
    Grant(#[from] GrantError),
}

/// What a rejection means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The credential is missing or not valid: get a new one.
    Unauthenticated,
    /// The credential does not allow this: do not try again with it.
    Forbidden,
    /// The credential cannot be verified now: try again later.
    Unavailable,
}

impl AuthError {
    /// What the rejection means for the caller.
    pub fn rejection(&self) -> Rejection {
        match self {
            Self::TooLittle { .. }
            | Self::NotThisLtm { .. }
            | Self::NotThisClass { .. }
            | Self::NotTheCopy { .. }
            | Self::NotForAll { .. }
            | Self::TicketTooLarge { .. } => Rejection::Forbidden,
            Self::NoKeys(_) | Self::Random(_) | Self::Ticket(_) | Self::Store(_) => {
                Rejection::Unavailable
            }
            Self::Missing
            | Self::NotBearer
            | Self::NoApiKeys
            | Self::NoTokens
            | Self::UnknownApiKey
            | Self::InvalidToken(_)
            | Self::Revoked
            | Self::KeyChanged
            | Self::InvalidTicket => Rejection::Unauthenticated,
        }
    }

    /// Whether the same credential may be accepted later: the keys or Redis are unavailable now.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NoKeys(_) => true,
            Self::Store(error) => error.is_temporary(),
            _ => false,
        }
    }

    /// The error code of RFC 6750 section 3.1; `None` if no token was presented or the fault is not the token's.
    pub fn token_error(&self) -> Option<&'static str> {
        match self {
            Self::Missing
            | Self::NotBearer
            | Self::NoKeys(_)
            | Self::Random(_)
            | Self::Ticket(_)
            | Self::TicketTooLarge { .. }
            | Self::Store(_) => None,
            Self::NoApiKeys
            | Self::NoTokens
            | Self::UnknownApiKey
            | Self::InvalidToken(_)
            | Self::Revoked
            | Self::KeyChanged
            | Self::InvalidTicket => Some("invalid_token"),
            Self::TooLittle { .. }
            | Self::NotThisLtm { .. }
            | Self::NotThisClass { .. }
            | Self::NotTheCopy { .. }
            | Self::NotForAll { .. } => Some("insufficient_scope"),
        }
    }
}
