//! Removes what the retention rules do not keep: entries that are too old, and LTMs that are idle.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use ltm_state::Retention;
use ltm_store::{AppendError, Clocks, Deletion, RetentionCandidate, Store, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use crate::{metrics::Metrics, state_cache::StateCache};

/// How many LTMs one round trip reads.
const PAGE: usize = 256;
/// The difference between two clocks above which the API logs a warning.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Removes what the retention rules do not keep.
pub(crate) struct RetentionSweep {
    pub(crate) store: Store,
    pub(crate) cache: Arc<StateCache>,
    pub(crate) metrics: Arc<Metrics>,
    /// The rules for LTMs that have none of their own.
    pub(crate) rules: Retention,
    /// The time between two sweeps.
    pub(crate) interval: Duration,
}

impl RetentionSweep {
    /// Sweeps at every interval, without end. Of all replicas, one sweeps at a time.
    pub(crate) async fn run(&self) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "retention sweep failed; retrying at the next interval");
            }
        }
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let clocks = self.store.clocks().await?;
        warn_of_skew(&clocks);
        if self.rules == Retention::default() && !self.store.has_retention().await? {
            return Ok(());
        }
        // A little less than the interval, so that the same replica sweeps again.
        let turn = self.interval.mul_f64(0.9);
        if !self.store.take_retention_turn(turn).await? {
            return Ok(());
        }
        for playground in [false, true] {
            let mut before = None;
            loop {
                let (page, next) = self
                    .store
                    .retention_candidates(playground, PAGE, before)
                    .await?;
                for ltm in page {
                    self.apply(&ltm, clocks.cautious()).await?;
                }
                let Some(next) = next else { break };
                before = Some(next);
            }
        }
        Ok(())
    }

    /// Deletes the LTM if it is idle, or else removes the entries that are too old.
    async fn apply(&self, ltm: &RetentionCandidate, now: Timestamp) -> Result<(), StoreError> {
        let keep = ltm.retention.over(self.rules);
        if keep
            .idle_ttl
            .is_some_and(|ttl| is_longer_ago(ltm.written_at, ttl, now))
        {
            return self.delete(ltm).await;
        }
        let Some(age) = keep.max_age else {
            return Ok(());
        };
        // A trim writes the state, so it waits until an eighth more has accumulated.
        let oldest = ltm.oldest.as_deref().and_then(|time| time.parse().ok());
        if !oldest.is_some_and(|oldest| is_longer_ago(oldest, age.saturating_add(age / 8), now)) {
            return Ok(());
        }
        let keep = Retention {
            max_entries: None,
            max_bytes: None,
            ..keep
        };
        match self.store.trim(ltm.id, &keep, now).await {
            Err(error) if error.is_temporary() => Err(error),
            Err(error) => {
                tracing::warn!(id = %ltm.id, %error, "log not trimmed");
                Ok(())
            }
            Ok(trimmed) => {
                if trimmed {
                    self.metrics.trimmed();
                }
                Ok(())
            }
        }
    }

    async fn delete(&self, ltm: &RetentionCandidate) -> Result<(), StoreError> {
        let deletion = Deletion {
            expected: Some(ltm.cursor),
            ..Deletion::default()
        };
        match self.store.delete(ltm.id, deletion).await {
            Ok(_) => {
                self.metrics.deleted();
                tracing::info!(id = %ltm.id, idle_since = %ltm.written_at, "deleted an idle LTM");
                self.cache.forget(ltm.id);
                Ok(())
            }
            Err(AppendError::Store(error)) if error.is_temporary() => Err(error),
            // A producer wrote to it, or a caller deleted it.
            Err(_) => Ok(()),
        }
    }
}

fn warn_of_skew(clocks: &Clocks) {
    let ahead = clocks.ahead();
    if ahead.abs() > MAX_SKEW {
        tracing::warn!(
            %ahead,
            "the clocks of this machine and of Redis differ: entries get wrong times, and retention keeps them too long or too short; set both clocks"
        );
    }
}

/// Whether a moment is longer ago than `age`.
fn is_longer_ago(time: Timestamp, age: Duration, now: Timestamp) -> bool {
    now.duration_since(time) > SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX)
}
