//! The states in memory, so that a write costs its change.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::Arc,
    thread,
    time::Duration,
};

use jiff::Timestamp;
use ltm_service::{ByteCache, Bytes, LimitsHit, Span, byte_cache};
use ltm_state::{Checkpoint, Retention, RetentionOverride, State};
use ltm_store::{FoldCost, LoadedState, Spawner, Store, StoreError, apart};
use ltm_types::{Cursor, Entry, LtmId};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::checkpoint_policy::CheckpointPolicy;
use crate::{ApiSettings, metrics::Metrics};

/// What an empty state takes in memory, in bytes, about.
const MEMORY_PER_STATE: usize = 1024;
/// The expected number of states, for the cache's tables.
const EXPECTED_STATES: usize = 10_000;
/// How many checkpoints and trims may be written at once.
const MAX_WRITERS: usize = 8;
/// A larger state is made text on another thread, and no other large one at the same time.
const LARGE: usize = 64 * 1024;

/// The states in memory.
pub(crate) struct StateCache {
    store: Store,
    slots: ByteCache<LtmId, CacheEntry>,
    lock_wait: Duration,
    policy: CheckpointPolicy,
    retention: Retention,
    writers: Arc<Semaphore>,
    large_writer: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    limits: LimitsHit,
}

/// How the cache is used.
pub(super) struct CacheUsage {
    /// States in memory.
    pub(super) states: u64,
    /// What they take in memory, about.
    pub(super) bytes: u64,
    /// Requests that found their state, since the process started.
    pub(super) hits: u64,
    /// Requests that did not.
    pub(super) misses: u64,
}

/// Why an LTM's state cannot be locked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Other requests of this process held it for longer than `api.lock_wait`.
    #[error("others have been writing to LTM {id} for {waited:?}; try again")]
    Busy {
        /// Which LTM.
        id: LtmId,
        /// How long the request waited.
        waited: Duration,
    },
    /// It cannot be loaded.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A state in memory, and what is known of the keys beside its log.
#[derive(Default)]
pub(crate) struct Cached {
    state: State,
    /// What was appended since the last checkpoint.
    since_checkpoint: FoldCost,
    /// Bytes appended since the log was trimmed, or since the state was loaded.
    bytes_since_trim: usize,
    /// The `seq` up to which a trim was started.
    trimmed: u64,
    /// The bytes of all payloads in the log, about; `None` if nobody has counted them.
    log_bytes: Option<u64>,
    /// What the LTM was created with.
    retention: RetentionOverride,
}

/// The slot of one LTM's state. A request takes the state out while it works on it; after a panic the slot
/// stays empty, and the next request loads the state from Redis.
type Slot = Arc<Mutex<Option<Cached>>>;

/// A slot, and what its state took in memory when the cache weighed it: the weight of an entry must not change
/// while it is in the cache.
#[derive(Clone, Default)]
struct CacheEntry {
    slot: Slot,
    memory: usize,
}

impl Bytes for CacheEntry {
    fn bytes(&self) -> u64 {
        (self.memory + MEMORY_PER_STATE) as u64
    }
}

impl StateCache {
    pub(crate) fn new(
        store: Store,
        settings: &ApiSettings,
        retention: Retention,
        metrics: Arc<Metrics>,
        limits: LimitsHit,
    ) -> Self {
        Self {
            store,
            slots: byte_cache(settings.cache.as_u64(), EXPECTED_STATES),
            lock_wait: settings.lock_wait,
            policy: CheckpointPolicy {
                every: settings.checkpoint_every,
            },
            retention,
            writers: Arc::new(Semaphore::new(MAX_WRITERS)),
            large_writer: Arc::new(Semaphore::new(1)),
            metrics,
            limits,
        }
    }

