//! What a process remembers of the index of the lists.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use ltm_types::{LtmId, keys};
use redis::Cmd;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much older than the last update of an LTM the time in the index may be.
pub(crate) const STALE_FOR: Duration = Duration::from_secs(60);
/// The most LTMs that a process brings up to date at once. The marks of the others wait for the check.
const MAX_AT_ONCE: usize = 256;
/// The most LTMs of whose updates a process remembers when it told the index.
const MAX_REMEMBERED: usize = 100_000;

/// The mark of an LTM whose place in the index may change: when it was set, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) i64);

impl Mark {
    pub(crate) fn now() -> Self {
        Self(Timestamp::now().as_microsecond())
    }

    /// The command that sets the mark.
    pub(crate) fn set(self, id: LtmId) -> Cmd {
        let mut set = redis::cmd("ZADD");
        set.arg(keys::LIST_MARKED).arg(self.0);
        set.arg(keys::index_member(id));
        set
    }
}

/// When this process told the index that an LTM was updated. Clones share it.
#[derive(Clone)]
pub(crate) struct Told {
    permits: Arc<Semaphore>,
    times: Arc<Mutex<HashMap<LtmId, Timestamp>>>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MAX_AT_ONCE)),
            times: Arc::default(),
        }
    }
}

impl Told {
    /// Whether the index should be told of this update; if so, remembers that it was.
    pub(crate) fn tell(&self, id: LtmId, now: Timestamp) -> bool {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |then: &Timestamp| now.duration_since(*then).unsigned_abs() < STALE_FOR / 2;
        if times.get(&id).is_some_and(is_recent) {
            return false;
        }
        if times.len() >= MAX_REMEMBERED {
            // An LTM that is forgotten is told once more.
            times.clear();
        }
        times.insert(id, now);
        true
    }

    /// Permits to bring one LTM up to date; `None` if that many are.
    pub(crate) fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_owned().ok()
    }
}
