//! Compares the clock of Redis with the clock of this machine.

use jiff::{SignedDuration, Timestamp};

use crate::{error::StoreError, log::read::Store};

/// The times of two clocks, read at about the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The time of Redis, which is the same for all services.
    pub redis: Timestamp,
    /// The time of this machine.
    pub own: Timestamp,
}

impl Clocks {
    /// The earlier time. An entry that is too old by this time is too old by both clocks.
    pub fn cautious(&self) -> Timestamp {
        self.redis.min(self.own)
    }

    /// How far this machine's clock is ahead of Redis's clock.
    pub fn ahead(&self) -> SignedDuration {
        self.own.duration_since(self.redis)
    }
}

impl Store {
    /// Reads both clocks.
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
