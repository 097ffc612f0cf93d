//! The clocks: of the machine that Redis runs on, and of this one.

use jiff::{SignedDuration, Timestamp};

use crate::{error::StoreError, log::read::Store};

/// What two clocks say at about the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Redis's, which all services share.
    pub redis: Timestamp,
    /// This machine's.
    pub own: Timestamp,
}

impl Clocks {
    /// The earlier one: nothing is too old unless both say so.
    pub fn cautious(&self) -> Timestamp {
        self.redis.min(self.own)
    }

    /// By how much this machine is ahead of Redis.
    pub fn ahead(&self) -> SignedDuration {
        self.own.duration_since(self.redis)
    }
}

impl Store {
    /// What the clocks say now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn clocks(&self) -> Result<Clocks, StoreError> {
        let asked: (i64, i64) = self.redis.query(&redis::cmd("TIME")).await?;
        let (seconds, micros) = asked;
        let redis = seconds
            .checked_mul(1_000_000)
            .and_then(|whole| Timestamp::from_microsecond(whole.checked_add(micros)?).ok());
        let unreadable = || StoreError::Unexpected("the answer to TIME is not a time".into());
        Ok(Clocks {
            redis: redis.ok_or_else(unreadable)?,
            own: Timestamp::now(),
        })
    }
}