    /// Locks the state of an LTM: until the guard is dropped, no other request of this process works on it. It
    /// is the state in memory, which may lack the latest entries, or else the state in Redis.
    pub(crate) async fn lock(self: &Arc<Self>, id: LtmId) -> Result<StateGuard, LockError> {
        let entry = match self.slots.get(&id) {
            Some(entry) => entry,
            None => {
                // Two requests may each make a slot: Redis serialises their writes.
                let entry = CacheEntry::default();
                self.slots.insert(id, entry.clone());
                entry
            }
        };
        let waited = self.lock_wait;
        let Ok(mut slot) = timeout(waited, entry.slot.clone().lock_owned()).await else {
            self.limits.hit("api.lock_wait");
            return Err(LockError::Busy { id, waited });
        };
        let (cached, is_current) = match slot.take() {
            Some(cached) => (cached, false),
            None => (self.load(id).await?, true),
        };
        Ok(StateGuard {
            cache: self.clone(),
            id,
            cached,
            is_current,
            slot: Some(slot),
            entry,
        })
    }

    /// As [`StateCache::lock`], with all entries that are in Redis.
    pub(crate) async fn lock_current(self: &Arc<Self>, id: LtmId) -> Result<StateGuard, LockError> {
        let mut guard = self.lock(id).await?;
        if !guard.is_current {
            guard.refresh().await?;
        }
        Ok(guard)
    }

    async fn load(&self, id: LtmId) -> Result<Cached, StoreError> {
        let _span = Span::redis("HMGET", "load");
        let loaded = self.store.state(id).await;
        if let Err(error) = &loaded {
            self.forget_missing(id, error);
        }
        Ok(loaded?.into())
    }

    /// Keeps a state that is known already.
    pub(crate) fn keep(&self, id: LtmId, cached: Cached) {
        let memory = memory(&cached.state);
        let slot = Arc::new(Mutex::new(Some(cached)));
        self.slots.insert(id, CacheEntry { slot, memory });
    }

    /// Drops the state of an LTM that is gone.
    pub(crate) fn forget(&self, id: LtmId) {
        self.slots.remove(&id);
    }

    /// Drops the slot of an LTM that Redis does not have.
    pub(crate) fn forget_missing(&self, id: LtmId, error: &StoreError) {
        if matches!(error, StoreError::Unknown(_) | StoreError::Deleted { .. }) {
            self.forget(id);
        }
    }

    /// Ends the lock of a state.
    fn put_back(
        &self,
        id: LtmId,
        entry: CacheEntry,
        mut slot: OwnedMutexGuard<Option<Cached>>,
        cached: Cached,
    ) {
        let memory = memory(&cached.state);
        *slot = Some(cached);
        if memory.abs_diff(entry.memory) > entry.memory / 8 {
            let slot = entry.slot;
            self.reweigh(id, CacheEntry { slot, memory });
        }
    }

    /// Weighs an entry anew, unless it was dropped meanwhile.
    fn reweigh(&self, id: LtmId, entry: CacheEntry) {
        let slot = &entry.slot;
        let is_held = |held: CacheEntry| Arc::ptr_eq(&held.slot, slot);
        if self.slots.peek(&id).is_some_and(is_held) {
            self.slots.insert(id, entry);
        }
    }

    /// How the cache is used.
    pub(super) fn usage(&self) -> CacheUsage {
        CacheUsage {
            states: self.slots.len() as u64,
            bytes: self.slots.weight(),
            hits: self.slots.hits(),
            misses: self.slots.misses(),
        }
    }

    /// The permits to write a checkpoint, if one is due.
    fn due_checkpoint(&self, cached: &Cached) -> Option<CheckpointPermit> {
        let bytes = cached.state.tree.bytes();
        let stored = bytes + cached.state.index.bytes();
        if !self.policy.is_due(stored, cached.since_checkpoint) {
            return None;
        }
        let large = match bytes {
            0..=LARGE => None,
            _ => Some(self.large_writer.clone().try_acquire_owned().ok()?),
        };
        let writer = self.writers.clone().try_acquire_owned().ok()?;
        Some(CheckpointPermit { writer, large })
    }

