//! What the receiver and the listeners share: the followed LTMs, the health of the connections, the queue.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use ltm_types::{Entry, LtmId};
use tokio::sync::{mpsc, watch};

use super::wanted::Wanted;

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

/// What the receiver and the listeners share.
pub(super) struct Shared {
    /// The number of the receiver, for logs.
    pub(super) number: usize,
    pub(super) wanted: Mutex<Wanted>,
    /// Counts the changes of `wanted`.
    pub(super) changes: watch::Sender<u64>,
    /// The health of each connection, by the address of its server.
    pub(super) health: Mutex<HashMap<Arc<str>, Health>>,
    pub(super) overflow: AtomicBool,
    pub(super) waiting_bytes: AtomicUsize,
    pub(super) max_bytes: usize,
}

/// The health of a live connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// A probe came back recently.
    Receiving,
    /// No probe has come back yet, or not recently.
    Silent,
    /// The server cannot be reached.
    Unreachable,
}

impl Shared {
    pub(super) fn new(number: usize, max_bytes: usize) -> Self {
        Self {
            number,
            wanted: Mutex::default(),
            changes: watch::Sender::new(0),
            health: Mutex::default(),
            overflow: AtomicBool::new(false),
            waiting_bytes: AtomicUsize::new(0),
            max_bytes,
        }
    }

    pub(super) fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> MutexGuard<'_, HashMap<Arc<str>, Health>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the health of the connection to a server; returns the old one.
    pub(super) fn set_health(&self, address: &Arc<str>, health: Health) -> Option<Health> {
        self.health().insert(address.clone(), health)
    }

    pub(super) fn set_overflow(&self) {
        self.overflow.store(true, Ordering::SeqCst);
    }

    pub(super) fn count_change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Queues an entry. If the queue is full, drops the entry and reports an overflow.
    pub(super) fn offer(
        &self,
        sender: &mpsc::Sender<LiveEvent>,
        id: LtmId,
        entry: Entry,
        appended: u64,
    ) {
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
