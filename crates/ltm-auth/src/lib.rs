//! Authentication and authorization: who the caller is, and what it may do.
//!
//! A caller presents a [`Credential`]: a JWT, an API key or, for a WebSocket, a ticket. What it may do is its [`Grant`]:
//! which LTMs it may read, write or delete. Nothing here knows HTTP.

mod api_keys;
mod auth;
mod caller;
mod credential;
mod credential_id;
mod error;
mod grant;
mod jwt;
mod revocations;
mod secret;
mod settings;
mod ticket;

pub use api_keys::{API_KEY_PREFIX, ApiKeyError, NewApiKey};
pub use auth::{Auth, Revocation};
pub use caller::Caller;
pub use credential::{Credential, PROTOCOL};
pub use credential_id::{CredentialId, NotRevocable, Revocable};
pub use error::{AuthError, Rejection, TokenError};
pub use grant::{Access, Grant, GrantError};
pub use secret::RandomError;
pub use settings::{AuthMode, AuthSettings, JwtAlgorithm};
pub use ticket::Ticket;
