//! Removing what retention does not keep: entries that are too old, and LTMs that are idle.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ltm_state::Retention;
use ltm_store::{AppendError, Clocks, Retained, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use crate::Api;

/// How many LTMs are looked at in one round trip.
const PAGE: usize = 256;
/// By how much two clocks may differ before an operator is told.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Looks from time to time for what is to be removed; of all replicas, one does at a time.
pub(crate) async fn retain(api: &Api) {
    let every = api.settings().retention_interval;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = sweep(api, every).await {
            tracing::warn!(%error, "what retention does not keep was not removed; trying again later");
        }
    }
}

async fn sweep(api: &Api, every: Duration) -> Result<(), StoreError> {
    let store = api.store();
    let clocks = store.clocks().await?;
    warn_of_skew(&clocks);
    if api.retention() == Retention::default() && !store.has_retention().await? {
        return Ok(());
    }
    // A little less than the pause, so that the same replica gets it again.
    if !store.take_retention_turn(every.mul_f64(0.9)).await? {
        return Ok(());
    }
    for playground in [false, true] {
        let mut before = None;
        loop {
            let (page, next) = store.retained(playground, PAGE, before).await?;
            for ltm in page {
                apply(api, &ltm, clocks.cautious()).await?;
            }
            let Some(next) = next else { break };
            before = Some(next);
        }
    }
    Ok(())
}

fn warn_of_skew(clocks: &Clocks) {
    let ahead = clocks.ahead();
    if ahead.abs() > MAX_SKEW {
        tracing::warn!(
            %ahead,
            "the clock of this machine is not that of Redis: entries get wrong times, and are kept too long or too short; set both clocks"
        );
    }
}

/// Deletes the LTM if it is idle, else removes the entries that are too old.
async fn apply(api: &Api, ltm: &Retained, now: Timestamp) -> Result<(), StoreError> {
    let keep = ltm.retention.over(api.retention());
    if keep
        .idle_ttl
        .is_some_and(|ttl| is_longer_ago(ltm.written_at, ttl, now))
    {
        return match api.store().delete(ltm.id, Some(ltm.cursor)).await {
            Ok(_) => {
                api.metrics().deleted();
                tracing::info!(id = %ltm.id, since = %ltm.written_at, "deleted an idle LTM");
                api.states().forget(ltm.id);
                Ok(())
            }
            Err(AppendError::Store(error)) if error.is_temporary() => Err(error),
            // Somebody wrote to it, or deleted it.
            Err(_) => Ok(()),
        };
    }
    let Some(age) = keep.max_age else {
        return Ok(());
    };
    // A trim writes the state, so that it waits for an eighth more.
    let oldest = ltm.oldest.as_deref().and_then(|time| time.parse().ok());
    if !oldest.is_some_and(|oldest| is_longer_ago(oldest, age.saturating_add(age / 8), now)) {
        return Ok(());
    }
    let keep = Retention {
        max_entries: None,
        ..keep
    };
    match api.store().trim(ltm.id, &keep, now).await {
        Err(error) if error.is_temporary() => Err(error),
        Err(error) => {
            tracing::warn!(id = %ltm.id, %error, "a log was not trimmed");
            Ok(())
        }
        Ok(trimmed) => {
            if trimmed {
                api.metrics().trimmed();
            }
            Ok(())
        }
    }
}

/// Whether a moment is longer ago than `age`.
fn is_longer_ago(time: Timestamp, age: Duration, now: Timestamp) -> bool {
    now.duration_since(time) > SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX)
}
