//! The states that the service holds in memory, so that a write costs its change.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use ltm_service::{ProblemResponse, Span, limit_reached};
use ltm_state::{Retention, RetentionOverride, State};
use ltm_store::{Folded, Loaded, Store, StoreError};
use ltm_types::{Entry, LtmId, Problem, ProblemKind};
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use tokio::{
    sync::{Mutex, MutexGuard, Semaphore},
    time::timeout,
};

use crate::{ApiSettings, metrics::Metrics, pace::Pace};

/// What a parsed state takes in memory for each byte of its text, about.
const MEMORY_PER_BYTE: usize = 4;
/// What an empty one takes.
const MEMORY_PER_STATE: usize = 1024;
/// The states that are expected to be held, for the cache's tables.
const EXPECTED: usize = 10_000;
/// How many checkpoints are written at once.
const CHECKPOINT_WRITERS: usize = 8;

/// The states in memory.
pub(crate) struct States {
    store: Store,
    held: Cache<LtmId, Held, ByBytes>,
    lock_wait: Duration,
    pace: Pace,
    retention: Retention,
    writers: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// How the states in memory are used.
pub(crate) struct Usage {
    pub(crate) states: u64,
    /// What they take, about.
    pub(crate) bytes: u64,
    /// Requests that found theirs, since the process began.
    pub(crate) hits: u64,
    /// Requests that did not.
    pub(crate) misses: u64,
}

/// A state in memory, and what is known of what Redis stores of it.
#[derive(Default)]
pub(crate) struct Cached {
    state: State,
    /// What was appended since the last checkpoint.
    since_checkpoint: Folded,
    /// Bytes appended since the log was trimmed, or since this was loaded.
    bytes_since_trim: usize,
    /// The `seq` up to which a trim was begun.
    trimmed: u64,
    /// What the LTM was created with.
    retention: RetentionOverride,
}

impl Cached {
    pub(crate) fn new(state: State, retention: RetentionOverride) -> Self {
        Self {
            state,
            retention,
            ..Self::default()
        }
    }

    /// The state with what the LTM was created with.
    pub(crate) fn loaded(&self) -> Loaded {
        Loaded {
            state: self.state.clone(),
            folded: self.since_checkpoint,
            retention: self.retention,
        }
    }

    /// Notes that `entry`, whose patch was applied, is in the log.
    pub(crate) fn advance(&mut self, entry: &Entry) {
        self.state.advance(entry);
        self.count(Folded {
            entries: 1,
            bytes: entry.payload.len(),
        });
    }

    fn count(&mut self, folded: Folded) {
        self.since_checkpoint.entries += folded.entries;
        self.since_checkpoint.bytes += folded.bytes;
        self.bytes_since_trim += folded.bytes;
    }
}

impl From<Loaded> for Cached {
    fn from(loaded: Loaded) -> Self {
        Self {
            state: loaded.state,
            since_checkpoint: loaded.folded,
            bytes_since_trim: loaded.folded.bytes,
            trimmed: 0,
            retention: loaded.retention,
        }
    }
}

impl Deref for Cached {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Cached {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

/// The place of one LTM's state. A request takes the state out while it works on it, so that one
/// that is cancelled half-way leaves nothing wrong behind: the next reads from Redis.
type Slot = Arc<Mutex<Option<Cached>>>;

/// A place, and what its state took in memory when it was put into the cache, which must not see
/// that change.
#[derive(Clone, Default)]
struct Held {
    slot: Slot,
    memory: usize,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<LtmId, Held> for ByBytes {
    fn weight(&self, _: &LtmId, held: &Held) -> u64 {
        (held.memory + MEMORY_PER_STATE) as u64
    }
}

/// A cache of this many bytes. It has one shard: a state must fit into its shard's part, and most
/// of the time goes into the work on a state.
#[allow(clippy::expect_used)]
fn cache(bytes: u64) -> Cache<LtmId, Held, ByBytes> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(EXPECTED)
        .weight_capacity(bytes)
        .shards(1)
        .build()
        .expect("both that it needs are given above");
    Cache::with_options(
        options,
        ByBytes,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

/// The only one in this process who works on an LTM's state.
pub(crate) struct Turn<'a> {
    states: &'a States,
    id: LtmId,
    held: &'a Held,
    guard: MutexGuard<'a, Option<Cached>>,
}

impl States {
    pub(crate) fn new(
        store: Store,
        settings: &ApiSettings,
        retention: Retention,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            held: cache(settings.cache.as_u64()),
            lock_wait: settings.lock_wait,
            pace: Pace {
                every: settings.checkpoint_every,
            },
            retention,
            writers: Arc::new(Semaphore::new(CHECKPOINT_WRITERS)),
            metrics,
        }
    }

