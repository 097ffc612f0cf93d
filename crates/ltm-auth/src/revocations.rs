//! The credentials that are no longer valid, as this process knows them. Redis holds them for all services. One task of a
//! process looks whether they have changed; a call or an open socket only looks them up.

use std::sync::Arc;

use ltm_store::{Redis, RevocationSet, StoreError};
use tokio::sync::watch;

use crate::{caller::now, credential_id::CredentialId, error::AuthError};

/// What a process knows.
pub(crate) struct Revocations {
    /// `None` until it was read for the first time.
    known: watch::Sender<Option<Arc<RevocationSet>>>,
}

impl Default for Revocations {
    fn default() -> Self {
        let (known, _) = watch::channel(None);
        Self { known }
    }
}

impl Revocations {
    /// Reads the revocations if they have changed.
    pub(crate) async fn refresh(&self, redis: &Redis) -> Result<(), StoreError> {
        let version = redis.revocations_version().await?;
        let is_current = |known: &Arc<RevocationSet>| known.version == version;
        if self.known.borrow().as_ref().is_some_and(is_current) {
            return Ok(());
        }
        let set = Arc::new(redis.revocations().await?);
        self.known.send_replace(Some(set));
        Ok(())
    }

    /// Checks that the credential is not revoked.
    ///
    /// # Errors
    ///
    /// [`AuthError::Revoked`]; [`AuthError::Store`] if this process has never read the revocations.
    pub(crate) async fn check(&self, id: &CredentialId, redis: &Redis) -> Result<(), AuthError> {
        if self.known.borrow().is_none() {
            self.refresh(redis).await?;
        }
        self.look_up(id)
    }

    /// As [`Revocations::check`], by what was read before.
    pub(crate) fn look_up(&self, id: &CredentialId) -> Result<(), AuthError> {
        let known = self.known.borrow().clone().unwrap_or_default();
        if known.ends.is_empty() {
            return Ok(());
        }
        let now = now().as_secs();
        let lasts = |end: &u64| *end == 0 || *end > now;
        let is_revoked = id
            .revocables()
            .any(|it| known.ends.get(&it.to_string()).is_some_and(lasts));
        if is_revoked {
            return Err(AuthError::Revoked);
        }
        Ok(())
    }

    /// Lets everybody who waits look again.
    pub(crate) fn wake(&self) {
        self.known.send_modify(|_| {});
    }

    /// Tells when to look again.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<Arc<RevocationSet>>> {
        self.known.subscribe()
    }
}
