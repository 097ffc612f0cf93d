//! What is appended, as it happens: one subscription per followed LTM, on one connection; in a cluster, on one to each
//! primary.
//!
//! The channel is only speed: whoever listens must read the log after [`LiveEvent::Subscribed`],
//! and after [`LiveEvent::Overflow`], and from time to time anyway.

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
use crate::redis::connection::Redis;

/// How many channels are subscribed to at once.
const BATCH: usize = 512;
/// How many events may wait at most; more are dropped and make an overflow.
const MAX_EVENTS: usize = 16 * 1024;

/// What happened.
#[derive(Debug)]
pub enum LiveEvent {
    /// An entry was appended; when, in microseconds since 1970 by Redis's clock.
    Entry(LtmId, Entry, u64),
    /// From now on every entry of these LTMs comes; what came before must be read.
    Subscribed(Vec<LtmId>),
    /// Entries were dropped because they came faster than they were taken; every log must be read.
    Overflow,
}

/// The wish list of one follower of many logs. Clones share it.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
}

struct Shared {
    wanted: Mutex<HashSet<LtmId>>,
    /// Counts the changes of `wanted`.
    changes: watch::Sender<u64>,
    /// How each connection is, by the server that it leads to.
    hearing: Mutex<HashMap<Arc<str>, Hearing>>,
    overflow: AtomicBool,
    waiting_bytes: AtomicUsize,
    max_bytes: usize,
}

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    /// It is up and subscribed, and a message on it has come back lately.
    Good,
    /// Nobody knows, or the server answers and nothing is heard of it.
    Deaf,
    /// The server cannot be reached.
    Away,
}

/// The events, in the order in which they happened.
pub struct LiveEvents {
    shared: Arc<Shared>,
    receiver: mpsc::Receiver<LiveEvent>,
}

impl Live {
    /// Begins to listen, in a task of its own that ends when the events are dropped. Entries of up
    /// to `max_bytes` wait to be taken.
    ///
    /// It listens to the Redis that `redis` writes to.
    pub fn start(redis: Redis, max_bytes: usize) -> (Self, LiveEvents) {
        let (sender, receiver) = mpsc::channel(MAX_EVENTS);
        let shared = Arc::new(Shared {
            wanted: Mutex::default(),
            changes: watch::Sender::new(0),
            hearing: Mutex::default(),
            overflow: AtomicBool::new(false),
            waiting_bytes: AtomicUsize::new(0),
            max_bytes,
        });
        let spawner = redis.spawner().clone();
        if redis.is_cluster() {
            let shards = Shards::new(redis, shared.clone(), sender);
            spawner.spawn("live shards", shards.run());
        } else {
            let listener = Listener::of_one(redis, shared.clone(), sender);
            spawner.spawn("live listener", listener.run());
        }
        let live = Self {
            shared: shared.clone(),
        };
        (live, LiveEvents { shared, receiver })
    }

    /// Asks for the entries of this LTM; [`LiveEvent::Subscribed`] says from when on they come.
    pub fn follow(&self, id: LtmId) {
        self.shared.wanted().insert(id);
        self.shared.note_change();
    }

    /// Lets this LTM go.
    pub fn unfollow(&self, id: LtmId) {
        self.shared.wanted().remove(&id);
        self.shared.note_change();
    }

    /// Whether the connection is up and a message on it has come back lately. In a cluster: with every primary that
    /// can be reached; the LTMs of one that cannot are out of reach of all.
    pub fn is_healthy(&self) -> bool {
        let hearing = self.shared.hearing();
        let mut all = hearing.values();
        all.any(|it| *it == Hearing::Good) && hearing.values().all(|it| *it != Hearing::Deaf)
    }
}

impl LiveEvents {
    /// The next event; `None` when the listener has ended, which it does not do by itself.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        if self.shared.overflow.swap(false, Ordering::SeqCst) {
            return Some(LiveEvent::Overflow);
        }
        let event = self.receiver.recv().await?;
        self.taken(&event);
        Some(event)
    }

    /// The next event, where it has happened.
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

    fn hearing(&self) -> MutexGuard<'_, HashMap<Arc<str>, Hearing>> {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how the connection to a server is now; says how it was.
    fn note(&self, server: &Arc<str>, hearing: Hearing) -> Option<Hearing> {
        self.hearing().insert(server.clone(), hearing)
    }

    fn note_overflow(&self) {
        self.overflow.store(true, Ordering::SeqCst);
    }

    fn note_change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Queues an entry, or notes that there was no room.
    fn offer(&self, sender: &mpsc::Sender<LiveEvent>, id: LtmId, entry: Entry, appended: u64) {
        let bytes = entry.payload.len();
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::SeqCst);
        let fits = waiting == 0 || waiting + bytes <= self.max_bytes;
        let event = LiveEvent::Entry(id, entry, appended);
        if !fits || sender.try_send(event).is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
            self.note_overflow();
        }
    }
}
