//! Live delivery: one subscription per followed LTM, on one connection; in a cluster, on one connection to each primary.
//!
//! The invariant: live events only save time, and may be lost. The receiver reads the log after
//! [`LiveEvent::Subscribed`], after [`LiveEvent::Overflow`], and at regular intervals.

mod listener;
mod shards;
mod subscriptions;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use ltm_types::{Entry, LtmId};
use tokio::sync::{mpsc, watch};

use self::{listener::Listener, shards::Shards};
use crate::redis::client::Redis;

/// The most channels in one command.
const BATCH: usize = 512;
/// The most events that wait for the receiver. Further events are dropped, which is an overflow.
const MAX_EVENTS: usize = 16 * 1024;

/// An event for the receiver.
#[derive(Debug)]
pub enum LiveEvent {
    /// An entry was appended, at this time by Redis's clock, in microseconds since 1970.
    Entry(LtmId, Entry, u64),
    /// From now on, every entry of these LTMs is delivered. Earlier entries must be read from the log.
    Subscribed(Vec<LtmId>),
    /// Entries were dropped, because the receiver was too slow. All logs must be read.
    Overflow,
}

/// The set of LTMs that one receiver follows. Clones share it.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
}

struct Shared {
    wanted: Mutex<HashSet<LtmId>>,
    /// Counts the changes of `wanted`.
    changes: watch::Sender<u64>,
    /// The health of each connection, by the address of its server.
    health: Mutex<HashMap<Arc<str>, Health>>,
    overflow: AtomicBool,
    waiting_bytes: AtomicUsize,
    max_bytes: usize,
}

/// The health of a live connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// A probe came back recently.
    Receiving,
    /// No probe has come back yet, or not recently.
    Silent,
    /// The server cannot be reached.
    Unreachable,
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
        let shared = Arc::new(Shared {
            wanted: Mutex::default(),
            changes: watch::Sender::new(0),
            health: Mutex::default(),
            overflow: AtomicBool::new(false),
            waiting_bytes: AtomicUsize::new(0),
            max_bytes,
        });
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

impl Shared {
    fn wanted(&self) -> MutexGuard<'_, HashSet<LtmId>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, HashMap<Arc<str>, Health>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the health of the connection to a server; returns the old one.
    fn set_health(&self, address: &Arc<str>, health: Health) -> Option<Health> {
        self.health().insert(address.clone(), health)
    }

    fn set_overflow(&self) {
        self.overflow.store(true, Ordering::SeqCst);
    }

    fn count_change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Queues an entry. If the queue is full, drops the entry and reports an overflow.
    fn offer(&self, sender: &mpsc::Sender<LiveEvent>, id: LtmId, entry: Entry, appended: u64) {
        let bytes = entry.payload.len();
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::SeqCst);
        let fits = waiting == 0 || waiting + bytes <= self.max_bytes;
        let event = LiveEvent::Entry(id, entry, appended);
        if !fits || sender.try_send(event).is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
            self.set_overflow();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
