//! The seats of subscribers, and how they are emptied when the gateway stops.

use std::{sync::Arc, time::Duration};

use ltm_service::limit_reached;
use ltm_types::{Problem, ProblemKind};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{Instant, interval, sleep},
};

/// How often a batch of subscribers is told to go.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);
/// How long the last ones may take to go.
const GRACE: Duration = Duration::from_secs(2);

/// The seats.
#[derive(Clone)]
pub(crate) struct Drain {
    permits: Arc<Semaphore>,
    max_subscribers: usize,
    /// One permit for each subscriber that is to go now.
    leave: Arc<Semaphore>,
}

/// One subscriber's seat.
pub(crate) struct SubscriberPermit {
    leave: Arc<Semaphore>,
    _permit: OwnedSemaphorePermit,
}

impl Drain {
    pub(crate) fn new(max_subscribers: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_subscribers)),
            max_subscribers,
            leave: Arc::new(Semaphore::new(0)),
        }
    }

    /// A seat for one more subscriber.
    ///
    /// # Errors
    ///
    /// The problem, where all are taken or the gateway is stopping.
    pub(crate) fn acquire(&self) -> Result<SubscriberPermit, Problem> {
        let refused = |error: TryAcquireError| match error {
            TryAcquireError::Closed => Problem::new(
                ProblemKind::Unavailable,
                "the gateway is stopping; connect to another one",
            ),
            TryAcquireError::NoPermits => {
                limit_reached("gateway.max_subscribers");
                let detail = format!(
                    "all {} seats for subscribers are taken (gateway.max_subscribers)",
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

    /// How many seats are taken.
    pub(crate) fn taken(&self) -> usize {
        self.max_subscribers
            .saturating_sub(self.permits.available_permits())
    }

    /// Lets `notice` pass, in which the gateway works as before and load balancers see that it is not
    /// ready. Then tells all subscribers to go, in batches spread over `drain_time`, and waits for them.
    pub(crate) async fn empty(&self, notice: Duration, drain_time: Duration) {
        sleep(notice).await;
        self.permits.close();
        let total = self.taken();
        if total > 0 {
            tracing::info!(subscribers = total, over = ?drain_time, "telling the subscribers to connect elsewhere");
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

/// How many of `total` go in one of the batches: the same in each, but for one.
fn batch_size(total: usize, batch: usize, batches: usize) -> usize {
    (total * (batch + 1)).div_ceil(batches) - (total * batch).div_ceil(batches)
}

impl SubscriberPermit {
    /// Waits until it is this subscriber's turn to go.
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
