//! Tickets: texts that are kept for a short time and given out once.

use std::time::Duration;

use ltm_types::keys;

use crate::{error::StoreError, redis::connection::Redis};

impl Redis {
    /// Keeps what a ticket is worth for `ttl`, under the hash of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn keep_ticket(
        &self,
        hash: &str,
        holds: &str,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(keys::ticket(hash))
            .arg(holds)
            .arg("PX")
            .arg(ttl.as_millis().max(1).to_string());
        self.query::<redis::Value>(&set).await?;
        Ok(())
    }

    /// What a ticket is worth, to the first who asks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn take_ticket(&self, hash: &str) -> Result<Option<String>, StoreError> {
        let mut take = redis::cmd("GETDEL");
        Ok(self.query(take.arg(keys::ticket(hash))).await?)
    }
}
