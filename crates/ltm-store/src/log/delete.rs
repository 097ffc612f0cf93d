//! Deleting LTMs.

use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::Cmd;

use crate::{
    error::StoreError,
    log::append::{AppendError, outcome},
    log::read::{Store, damaged},
    redis::script,
};

/// How often a deletion is tried that others overtake.
const TRIES: u32 = 64;

impl Store {
    /// Ends the log of an LTM and removes it, if it is where it is expected to be, where that is
    /// given. Gives the cursor of the entry that ends it, which is published and not kept.
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`]; [`StoreError::Unknown`], [`StoreError::Deleted`];
    /// [`StoreError::Unavailable`], after which the outcome is not known.
    pub async fn delete(&self, id: LtmId, expected: Option<Cursor>) -> Result<Cursor, AppendError> {
        for _ in 0..TRIES {
            let meta = self.meta(id).await?;
            let last = Entry::after(
                expected.unwrap_or(meta.cursor),
                Kind::Deleted,
                "true".into(),
            );
            let publishes = self.redis.publishes();
            let call = delete_call(id, expected.unwrap_or(meta.cursor), &last, publishes);
            let (answer, uncertain) = self.send(&script::DELETE, &call).await?;
            let (outcome, detail) = outcome(id, &answer)?;
            match outcome.as_str() {
                "ok" => {
                    self.unlist(id, meta.playground, &meta.fqn).await?;
                    return Ok(last.cursor);
                }
                "conflict" if expected.is_none() => {}
                "conflict" => {
                    let current = detail
                        .parse()
                        .map_err(|_| damaged(id, meta.cursor, "its head is not a cursor"))?;
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

fn delete_call(id: LtmId, expected: Cursor, last: &Entry, publishes: &str) -> Cmd {
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
        .arg(keys::live(id))
        .arg(publishes);
    call
}
