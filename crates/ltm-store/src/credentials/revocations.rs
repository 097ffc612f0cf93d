//! Revocations: credentials that are no longer valid. One hash holds all of them, so a service that has them asks only
//! for its version.

use std::collections::HashMap;

use ltm_types::keys;
use redis::Value;

use crate::{
    error::StoreError,
    redis::{client::Redis, script},
};

/// The field whose value differs after each change.
const VERSION: &str = "version";

/// All revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationSet {
    /// What tells this content apart from others; `None` if nothing was ever revoked.
    pub version: Option<String>,
    /// The end of each revocation in seconds since 1970, by the credential; 0 if it does not end.
    pub ends: HashMap<String, u64>,
}

/// A revocation to add.
#[derive(Clone, Copy, Debug)]
pub struct NewRevocation<'a> {
    /// The credential.
    pub credential: &'a str,
    /// The end in seconds since 1970; 0: it does not end.
    pub until: u64,
    /// The time now, in seconds since 1970.
    pub now: u64,
    /// The most revocations that Redis may hold.
    pub max: usize,
    /// A text that was never used before.
    pub version: &'a str,
}

impl Redis {
    /// The version of the revocations.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn revocations_version(&self) -> Result<Option<String>, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(keys::REVOCATIONS).arg(VERSION);
        Ok(self.query(&get).await?)
    }

    /// All revocations, also those that have ended.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; [`StoreError::Unexpected`] if another program wrote the key.
    pub async fn revocations(&self) -> Result<RevocationSet, StoreError> {
        let mut get = redis::cmd("HGETALL");
        let all: HashMap<String, String> = self.query(get.arg(keys::REVOCATIONS)).await?;
        let mut set = RevocationSet::default();
        for (credential, text) in all {
            if credential == VERSION {
                set.version = Some(text);
            } else if let Ok(end) = text.parse() {
                set.ends.insert(credential, end);
            } else {
                let key = keys::REVOCATIONS;
                let detail = format!("{key}: {credential:?} has no time, but {text:?}");
                return Err(StoreError::Unexpected(detail));
            }
        }
        Ok(set)
    }

    /// Adds a revocation, in place of one of the same credential; false if there are as many as allowed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], after which the outcome is unknown.
    pub async fn revoke(&self, new: NewRevocation<'_>) -> Result<bool, StoreError> {
        let mut call = script::REVOKE.call(&[keys::REVOCATIONS]);
        call.arg(new.credential)
            .arg(new.until)
            .arg(new.now)
            .arg(new.max)
            .arg(new.version);
        Ok(script::REVOKE.write(self, &call).await? == Value::Int(1))
    }

    /// Removes a revocation; false if there is none. `version` was never used before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], after which the outcome is unknown.
    pub async fn lift_revocation(
        &self,
        credential: &str,
        version: &str,
    ) -> Result<bool, StoreError> {
        let mut delete = redis::cmd("HDEL");
        delete.arg(keys::REVOCATIONS).arg(credential);
        let found = self.write(&delete).await? == Value::Int(1);
        // Always: if an earlier attempt ended between the two commands, this one lets the services know.
        let mut set = redis::cmd("HSET");
        set.arg(keys::REVOCATIONS).arg(VERSION).arg(version);
        self.write(&set).await?;
        Ok(found)
    }
}
