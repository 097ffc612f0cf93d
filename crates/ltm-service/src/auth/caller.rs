//! Who calls.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ltm_store::Store;
use ltm_types::LtmId;
use serde::{Deserialize, Serialize};

use super::{Access, AuthError, Grant};

/// Who calls, and what they may do until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// How they are called: `sub` of a JWT, or the name of an API key.
    pub name: String,
    /// What they may do.
    pub grant: Grant,
    /// Until when, in seconds since 1970; for ever where it is absent.
    pub expires: Option<u64>,
}

impl Caller {
    /// Somebody who need not say who they are, and may do everything.
    pub fn anybody() -> Self {
        Self {
            name: "anybody".into(),
            grant: Grant::everything(),
            expires: None,
        }
    }

    /// Whether they may do this with some LTM.
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

    /// Whether they may do this with this LTM.
    ///
    /// # Errors
    ///
    /// [`AuthError::TooLittle`], [`AuthError::NotThisLtm`]; [`AuthError::Store`] where its class cannot be read, or it is
    /// not there. The call must end with that: an LTM of any class may be made under its id meanwhile.
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

    /// Whether they may create LTMs of this class, under this id where one was chosen.
    ///
    /// # Errors
    ///
    /// [`AuthError::NotThisClass`].
    pub fn may_create(&self, class: &str, id: Option<LtmId>) -> Result<(), AuthError> {
        if self.grant.covers_class(class) || id.is_some_and(|id| self.grant.names(id)) {
            return Ok(());
        }
        Err(AuthError::NotThisClass {
            name: self.name.clone(),
            access: Access::Write,
            class: class.into(),
        })
    }

    /// Whether they may copy this LTM, which they may write to. A copy gets an id of its own, and so only a grant for its
    /// class covers it.
    ///
    /// # Errors
    ///
    /// [`AuthError::NotTheCopy`]; [`AuthError::Store`] where its class cannot be read, or it is not there.
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

    /// How long they may go on.
    pub fn time_left(&self) -> Option<Duration> {
        let expires = self.expires.map(Duration::from_secs);
        expires.map(|expires| expires.saturating_sub(now()))
    }
}

/// The time since 1970.
pub(super) fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
