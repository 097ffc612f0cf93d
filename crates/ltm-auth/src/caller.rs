//! The caller: who it is, and what it may do.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ltm_store::Store;
use ltm_types::LtmId;
use serde::{Deserialize, Serialize};

use crate::{
    credential_id::CredentialId,
    error::AuthError,
    grant::{Access, Grant},
    secret::hash,
};

/// Who the caller is, what it may do, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// Its name: `sub` of a JWT, or the name of an API key.
    pub name: String,
    /// What it may do.
    pub grant: Grant,
    /// The credential that it presented.
    #[serde(default)]
    pub credential: CredentialId,
    /// When the credential expires, in seconds since 1970; `None`: never.
    pub expires: Option<u64>,
}

impl Caller {
    /// A caller that need not authenticate and may do everything.
    pub fn anybody() -> Self {
        Self {
            name: "anybody".into(),
            grant: Grant::everything(),
            credential: CredentialId::None,
            expires: None,
        }
    }

    /// A text that keeps apart what callers choose for themselves, such as the Idempotency-Keys of creations.
    pub fn scope(&self) -> String {
        hex::encode(&hash(&self.name)[..16])
    }

    /// Checks that the caller may do this with at least some LTM.
    ///
    /// # Errors
    ///
    /// [`AuthError::TooLittle`].
    pub fn may(&self, access: Access) -> Result<(), AuthError> {
        if self.grant.includes(access) {
            return Ok(());
        }
        Err(AuthError::TooLittle {
            name: self.name.clone(),
            access,
        })
    }

    /// Checks that the caller may do this with this LTM.
    ///
    /// # Errors
    ///
    /// [`AuthError::TooLittle`], [`AuthError::NotThisLtm`]; [`AuthError::Store`] if the LTM does not exist or its class
    /// cannot be read. The call must end then: another caller may create an LTM of any class under this id meanwhile.
    pub async fn may_with(
        &self,
        access: Access,
        id: LtmId,
        store: &Store,
    ) -> Result<(), AuthError> {
        self.may(access)?;
        if self.grant.names(id) {
            return Ok(());
        }
        if self.grant.covers_class(&store.class(id).await?) {
            return Ok(());
        }
        Err(AuthError::NotThisLtm {
            name: self.name.clone(),
            access,
            id,
        })
    }

    /// Checks that the caller may do this with all LTMs of this class, so also with one that it names by its key.
    ///
    /// # Errors
    ///
    /// [`AuthError::TooLittle`], [`AuthError::NotThisClass`].
    pub fn may_with_class(&self, access: Access, class: &str) -> Result<(), AuthError> {
        self.may(access)?;
        if self.grant.covers_class(class) {
            return Ok(());
        }
        Err(AuthError::NotThisClass {
            name: self.name.clone(),
            access,
            class: class.into(),
        })
    }

    /// Checks that the caller may create an LTM of this class, under `id` if it chose one.
    ///
    /// # Errors
    ///
    /// [`AuthError::NotThisClass`].
    pub fn may_create(&self, class: &str, id: Option<LtmId>) -> Result<(), AuthError> {
        if id.is_some_and(|id| self.grant.names(id)) {
            return Ok(());
        }
        self.may_with_class(Access::Write, class)
    }

    /// Checks that the caller may revoke credentials, whosever they are.
    ///
    /// # Errors
    ///
    /// [`AuthError::NotForAll`].
    pub fn may_revoke(&self) -> Result<(), AuthError> {
        if self.grant.is_for_all() && self.grant.includes(Access::Admin) {
            return Ok(());
        }
        Err(AuthError::NotForAll {
            name: self.name.clone(),
        })
    }

    /// Checks that the caller may copy this LTM, which it may write. A copy gets a new id, so only a grant for the class
    /// covers it.
    ///
    /// # Errors
    ///
    /// [`AuthError::NotTheCopy`]; [`AuthError::Store`] if the LTM does not exist or its class cannot be read.
    pub async fn may_copy(&self, id: LtmId, store: &Store) -> Result<(), AuthError> {
        if self.grant.is_for_all() {
            return Ok(());
        }
        let class = store.class(id).await?;
        if self.grant.covers_class(&class) {
            return Ok(());
        }
        Err(AuthError::NotTheCopy {
            name: self.name.clone(),
            class,
        })
    }

    /// What tells the caller apart from others: the name of its API key, or the `sub` of its JWT, else its `jti`.
    pub fn key(&self) -> String {
        let first = self.credential.revocables().next();
        first.map_or_else(|| self.name.clone(), |first| first.to_string())
    }

    /// A digest of [`Caller::key`]: it is short, however long the name is.
    pub fn digest(&self) -> [u8; 16] {
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash(&self.key())[..16]);
        digest
    }

    /// The time until the credential expires; `None`: it never does.
    pub fn time_left(&self) -> Option<Duration> {
        let expires = self.expires.map(Duration::from_secs);
        expires.map(|expires| expires.saturating_sub(now()))
    }
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
