//! Sends the scripts that write.
//!
//! If Redis's answer is lost, the same call is sent again. The client of a cluster also does that, silently. So each
//! request has a random word, which the scripts store with what they write: a script that finds the word of its call
//! has done its work before. The content of an entry does not tell: two requests may write the same.

use std::time::{Duration, Instant};

use ltm_types::{Cursor, LtmId};
use redis::{Value, from_redis_value_ref as from_value};
use uuid::Uuid;

use crate::{
    error::StoreError,
    log::read::{Store, damaged},
    redis::script::{self, Script},
};

/// The most times that a call is sent if its outcome is unknown.
const MAX_TRIES: u32 = 3;

/// A random word that names a request.
pub(crate) fn request_word() -> String {
    format!("{:016x}", Uuid::new_v4().as_u64_pair().1)
}

/// The answer of a script that writes: a word, and details.
pub(crate) struct Outcome {
    pub(crate) word: String,
    pub(crate) detail: String,
    /// Whether the call may have done its work when it was sent before, and the script cannot tell.
    pub(crate) is_in_doubt: bool,
    /// Whether the call may have been sent before.
    pub(crate) is_repeated: bool,
}

impl Store {
    /// Sends a call of a script that writes to an LTM.
    pub(crate) async fn send(
        &self,
        id: LtmId,
        script: &Script,
        call: &redis::Cmd,
    ) -> Result<Outcome, StoreError> {
        let began = Instant::now();
        let (answer, is_repeated) = self.send_raw(script, call).await?;
        let unexpected = || {
            let detail = "a script returned an unexpected answer";
            damaged(id, Cursor::ORIGIN, detail)
        };
        let parts: Vec<String> = from_value(&answer).map_err(|_| unexpected())?;
        let mut parts = parts.into_iter();
        let (Some(word), Some(detail)) = (parts.next(), parts.next()) else {
            return Err(unexpected());
        };
        let doubt = parts.next().and_then(|micros| micros.parse().ok());
        let is_old = |micros| began.elapsed() >= Duration::from_micros(micros);
        Ok(Outcome {
            word,
            detail,
            is_in_doubt: is_repeated && doubt.is_some_and(is_old),
            is_repeated,
        })
    }

    /// Sends a call of a script that writes. Returns its answer, and whether an earlier try without an answer may have
    /// written already.
    async fn send_raw(
        &self,
        script: &Script,
        call: &redis::Cmd,
    ) -> Result<(Value, bool), StoreError> {
        let mut is_repeated = self.redis.is_cluster();
        let mut tries = 1;
        loop {
            match script.write(&self.redis, call).await {
                Ok(answer) => return Ok((answer, is_repeated)),
                Err(error) if error.is_transient() && tries < MAX_TRIES => {
                    is_repeated = true;
                    tokio::time::sleep(Duration::from_millis(50) * tries).await;
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// If writes wait for replicas, waits until they have a field that an earlier request wrote. Returns false if the
    /// field is gone: a failover has lost it since it was read.
    pub(crate) async fn await_replicas(&self, key: &str, field: &str) -> Result<bool, StoreError> {
        if !self.redis.waits_for_replicas() {
            return Ok(true);
        }
        let mut call = script::AGAIN.call(&[key]);
        call.arg(field);
        let (answer, _) = self.send_raw(&script::AGAIN, &call).await?;
        Ok(answer == Value::Int(1))
    }
}
