//! Who calls, and what they may do.
//!
//! A caller shows a JWT, an API key or, on a WebSocket, a ticket. What it may do is its [`Grant`]: which LTMs, and
//! whether to read, write or delete them.

mod api_keys;
mod caller;
mod claims;
mod credential;
mod error;
mod file;
mod grant;
mod jwks;
mod settings;
mod tickets;
mod verifier;

use std::sync::Arc;

use ltm_store::Redis;

pub use api_keys::{API_KEY_PREFIX, NewApiKey};
pub use caller::Caller;
pub use credential::{PROTOCOL, Presented};
pub use error::AuthError;
pub use grant::{Access, Grant};
pub use settings::{AuthMode, AuthSettings, JwtAlgorithm};
pub use tickets::Ticket;

use self::{api_keys::ApiKeys, verifier::Verifier};
use ltm_settings::SettingError;

/// Tells who calls. Clones share what was read of keys.
#[derive(Clone)]
pub struct Auth {
    /// Absent where everybody may do everything.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    api_keys: Option<ApiKeys>,
    verifier: Option<Verifier>,
}

impl Auth {
    /// What the settings ask for, at a service that listens there.
    ///
    /// # Errors
    ///
    /// [`SettingError`] where others could reach a service of which nobody has said who may use it, or where a
    /// file of keys cannot be read.
    pub fn new(settings: &AuthSettings, listen: &str) -> Result<Self, SettingError> {
        if !settings.is_required(listen)? {
            return Ok(Self { inner: None });
        }
        let inner = Inner {
            api_keys: ApiKeys::of(settings)?,
            verifier: Verifier::of(settings)?,
        };
        Ok(Self {
            inner: Some(Arc::new(inner)),
        })
    }

    /// Whether callers have to say who they are.
    pub fn is_required(&self) -> bool {
        self.inner.is_some()
    }

    /// Who shows this. Where nobody has to say who they are: anybody, whatever they show.
    ///
    /// # Errors
    ///
    /// [`AuthError`] says what is wrong with it, without repeating it.
    pub async fn caller(
        &self,
        shown: Result<Presented<'_>, AuthError>,
        redis: &Redis,
    ) -> Result<Caller, AuthError> {
        let Some(inner) = &self.inner else {
            return Ok(Caller::anybody());
        };
        match shown? {
            Presented::Nothing => Err(AuthError::Missing),
            Presented::Ticket(ticket) => tickets::take(redis, ticket).await,
            Presented::Bearer(token) if token.starts_with(API_KEY_PREFIX) => {
                match &inner.api_keys {
                    Some(keys) => keys.caller(token),
                    None => Err(AuthError::NoApiKeys),
                }
            }
            Presented::Bearer(token) => match &inner.verifier {
                Some(verifier) => verifier.caller(token).await,
                None => Err(AuthError::NoTokens),
            },
        }
    }
}