    /// Writes a checkpoint.
    async fn write_checkpoint(&self, id: LtmId, checkpoint: &Checkpoint) {
        match self.store.save_checkpoint(id, checkpoint).await {
            Ok(()) => self.metrics.checkpoint(),
            Err(error) => {
                tracing::warn!(%id, %error, "checkpoint not written; the next one will replace it");
            }
        }
    }

    fn spawner(&self) -> &Spawner {
        self.store.redis().spawner()
    }

    /// Trims the log if it holds many more entries than `max_entries`, or bytes than `max_bytes`, in a task of its own.
    fn trim(&self, id: LtmId, cached: &mut Cached) {
        let keep = cached.retention.over(self.retention);
        let head = cached.state.cursor.seq;
        let kept = head - cached.state.index.origin().seq.max(cached.trimmed);
        let excess = keep.max_entries.map_or(0, |most| kept.saturating_sub(most));
        let has_too_many = keep.max_entries.is_some_and(|most| excess > most / 4);
        let has_too_much = keep.max_bytes.is_some_and(|most| {
            let most = most.as_u64();
            cached
                .log_bytes
                .is_none_or(|bytes| bytes > most.saturating_add(most / 4))
        });
        // A trim stores the state.
        let due = FoldCost {
            entries: if has_too_many {
                usize::try_from(excess).unwrap_or(usize::MAX)
            } else {
                0
            },
            bytes: cached.bytes_since_trim,
        };
        let is_wanted = has_too_many || has_too_much;
        if !is_wanted || !self.policy.is_due(cached.state.tree.bytes(), due) {
            return;
        }
        let Ok(permit) = self.writers.clone().try_acquire_owned() else {
            return;
        };
        if let Some(max_entries) = keep.max_entries.filter(|_| has_too_many) {
            cached.trimmed = head - max_entries;
        }
        if let Some(max_bytes) = keep.max_bytes {
            let most = max_bytes.as_u64();
            cached.log_bytes = Some(cached.log_bytes.map_or(most, |bytes| bytes.min(most)));
        }
        cached.bytes_since_trim = 0;
        let keep = Retention {
            max_age: None,
            ..keep
        };
        let (store, metrics) = (self.store.clone(), self.metrics.clone());
        self.spawner().spawn("trim", async move {
            match store.trim(id, &keep, Timestamp::now()).await {
                Ok(true) => metrics.trimmed(),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%id, %error, "log not trimmed; the next trim will remove more");
                }
            }
            drop(permit);
        });
    }
}

impl Cached {
    /// An LTM whose log is empty so far.
    pub(crate) fn new(state: State, retention: RetentionOverride) -> Self {
        Self {
            state,
            retention,
            log_bytes: Some(0),
            ..Self::default()
        }
    }

    /// What its state takes in memory, in bytes, about.
    pub(crate) fn memory(&self) -> usize {
        memory(&self.state)
    }

    /// Notes that `entry`, whose patch was applied, is in the log.
    pub(crate) fn advance(&mut self, entry: &Entry) {
        self.state.advance(entry);
        self.count(FoldCost {
            entries: 1,
            bytes: entry.payload.len(),
        });
    }

    fn count(&mut self, folded: FoldCost) {
        self.since_checkpoint.entries += folded.entries;
        self.since_checkpoint.bytes += folded.bytes;
        self.bytes_since_trim += folded.bytes;
        if let Some(bytes) = &mut self.log_bytes {
            *bytes = bytes.saturating_add(folded.bytes as u64);
        }
    }
}

impl From<LoadedState> for Cached {
    fn from(loaded: LoadedState) -> Self {
        Self {
            state: loaded.state,
            since_checkpoint: loaded.folded,
            bytes_since_trim: loaded.folded.bytes,
            trimmed: 0,
            log_bytes: loaded.log_bytes,
            retention: loaded.retention,
        }
    }
}

