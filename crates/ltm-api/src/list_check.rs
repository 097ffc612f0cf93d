//! Keeps the index of the lists complete, and counts LTMs for the metrics.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use ltm_store::{ListCheck as Progress, Store, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::metrics::Metrics;

/// The pause between two steps of a check, so that Redis serves others.
const PAUSE: Duration = Duration::from_millis(50);

/// Keeps the index of the lists complete.
pub(crate) struct ListCheck {
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    /// The time between two looks.
    pub(crate) interval: Duration,
    /// The time between two checks of the whole index.
    pub(crate) every: Duration,
}

impl ListCheck {
    /// Looks at every interval, without end. Of all replicas, one checks at a time.
    pub(crate) async fn run(&self) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            match self.look().await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "cannot check the index of the lists; retrying at the next interval");
                    }
                    failing = true;
                }
            }
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        // A little less than the interval, so that the same replica looks again.
        if self
            .store
            .take_list_turn(self.interval.mul_f64(0.9))
            .await?
        {
            self.store.check_recent().await?;
            self.check().await?;
        }
        let counts = self.store.counts(false, |_| true, &[]).await?;
        self.metrics.ltms(&counts);
        let last_entry = self.store.longest_inactive("active").await?;
        let inactive = last_entry.map(|it| Timestamp::now().duration_since(it));
        self.metrics.longest_inactive(inactive.unwrap_or_default());
        Ok(())
    }

    /// Goes on with a check of the whole index, for the time of one interval at most. An index that is not complete is
    /// built without pauses.
    async fn check(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        while began.elapsed() < self.interval {
            match self.store.check_lists(self.every).await? {
                Progress::Done => break,
                Progress::Continues => sleep(PAUSE).await,
                Progress::Builds => {}
            }
        }
        Ok(())
    }
}
