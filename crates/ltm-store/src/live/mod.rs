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
mod wanted;

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use ltm_types::{Entry, LtmId};
use tokio::sync::{mpsc, watch};

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

/// The other end of the events: what a listener puts into the queue.
#[derive(Clone)]
pub struct LiveSource {
    shared: Arc<Shared>,
    sender: mpsc::Sender<LiveEvent>,
}

impl Live {
    /// Starts to listen to the Redis of `redis`, in a task that ends when the events are dropped. Entries of up to
    /// `max_bytes` wait for the receiver. The log names the listener by `number`.
    pub fn start(redis: Redis, number: usize, max_bytes: usize) -> (Self, LiveEvents) {
        let (live, events, source) = Self::queue(number, max_bytes);
        let LiveSource { shared, sender } = source;
        let spawner = redis.spawner().clone();
        if redis.is_cluster() {
            let shards = Shards::new(redis, shared, sender);
            spawner.spawn("live shards", shards.run());
        } else {
            let listener = Listener::of_primary(redis, shared, sender);
            spawner.spawn("live listener", listener.run());
        }
        (live, events)
    }

    /// The queue alone. The caller is the listener, as in a simulation.
    pub fn without_listener(max_bytes: usize) -> (Self, LiveEvents, LiveSource) {
        Self::queue(0, max_bytes)
    }

    fn queue(number: usize, max_bytes: usize) -> (Self, LiveEvents, LiveSource) {
        let (sender, receiver) = mpsc::channel(MAX_EVENTS);
        let shared = Arc::new(Shared::new(number, max_bytes));
        let live = Self {
            shared: shared.clone(),
        };
        let events = LiveEvents {
            shared: shared.clone(),
            receiver,
        };
        (live, events, LiveSource { shared, sender })
    }

    /// Follows this LTM. Its entries are delivered after [`LiveEvent::Subscribed`].
    pub fn follow(&self, id: LtmId) {
        self.shared.wanted().add(id);
        self.shared.count_change();
    }

    /// Stops following this LTM.
    pub fn unfollow(&self, id: LtmId) {
        self.shared.wanted().remove(id);
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

impl LiveSource {
    /// The LTMs that the receiver follows now.
    pub fn wanted(&self) -> HashSet<LtmId> {
        self.shared.wanted().ids().clone()
    }

    /// Changes when [`LiveSource::wanted`] does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Queues an entry that was appended at this time, in microseconds since 1970. If the queue is full, drops the
    /// entry and reports an overflow.
    pub fn offer(&self, id: LtmId, entry: Entry, appended: u64) {
        self.shared.offer(&self.sender, id, entry, appended);
    }

    /// Reports that every later entry of these LTMs is delivered. Waits until the queue has space.
    pub async fn subscribed(&self, ids: Vec<LtmId>) {
        // It fails if the receiver is dropped.
        let _ = self.sender.send(LiveEvent::Subscribed(ids)).await;
    }

    /// Reports that entries were lost.
    pub fn overflow(&self) {
        self.shared.set_overflow();
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
        let (live, mut events) = Live::start(redis, 1, 1);
        while live.shared.health().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        task.lock().unwrap().take().unwrap().abort();
        assert!(events.next().await.is_none());
        assert!(live.shared.health().is_empty() && !live.is_healthy());
    }
}
