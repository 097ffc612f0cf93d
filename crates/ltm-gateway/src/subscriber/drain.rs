//! The permits of subscribers, and the drain: how a gateway that stops closes their sockets.

use std::{sync::Arc, time::Duration};

use ltm_service::LimitsHit;
use ltm_types::{Problem, ProblemKind};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{Instant, interval, sleep},
};

/// The time between two batches of closes.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);
/// How long the drain waits for the last sockets to close.
const GRACE: Duration = Duration::from_secs(2);

/// The permits of all subscribers.
#[derive(Clone)]
pub(crate) struct Drain {
    permits: Arc<Semaphore>,
    max_subscribers: usize,
    /// Has one permit for each subscriber whose socket closes now.
    leave: Arc<Semaphore>,
    limits: LimitsHit,
}

/// One counted subscriber, until it is dropped.
pub(crate) struct SubscriberPermit {
    leave: Arc<Semaphore>,
    _permit: OwnedSemaphorePermit,
}

impl Drain {
    pub(crate) fn new(max_subscribers: usize, limits: LimitsHit) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_subscribers)),
            max_subscribers,
            leave: Arc::new(Semaphore::new(0)),
            limits,
        }
    }

    /// Counts one more subscriber.
    ///
    /// # Errors
    ///
    /// The problem if the gateway has as many subscribers as it may, or is stopping.
    pub(crate) fn acquire(&self) -> Result<SubscriberPermit, Problem> {
        let refused = |error: TryAcquireError| match error {
            TryAcquireError::Closed => Problem::new(
                ProblemKind::Unavailable,
                "the gateway is stopping: connect to another one",
            ),
            TryAcquireError::NoPermits => {
                self.limits.hit("gateway.max_subscribers");
                let detail = format!(
                    "this gateway has {} subscribers (gateway.max_subscribers)",
                    self.max_subscribers
                );
                Problem::new(ProblemKind::OverLimit, detail)
            }
        };
        let permit = self.permits.clone().try_acquire_owned().map_err(refused)?;
        Ok(SubscriberPermit {
            leave: self.leave.clone(),
            _permit: permit,
        })
    }

    /// The number of subscribers.
    pub(crate) fn taken(&self) -> usize {
        self.max_subscribers
            .saturating_sub(self.permits.available_permits())
    }

    /// Drains the gateway. For `notice` it works as before, while load balancers see that it is not ready.
    /// Then it closes all sockets in batches, spread over `drain_time`, and waits for them.
    pub(crate) async fn empty(&self, notice: Duration, drain_time: Duration) {
        sleep(notice).await;
        self.permits.close();
        let total = self.taken();
        if total > 0 {
            tracing::info!(subscribers = total, over = ?drain_time, "draining: closing the sockets of all subscribers");
        }
        let batches = (drain_time.as_millis() / BATCH_INTERVAL.as_millis()).max(1);
        let batches = usize::try_from(batches).unwrap_or(usize::MAX);
        let mut ticks = interval(BATCH_INTERVAL);
        for batch in 0..batches {
            if self.taken() == 0 {
                break;
            }
            ticks.tick().await;
            self.leave.add_permits(batch_size(total, batch, batches));
        }
        self.leave.close();
        let last = Instant::now();
        while self.taken() > 0 && last.elapsed() < GRACE {
            sleep(BATCH_INTERVAL / 4).await;
        }
    }
}

/// How many of `total` subscribers belong to a batch: the batches differ by at most one.
fn batch_size(total: usize, batch: usize, batches: usize) -> usize {
    (total * (batch + 1)).div_ceil(batches) - (total * batch).div_ceil(batches)
}

impl SubscriberPermit {
    /// Waits until the drain closes this subscriber's socket.
    pub(crate) async fn drained(&self) {
        if let Ok(permit) = self.leave.acquire().await {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_go_and_no_batch_is_larger_than_its_share(total in 0usize..50_000, batches in 1usize..1000) {
            let sizes: Vec<usize> = (0..batches).map(|batch| batch_size(total, batch, batches)).collect();
            prop_assert_eq!(sizes.iter().sum::<usize>(), total);
            prop_assert!(sizes.iter().all(|&size| size <= total.div_ceil(batches)));
        }
    }
}
