//! Tickets: texts that Redis stores for a short time and returns once.

use std::time::Duration;

use ltm_types::keys;

use crate::{error::StoreError, redis::client::Redis};

impl Redis {
    /// Stores the content of a ticket for `ttl`, under the hash of the ticket.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn keep_ticket(
        &self,
        hash: &str,
        content: &str,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(keys::ticket(hash))
            .arg(content)
            .arg("PX")
            .arg(ttl.as_millis().max(1).to_string());
        self.query::<redis::Value>(&set).await?;
        Ok(())
    }

    /// The content of a ticket. Only the first call returns it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn take_ticket(&self, hash: &str) -> Result<Option<String>, StoreError> {
        let mut take = redis::cmd("GETDEL");
        Ok(self.query(take.arg(keys::ticket(hash))).await?)
    }
}