/// The locked state of one LTM. When the guard is dropped, the state goes back into the cache: it may be old
/// then, but it is always a state that the log led to.
pub(crate) struct StateGuard {
    cache: Arc<StateCache>,
    id: LtmId,
    cached: Cached,
    is_current: bool,
    slot: Option<OwnedMutexGuard<Option<Cached>>>,
    entry: CacheEntry,
}

impl StateGuard {
    /// The LTM.
    pub(crate) fn id(&self) -> LtmId {
        self.id
    }

    /// Whether the state was compared with Redis since it was locked.
    pub(crate) fn is_current(&self) -> bool {
        self.is_current
    }

    /// Folds in the entries that Redis has beyond the state; loads it if the log does not continue from it.
    pub(crate) async fn refresh(&mut self) -> Result<(), StoreError> {
        let span = Span::redis("EVALSHA", "read");
        let store = &self.cache.store;
        let folded = store.catch_up(self.id, &mut self.cached.state).await;
        drop(span);
        match folded {
            Ok(Some(folded)) => self.cached.count(folded),
            Ok(None) => self.cached = self.cache.load(self.id).await?,
            Err(error) => {
                self.cache.forget_missing(self.id, &error);
                if matches!(error, StoreError::Damaged { .. }) {
                    // An entry may have been folded in part.
                    self.cached = Cached::default();
                }
                return Err(error);
            }
        }
        self.is_current = true;
        Ok(())
    }

    /// Notes that `entry`, whose patch was applied, is in the log.
    pub(crate) fn advance(&mut self, entry: &Entry) {
        self.cached.advance(entry);
    }

    /// A copy of the state, with what the LTM was created with.
    pub(crate) fn loaded(&self) -> LoadedState {
        LoadedState {
            state: self.cached.state.clone(),
            folded: self.cached.since_checkpoint,
            retention: self.cached.retention,
            log_bytes: self.cached.log_bytes,
        }
    }
}

impl Deref for StateGuard {
    type Target = State;

    fn deref(&self) -> &State {
        &self.cached.state
    }
}

impl DerefMut for StateGuard {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.cached.state
    }
}

impl Drop for StateGuard {
    fn drop(&mut self) {
        // A panic may have left a patch half applied.
        if thread::panicking() {
            return;
        }
        // The state was lost on the way; the next request loads it.
        if self.cached.state.cursor == Cursor::ORIGIN {
            return;
        }
        let Some(slot) = self.slot.take() else { return };
        let (cache, id) = (self.cache.clone(), self.id);
        let (mut cached, entry) = (mem::take(&mut self.cached), mem::take(&mut self.entry));
        cache.trim(id, &mut cached);
        let Some(permit) = cache.due_checkpoint(&cached) else {
            cache.put_back(id, entry, slot, cached);
            return;
        };
        cached.since_checkpoint = FoldCost::default();
        let spawner = cache.spawner().clone();
        if permit.large.is_none() {
            let checkpoint = cached.state.checkpoint();
            cache.put_back(id, entry, slot, cached);
            spawner.spawn("checkpoint", async move {
                if let Some(checkpoint) = checkpoint {
                    cache.write_checkpoint(id, &checkpoint).await;
                }
                drop(permit);
            });
            return;
        }
        // The state stays locked until its text is written.
        spawner.spawn("checkpoint", async move {
            let bytes = cached.state.tree.bytes();
            let write = move || (cached.state.checkpoint(), cached);
            let (checkpoint, cached) = apart(bytes, write).await;
            cache.put_back(id, entry, slot, cached);
            drop(permit.large);
            if let Some(checkpoint) = checkpoint {
                cache.write_checkpoint(id, &checkpoint).await;
            }
            drop(permit.writer);
        });
    }
}

/// The right to write a checkpoint.
struct CheckpointPermit {
    writer: OwnedSemaphorePermit,
    /// For a large state.
    large: Option<OwnedSemaphorePermit>,
}

/// What a state takes in memory, in bytes, about.
fn memory(state: &State) -> usize {
    state.tree.memory().saturating_add(state.index.bytes())
}