    /// Waits for the turn to work on the state of `id`, and does `work`.
    pub(crate) async fn with<T>(
        &self,
        id: LtmId,
        work: impl AsyncFnOnce(Turn<'_>) -> Result<T, ProblemResponse>,
    ) -> Result<T, ProblemResponse> {
        let held = match self.held.get(&id) {
            Some(held) => held,
            None => {
                // Two requests may each make a place: Redis tells their writes apart.
                let held = Held::default();
                self.held.insert(id, held.clone());
                held
            }
        };
        let busy = |_| {
            limit_reached("api.lock_wait");
            let detail = format!(
                "others have been writing to LTM {id} for {:?}; try again",
                self.lock_wait
            );
            ProblemResponse(Problem::new(ProblemKind::Busy, detail))
        };
        let guard = timeout(self.lock_wait, held.slot.lock())
            .await
            .map_err(busy)?;
        work(Turn {
            states: self,
            id,
            held: &held,
            guard,
        })
        .await
    }

    /// Keeps a state that is known already.
    pub(crate) fn keep(&self, id: LtmId, state: Cached) {
        let memory = memory(&state);
        let slot = Arc::new(Mutex::new(Some(state)));
        self.held.insert(id, Held { slot, memory });
    }

    /// How the states in memory are used.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            states: self.held.len() as u64,
            bytes: self.held.weight(),
            hits: self.held.hits(),
            misses: self.held.misses(),
        }
    }

    /// Writes a checkpoint of `state` when it is due, in a task of its own.
    fn checkpoint(&self, id: LtmId, state: &mut Cached) {
        let stored = state.tree.bytes() + state.index.bytes();
        let (entries, bytes) = (state.since_checkpoint.entries, state.since_checkpoint.bytes);
        if !self.pace.is_worth(stored, entries, bytes) {
            return;
        }
        let Ok(permit) = self.writers.clone().try_acquire_owned() else {
            return;
        };
        let (store, Some(checkpoint)) = (self.store.clone(), state.checkpoint()) else {
            return;
        };
        state.since_checkpoint = Folded::default();
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            match store.save_checkpoint(id, &checkpoint).await {
                Ok(()) => metrics.checkpoint(),
                Err(error) => {
                    tracing::warn!(%id, %error, "a checkpoint was not written; the next one will do");
                }
            }
            drop(permit);
        });
    }

    /// Trims the log of `state` when it is due, in a task of its own.
    fn trim(&self, id: LtmId, state: &mut Cached) {
        let keep = state.retention.over(self.retention);
        let Some(most) = keep.max_entries else {
            return;
        };
        let kept = state.position().seq - state.index.origin().seq.max(state.trimmed);
        let excess = kept.saturating_sub(most);
        let entries = usize::try_from(excess).unwrap_or(usize::MAX);
        let (stored, bytes) = (state.tree.bytes(), state.bytes_since_trim);
        // A trim stores the state.
        if excess <= most / 4 || !self.pace.is_worth(stored, entries, bytes) {
            return;
        }
        let Ok(permit) = self.writers.clone().try_acquire_owned() else {
            return;
        };
        state.trimmed = state.position().seq - most;
        state.bytes_since_trim = 0;
        let store = self.store.clone();
        let keep = Retention {
            max_age: None,
            ..keep
        };
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            match store.trim(id, &keep, Timestamp::now()).await {
                Ok(true) => metrics.trimmed(),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%id, %error, "a log was not trimmed; the next time will do");
                }
            }
            drop(permit);
        });
    }

    /// Does not keep the state of an LTM that is gone.
    pub(crate) fn forget(&self, id: LtmId) {
        self.held.remove(&id);
    }
}

impl Turn<'_> {
    /// The state as it was last seen here, else as it is in Redis.
    pub(crate) async fn take(&mut self) -> Result<Cached, StoreError> {
        match self.guard.take() {
            Some(state) => Ok(state),
            None => self.load().await,
        }
    }

    /// The state as it is in Redis.
    pub(crate) async fn take_current(&mut self) -> Result<Cached, StoreError> {
        let state = self.take().await?;
        self.refresh(state).await
    }

    /// Folds in what Redis has beyond `state`.
    pub(crate) async fn refresh(&mut self, mut state: Cached) -> Result<Cached, StoreError> {
        let _span = Span::redis("EVALSHA", "read");
        match self.states.store.catch_up(self.id, &mut state).await {
            Ok(Some(folded)) => {
                state.count(folded);
                Ok(state)
            }
            Ok(None) => self.load().await,
            Err(error) => {
                self.forget_missing(&error);
                Err(error)
            }
        }
    }

    async fn load(&mut self) -> Result<Cached, StoreError> {
        let _span = Span::redis("HMGET", "load");
        let loaded = self.states.store.state(self.id).await;
        if let Err(error) = &loaded {
            self.forget_missing(error);
        }
        loaded.map(Cached::from)
    }

    /// Does not keep a place for an LTM that is not there.
    fn forget_missing(&self, error: &StoreError) {
        if matches!(error, StoreError::Unknown(_) | StoreError::Deleted { .. }) {
            self.states.forget(self.id);
        }
    }

    /// Keeps the state for the next request.
    pub(crate) fn put(mut self, mut state: Cached) {
        self.states.checkpoint(self.id, &mut state);
        self.states.trim(self.id, &mut state);
        let memory = memory(&state);
        *self.guard = Some(state);
        if memory.abs_diff(self.held.memory) > self.held.memory / 8 {
            let slot = self.held.slot.clone();
            self.states.held.insert(self.id, Held { slot, memory });
        }
    }
}

fn memory(state: &State) -> usize {
    let tree = state.tree.bytes().saturating_mul(MEMORY_PER_BYTE);
    tree.saturating_add(state.index.bytes())
}
