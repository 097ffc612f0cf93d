//! Large JSON is read, compared and applied on threads of its own, so that the threads of the server go on with other
//! requests.

use std::{panic::resume_unwind, sync::Arc, thread::available_parallelism, time::Duration};

use ltm_service::LimitsHit;
use ltm_state::State;
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use crate::ApiSettings;

/// Less JSON than this is handled at once. That takes less than a millisecond.
const SMALL: usize = 64 * 1024;

/// The threads for large JSON. Clones share them.
#[derive(Clone)]
pub(crate) struct JsonWork {
    threads: Arc<Semaphore>,
    wait: Duration,
    limits: LimitsHit,
    requests: Gauge,
}

/// All threads for large JSON were busy for `api.json_wait`.
#[derive(Debug, thiserror::Error)]
#[error(
    "large requests have kept all threads for JSON busy for {0:?} (api.json_threads, api.json_wait); try again"
)]
pub(crate) struct Overloaded(Duration);

/// Counts a request while it waits or works.
struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A thread that a request may use.
struct Thread {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

impl JsonWork {
    pub(crate) fn new(settings: &ApiSettings, limits: LimitsHit) -> Self {
        let threads = match settings.json_threads {
            0 => available_parallelism()
                .map_or(1, |cores| cores.get() - 1)
                .max(1),
            threads => threads,
        };
        Self {
            threads: Arc::new(Semaphore::new(threads)),
            wait: settings.json_wait,
            limits,
            requests: Gauge::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "json_work_requests",
            "Requests whose large JSON is being handled, or waits for a thread",
            self.requests.clone(),
        );
    }

    /// Does `work` on JSON of about this many bytes, here or on another thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        if bytes <= SMALL {
            return Ok(work());
        }
        let thread = self.thread().await?;
        Ok(on(thread, work).await)
    }

    /// Does `work` on `state`, here or on another thread. If the request is given up meanwhile, the state is lost:
    /// what is left is a state before the first entry.
    pub(crate) async fn run_on<T: Send + 'static>(
        &self,
        bytes: usize,
        state: &mut State,
        work: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        if bytes <= SMALL {
            return Ok(work(state));
        }
        let thread = self.thread().await?;
        let mut taken = std::mem::take(state);
        let work = move || {
            let done = work(&mut taken);
            (taken, done)
        };
        let (worked, done) = on(thread, work).await;
        *state = worked;
        Ok(done)
    }

    async fn thread(&self) -> Result<Thread, Overloaded> {
        self.requests.inc();
        let counted = Counted(self.requests.clone());
        match timeout(self.wait, self.threads.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Thread {
                _permit: permit,
                _counted: counted,
            }),
            // Nothing closes the semaphore.
            Ok(Err(_)) | Err(_) => {
                self.limits.hit("api.json_wait");
                Err(Overloaded(self.wait))
            }
        }
    }
}

async fn on<T: Send + 'static>(thread: Thread, work: impl FnOnce() -> T + Send + 'static) -> T {
    // The thread is busy until the work is done, even if nobody waits for it any more.
    let done = spawn_blocking(move || {
        let done = work();
        drop(thread);
        done
    });
    match done.await {
        Ok(done) => done,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Drops something of about this many bytes of memory, on another thread if it is large.
pub(crate) async fn drop_elsewhere(memory: usize, what: impl Send + 'static) {
    on_drop_thread(memory, move || drop(what)).await;
}

/// Does `work` that drops about this many bytes of memory, on another thread if they are many. It waits for no other
/// request, because what was dropped makes room for them.
pub(crate) async fn on_drop_thread(memory: usize, work: impl FnOnce() + Send + 'static) {
    if memory <= 16 * SMALL {
        work();
    } else if let Err(error) = spawn_blocking(work).await {
        resume_unwind(error.into_panic());
    }
}
