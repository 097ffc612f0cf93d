//! The one entry: from a credential to its caller.

use std::sync::Arc;

use ltm_settings::SettingError;
use ltm_store::{Redis, Spawner};

use crate::{
    api_keys::{API_KEY_PREFIX, ApiKeys},
    caller::Caller,
    credential::Credential,
    error::AuthError,
    jwt::verifier::Verifier,
    settings::AuthSettings,
    ticket,
};

/// Authenticates callers. Clones share the keys.
#[derive(Clone)]
pub struct Auth {
    /// `None` if authentication is off: then every caller may do everything.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    api_keys: Option<ApiKeys>,
    verifier: Option<Verifier>,
}

impl Auth {
    /// Authentication as the settings ask for it, for a service that listens on `listen`. `spawner` runs the requests for
    /// keys.
    ///
    /// # Errors
    ///
    /// Other machines can reach the service and `auth.mode` is not set, or a file of keys cannot be read.
    pub fn new(
        settings: &AuthSettings,
        listen: &str,
        spawner: Spawner,
    ) -> Result<Self, SettingError> {
        if !settings.is_required(listen)? {
            return Ok(Self { inner: None });
        }
        let inner = Inner {
            api_keys: ApiKeys::of(settings)?,
            verifier: Verifier::of(settings, spawner)?,
        };
        Ok(Self {
            inner: Some(Arc::new(inner)),
        })
    }

    /// Whether callers must authenticate.
    pub fn is_required(&self) -> bool {
        self.inner.is_some()
    }

    /// The caller that presents `credential`. If authentication is off, that is [`Caller::anybody`], whatever the
    /// credential.
    ///
    /// # Errors
    ///
    /// What is wrong with the credential, without repeating it.
    pub async fn caller(
        &self,
        credential: Result<Credential<'_>, AuthError>,
        redis: &Redis,
    ) -> Result<Caller, AuthError> {
        let Some(inner) = &self.inner else {
            return Ok(Caller::anybody());
        };
        match credential? {
            Credential::None => Err(AuthError::Missing),
            Credential::Ticket(ticket) => ticket::redeem(redis, &ticket).await,
            Credential::Bearer(token) if token.starts_with(API_KEY_PREFIX) => {
                match &inner.api_keys {
                    Some(keys) => keys.caller(token),
                    None => Err(AuthError::NoApiKeys),
                }
            }
            Credential::Bearer(token) => match &inner.verifier {
                Some(verifier) => verifier.caller(token).await,
                None => Err(AuthError::NoTokens),
            },
        }
    }
}
