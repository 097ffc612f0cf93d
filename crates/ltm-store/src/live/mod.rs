//! Live delivery: one subscription per followed LTM, on one connection; in a cluster, on one connection to each
//! primary.
//!
//! The invariant: live events only save time, and may be lost. The receiver reads the log after
//! [`LiveEvent::Subscribed`], after [`LiveEvent::Overflow`], and at regular intervals.

mod listener;
mod shard;
mod shards;
mod shared;
mod subscriptions;

use std::sync::{Arc, atomic::Ordering};

use ltm_types::LtmId;
use tokio::sync::mpsc;

pub use self::shared::LiveEvent;
use self::{
    listener::Listener,
    shards::Shards,
    shared::{Health, Shared},
};
use crate::redis::client::Redis;

/// The most events that wait for the receiver. Further events are dropped, which is an overflow.
const MAX_EVENTS: usize = 16 * 1024;

/// The set of LTMs that one receiver follows. Clones share it.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
}

/// The events, in order.
pub struct LiveEvents {
    shared: Arc<Shared>,
    receiver: mpsc::Receiver<LiveEvent>,
}

impl Live {
    /// Starts to listen to the Redis of `redis`, in a task that ends when the events are dropped. Entries of up to
    /// `max_bytes` wait for the receiver.
    pub fn start(redis: Redis, max_bytes: usize) -> (Self, LiveEvents) {
        let (sender, receiver) = mpsc::channel(MAX_EVENTS);
        let shared = Arc::new(Shared::new(max_bytes));
        let spawner = redis.spawner().clone();
        if redis.is_cluster() {
            let shards = Shards::new(redis, shared.clone(), sender);
            spawner.spawn("live shards", shards.run());
        } else {
            let listener = Listener::of_primary(redis, shared.clone(), sender);
            spawner.spawn("live listener", listener.run());
        }
        let live = Self {
            shared: shared.clone(),
        };
        (live, LiveEvents { shared, receiver })
    }

    /// Follows this LTM. Its entries are delivered after [`LiveEvent::Subscribed`].
    pub fn follow(&self, id: LtmId) {
        self.shared.wanted().insert(id);
        self.shared.count_change();
    }

    /// Stops following this LTM.
    pub fn unfollow(&self, id: LtmId) {
        self.shared.wanted().remove(&id);
        self.shared.count_change();
    }

    /// Whether entries are received: a probe came back recently. In a cluster this must hold for every primary that can
    /// be reached; no service can use the LTMs of a primary that cannot be reached.
    pub fn is_healthy(&self) -> bool {
        let health = self.shared.health();
        health.values().any(|it| *it == Health::Receiving)
            && health.values().all(|it| *it != Health::Silent)
    }
}

impl LiveEvents {
    /// The next event; `None` if the task has ended, which happens only if it panics or the runtime shuts down.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        if self.shared.overflow.swap(false, Ordering::SeqCst) {
            return Some(LiveEvent::Overflow);
        }
        let event = self.receiver.recv().await?;
        self.taken(&event);
        Some(event)
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<LiveEvent> {
        if self.shared.overflow.swap(false, Ordering::SeqCst) {
            return Some(LiveEvent::Overflow);
        }
        let event = self.receiver.try_recv().ok()?;
        self.taken(&event);
        Some(event)
    }

    fn taken(&self, event: &LiveEvent) {
        if let LiveEvent::Entry(_, entry, _) = event {
            self.shared
                .waiting_bytes
                .fetch_sub(entry.payload.len(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use super::*;
    use crate::{RedisSettings, Spawner};

    #[tokio::test]
    async fn a_listener_that_dies_is_not_healthy() {
        let task = Arc::new(Mutex::new(None));
        let spawned = task.clone();
        let spawner = Spawner::new(move |_, task| {
            *spawned.lock().unwrap() = Some(tokio::spawn(task));
        });
        let settings = RedisSettings {
            url: "redis://127.0.0.1:1/0".into(),
            ..RedisSettings::default()
        };
        let redis = Redis::open_with(&settings, spawner).unwrap();
        let (live, mut events) = Live::start(redis, 1);
        while live.shared.health().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        task.lock().unwrap().take().unwrap().abort();
        assert!(events.next().await.is_none());
        assert!(live.shared.health().is_empty() && !live.is_healthy());
    }
}
