//! Tickets: texts that Redis stores for a short time and returns once.

use std::time::Duration;

use ltm_types::keys;
use redis::{RedisError, Value};

use crate::{
    error::StoreError,
    redis::{client::Redis, script},
};

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
        self.lend(&keys::ticket(hash), content, ttl).await?;
        Ok(())
    }

    /// Stores a value for a short time, also if Redis is out of memory. Returns false if the key exists.
    pub(crate) async fn lend(
        &self,
        key: &str,
        value: &str,
        time: Duration,
    ) -> Result<bool, RedisError> {
        let mut call = script::LEND.call(&[key]);
        call.arg(value).arg(time.as_millis().max(1).to_string());
        Ok(script::LEND.run(self, &call).await? == Value::Int(1))
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
