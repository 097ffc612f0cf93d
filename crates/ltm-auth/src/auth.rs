//! The one entry: from a credential to its caller.

use std::{sync::Arc, time::Duration};

use ltm_settings::SettingError;
use ltm_store::{NewRevocation, Redis, Spawner};
use tokio::time::sleep;

use crate::{
    api_keys::{API_KEY_PREFIX, ApiKeys},
    caller::{Caller, now},
    credential::Credential,
    credential_id::{CredentialId, Revocable},
    error::AuthError,
    jwt::verifier::Verifier,
    revocations::Revocations,
    secret::random_text,
    settings::AuthSettings,
    ticket,
};

/// The pause between two looks at the revocations and the API keys.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Authenticates callers. Clones share the keys.
#[derive(Clone)]
pub struct Auth {
    /// `None` if authentication is off: then every caller may do everything.
    inner: Option<Arc<Inner>>,
    max_revocations: usize,
}

/// A credential that is no longer valid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revocation {
    /// The credential.
    pub revoked: Revocable,
    /// When it is valid again, in seconds since 1970; `None`: never.
    pub until: Option<u64>,
}

struct Inner {
    api_keys: Option<ApiKeys>,
    verifier: Option<Verifier>,
    revocations: Revocations,
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
        let max_revocations = settings.max_revocations;
        if !settings.is_required(listen)? {
            return Ok(Self {
                inner: None,
                max_revocations,
            });
        }
        let inner = Inner {
            api_keys: ApiKeys::of(settings)?,
            verifier: Verifier::of(settings, spawner)?,
            revocations: Revocations::default(),
        };
        Ok(Self {
            inner: Some(Arc::new(inner)),
            max_revocations,
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
        let caller = match credential? {
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
        }?;
        inner.revocations.check(&caller.credential, redis).await?;
        inner.check_key(&caller)?;
        Ok(caller)
    }

    /// Waits until the credential of this caller, who was let in before, is no longer good. Returns why.
    pub async fn revoked(&self, caller: &Caller) -> AuthError {
        let Some(inner) = &self.inner else {
            return std::future::pending().await;
        };
        let mut changes = inner.revocations.changes();
        loop {
            let checked = inner.revocations.look_up(&caller.credential);
            if let Err(error) = checked.and_then(|()| inner.check_key(caller)) {
                return error;
            }
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// Looks at the revocations and the API keys at intervals, without end, so that [`Auth::revoked`] notices a change. A
    /// process runs this once.
    pub async fn watch(self, redis: Redis) {
        let Some(inner) = &self.inner else { return };
        let mut failing = false;
        let mut keys = inner.api_keys.as_ref().map(ApiKeys::current);
        loop {
            match inner.revocations.refresh(&redis).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "cannot read the revocations; retrying");
                }
                Err(_) => {}
            }
            if let (Some(file), Some(seen)) = (&inner.api_keys, &mut keys) {
                let current = file.current();
                if !Arc::ptr_eq(seen, &current) {
                    *seen = current;
                    inner.revocations.wake();
                }
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Revokes credentials, until a time in seconds since 1970 or for ever. They are then worth nothing to this process,
    /// and a moment later to all others. False if as many are revoked as `auth.max_revocations` allows.
    ///
    /// # Errors
    ///
    /// [`AuthError::Store`], after which the outcome is unknown.
    pub async fn revoke(&self, new: &Revocation, redis: &Redis) -> Result<bool, AuthError> {
        let (credential, version) = (new.revoked.to_string(), random_text()?);
        let added = redis.revoke(NewRevocation {
            credential: &credential,
            until: new.until.unwrap_or_default(),
            now: now().as_secs(),
            max: self.max_revocations,
            version: &version,
        });
        let added = added.await?;
        self.refresh(redis).await?;
        Ok(added)
    }

    /// Makes revoked credentials valid again; false if they were not revoked.
    ///
    /// # Errors
    ///
    /// As [`Auth::revoke`].
    pub async fn lift(&self, revoked: &Revocable, redis: &Redis) -> Result<bool, AuthError> {
        let (credential, version) = (revoked.to_string(), random_text()?);
        let lifted = redis.lift_revocation(&credential, &version).await?;
        self.refresh(redis).await?;
        Ok(lifted)
    }

    /// What is revoked now.
    ///
    /// # Errors
    ///
    /// [`AuthError::Store`].
    pub async fn revocations(&self, redis: &Redis) -> Result<Vec<Revocation>, AuthError> {
        let now = now().as_secs();
        let ends = redis.revocations().await?.ends.into_iter();
        let mut all: Vec<Revocation> = ends
            .filter(|(_, end)| *end == 0 || *end > now)
            .filter_map(|(credential, end)| {
                Some(Revocation {
                    revoked: Revocable::read(&credential)?,
                    until: (end > 0).then_some(end),
                })
            })
            .collect();
        all.sort();
        Ok(all)
    }

    /// The most revocations, as `auth.max_revocations` says.
    pub fn max_revocations(&self) -> usize {
        self.max_revocations
    }

    async fn refresh(&self, redis: &Redis) -> Result<(), AuthError> {
        match &self.inner {
            Some(inner) => Ok(inner.revocations.refresh(redis).await?),
            None => Ok(()),
        }
    }
}

impl Inner {
    /// Checks that the file of API keys still has the caller's key, if the caller presented one.
    fn check_key(&self, caller: &Caller) -> Result<(), AuthError> {
        match (&caller.credential, &self.api_keys) {
            (CredentialId::ApiKey { .. }, Some(keys)) if !keys.hold(caller) => {
                Err(AuthError::KeyChanged)
            }
            _ => Ok(()),
        }
    }
}
