//! The states that the service holds in memory, so that a write costs its change.

use std::{sync::Arc, time::Duration};

use bytestring::ByteString;
use ltm_service::ProblemResponse;
use ltm_store::{State, Store, StoreError};
use ltm_types::{LtmId, Problem, ProblemKind};
use quick_cache::{Weighter, sync::Cache};
use tokio::{
    sync::{Mutex, MutexGuard, Semaphore},
    time::timeout,
};

use crate::ApiSettings;

/// What a parsed state takes in memory for each byte of its text, about.
const MEMORY_PER_BYTE: usize = 4;
/// What an empty one takes.
const MEMORY_PER_STATE: usize = 1024;
/// The states that are expected to be held, for the cache's tables.
const EXPECTED: usize = 10_000;
/// Checkpoints of small states are not worth more writes than this many bytes of entries need.
const LEAST_CHECKPOINT: usize = 64 * 1024;
/// How many checkpoints are written at once.
const CHECKPOINT_WRITERS: usize = 8;

/// The states in memory.
pub(crate) struct States {
    store: Store,
    held: Cache<LtmId, Held, ByBytes>,
    lock_wait: Duration,
    checkpoint_every: usize,
    writers: Arc<Semaphore>,
}

/// The place of one LTM's state. A request takes the state out while it works on it, so that one
/// that is cancelled half-way leaves nothing wrong behind: the next reads from Redis.
type Slot = Arc<Mutex<Option<State>>>;

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

/// The only one in this process who works on an LTM's state.
pub(crate) struct Turn<'a> {
    states: &'a States,
    id: LtmId,
    held: &'a Held,
    guard: MutexGuard<'a, Option<State>>,
}

impl States {
    pub(crate) fn new(store: Store, settings: &ApiSettings) -> Self {
        Self {
            store,
            held: Cache::with_weighter(EXPECTED, settings.cache.as_u64(), ByBytes),
            lock_wait: settings.lock_wait,
            checkpoint_every: settings.checkpoint_every,
            writers: Arc::new(Semaphore::new(CHECKPOINT_WRITERS)),
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
    pub(crate) fn keep(&self, id: LtmId, state: State) {
        let memory = memory(&state);
        let slot = Arc::new(Mutex::new(Some(state)));
        self.held.insert(id, Held { slot, memory });
    }

    /// Writes a checkpoint of `state` when it is due, in a task of its own.
    fn checkpoint(&self, id: LtmId, state: &mut State) {
        let due = state.bytes_since > state.tree.bytes().max(LEAST_CHECKPOINT)
            || state.entries_since >= self.checkpoint_every;
        let (true, Some(cursor)) = (due, state.cursor) else {
            return;
        };
        let Ok(permit) = self.writers.clone().try_acquire_owned() else {
            return;
        };
        let (store, text, count) = (
            self.store.clone(),
            ByteString::from(state.text()),
            state.snapshots_count,
        );
        (state.bytes_since, state.entries_since) = (0, 0);
        tokio::spawn(async move {
            if let Err(error) = store.save_checkpoint(id, cursor, text, count).await {
                tracing::warn!(%id, %error, "a checkpoint was not written; the next one will do");
            }
            drop(permit);
        });
    }
}

impl Turn<'_> {
    /// The state as it was last seen here, else as it is in Redis.
    pub(crate) async fn take(&mut self) -> Result<State, StoreError> {
        match self.guard.take() {
            Some(state) => Ok(state),
            None => self.load().await,
        }
    }

    /// The state as it is in Redis.
    pub(crate) async fn take_current(&mut self) -> Result<State, StoreError> {
        let state = self.take().await?;
        self.refresh(state).await
    }

    /// Folds in what Redis has beyond `state`.
    pub(crate) async fn refresh(&mut self, mut state: State) -> Result<State, StoreError> {
        match self.states.store.catch_up(self.id, &mut state).await {
            Ok(true) => Ok(state),
            Ok(false) => self.load().await,
            Err(error) => {
                self.forget_unknown(&error);
                Err(error)
            }
        }
    }

    async fn load(&mut self) -> Result<State, StoreError> {
        let loaded = self.states.store.state(self.id).await;
        if let Err(error) = &loaded {
            self.forget_unknown(error);
        }
        loaded
    }

    /// Does not keep a place for an LTM that is not there.
    fn forget_unknown(&self, error: &StoreError) {
        if matches!(error, StoreError::Unknown(_)) {
            self.states.held.remove(&self.id);
        }
    }

    /// Keeps the state for the next request.
    pub(crate) fn put(mut self, mut state: State) {
        self.states.checkpoint(self.id, &mut state);
        let memory = memory(&state);
        *self.guard = Some(state);
        if memory.abs_diff(self.held.memory) > self.held.memory / 8 {
            let slot = self.held.slot.clone();
            self.states.held.insert(self.id, Held { slot, memory });
        }
    }
}

fn memory(state: &State) -> usize {
    state.tree.bytes().saturating_mul(MEMORY_PER_BYTE)
}
