//! Deletes LTMs.

use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::Cmd;

use crate::{
    error::StoreError,
    log::append::{AppendError, head_of, outcome},
    log::read::Store,
    redis::{client::Redis, script},
};

/// The most times that a deletion is tried if other requests keep appending.
const MAX_TRIES: u32 = 64;

impl Store {
    /// Deletes an LTM. If `expected` is given, the log must have that head. Returns the cursor of the last entry,
    /// which is published but not stored.
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`]; [`StoreError::Unknown`], [`StoreError::Deleted`];
    /// [`StoreError::Unavailable`], after which the outcome is unknown.
    pub async fn delete(&self, id: LtmId, expected: Option<Cursor>) -> Result<Cursor, AppendError> {
        for _ in 0..MAX_TRIES {
            let meta = self.meta(id).await?;
            let head = expected.unwrap_or(meta.cursor);
            let last = Entry::after(head, Kind::Deleted, "true".into());
            let call = delete_call(id, head, &last, &self.redis);
            let (answer, uncertain) = self.send(&script::DELETE, &call).await?;
            let (outcome, detail) = outcome(id, &answer)?;
            match outcome.as_str() {
                "ok" => {
                    self.unlist(id, meta.playground, &meta.fqn).await?;
                    return Ok(last.cursor);
                }
                "conflict" if expected.is_none() => {}
                "conflict" => {
                    let current = head_of(id, meta.cursor, &detail)?;
                    return Err(AppendError::Conflict { current });
                }
                _ => match self.missing(id).await {
                    StoreError::Deleted { cursor, .. } if uncertain && cursor == last.cursor => {
                        self.unlist(id, meta.playground, &meta.fqn).await?;
                        return Ok(cursor);
                    }
                    error => return Err(error.into()),
                },
            }
        }
        let current = self.head(id).await?;
        Err(AppendError::Conflict { current })
    }
}

fn delete_call(id: LtmId, expected: Cursor, last: &Entry, redis: &Redis) -> Cmd {
    let mut call = script::DELETE.call(&[
        &keys::meta(id),
        &keys::deleted(id),
        &keys::log(id),
        &keys::checkpoint(id),
        &keys::base(id),
        &keys::idempotency(id),
    ]);
    call.arg(expected.to_string())
        .arg(last.cursor.to_string())
        .arg(last.kind.as_str())
        .arg(&*last.payload)
        .arg(redis.live_channel(id))
        .arg(redis.publish_command());
    call
}
