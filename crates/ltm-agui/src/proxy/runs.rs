//! The runs of this process: at most one for each thread.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ltm_client::LtmKey;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::source::failed;
use crate::record::End;

/// How long the end of a run may take when the process stops.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// The runs of this process. Clones share them.
#[derive(Clone)]
pub(super) struct Runs {
    inner: Arc<Inner>,
}

struct Inner {
    max: usize,
    runs: Mutex<HashMap<LtmKey, Entry>>,
    count: watch::Sender<usize>,
    /// Whether the process stops.
    stopping: AtomicBool,
}

struct Entry {
    stop: CancellationToken,
    progress: watch::Receiver<Progress>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is not in the log yet.
    Beginning,
    /// A page can attach to it.
    Running,
    /// Its end is being written, or is in the log already. A page that comes now wants the next run.
    Ending,
}

/// The right to run a thread, until it is dropped.
pub(super) struct Permit {
    runs: Runs,
    thread: LtmKey,
    progress: watch::Sender<Progress>,
    /// Stops the run.
    pub(super) stop: CancellationToken,
}

/// The answer to the wish to run a thread.
pub(super) enum Turn {
    /// Nobody runs it.
    Mine(Box<Permit>),
    /// Somebody runs it, or is about to. The sender is gone when the thread can be taken again.
    Other(watch::Receiver<Progress>),
    /// As many runs as allowed are there.
    Full,
}

impl Runs {
    pub(super) fn new(max: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                max,
                runs: Mutex::default(),
                count: watch::Sender::new(0),
                stopping: AtomicBool::new(false),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LtmKey, Entry>> {
        self.inner
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self, thread: &LtmKey) -> Turn {
        let mut runs = self.lock();
        if let Some(run) = runs.get(thread) {
            return Turn::Other(run.progress.clone());
        }
        if runs.len() >= self.inner.max {
            return Turn::Full;
        }
        let progress = watch::Sender::new(Progress::Beginning);
        let stop = CancellationToken::new();
        let entry = Entry {
            stop: stop.clone(),
            progress: progress.subscribe(),
        };
        runs.insert(thread.clone(), entry);
        self.inner.count.send_replace(runs.len());
        Turn::Mine(Box::new(Permit {
            runs: self.clone(),
            thread: thread.clone(),
            progress,
            stop,
        }))
    }

    /// Whether this process runs the thread.
    pub(super) fn has(&self, thread: &LtmKey) -> bool {
        self.lock().contains_key(thread)
    }

    /// Stops the run of a thread; false if this process has none.
    pub(super) fn stop(&self, thread: &LtmKey) -> bool {
        let runs = self.lock();
        let run = runs.get(thread);
        if let Some(run) = run {
            run.stop.cancel();
        }
        run.is_some()
    }

    /// Lets the runs go on for a time, then stops them.
    pub(super) async fn drain(&self, time: Duration) {
        if timeout(time, self.ended()).await.is_ok() {
            return;
        }
        self.inner.stopping.store(true, Ordering::Relaxed);
        for run in self.lock().values() {
            run.stop.cancel();
        }
        if timeout(LAST_WRITE, self.ended()).await.is_err() {
            tracing::warn!("runs could not be ended in time; they count as lost after their lease");
        }
    }

    /// How a run ends that was stopped.
    pub(super) fn stopped(&self) -> End {
        match self.inner.stopping.load(Ordering::Relaxed) {
            true => failed("recorder-stopped", "the recorder was stopped".into()),
            false => End::Cancelled,
        }
    }

    /// Waits until there is no run.
    async fn ended(&self) {
        let mut count = self.inner.count.subscribe();
        // The sender lives as long as `self`.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Permit {
    /// The run is in the log.
    pub(super) fn has_begun(&self) {
        self.progress.send_if_modified(|now| {
            let is_new = *now == Progress::Beginning;
            if is_new {
                *now = Progress::Running;
            }
            is_new
        });
    }

    /// The run ends with what is written next.
    pub(super) fn is_ending(&self) {
        self.progress.send_replace(Progress::Ending);
    }
}

/// Waits until the thread of a run can be taken again.
pub(super) async fn dropped(mut progress: watch::Receiver<Progress>) {
    // An error says that the permit is gone.
    let _ = progress.wait_for(|_| false).await;
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.is_ending();
        let mut runs = self.runs.lock();
        runs.remove(&self.thread);
        self.runs.inner.count.send_replace(runs.len());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_thread_has_one_run_and_the_process_as_many_as_allowed() {
        let runs = Runs::new(2);
        let key = |key: &str| LtmKey::new("app.Agent", key).unwrap();
        let mine = runs.take(&key("a"));
        assert!(matches!(mine, Turn::Mine(_)));
        assert!(matches!(runs.take(&key("a")), Turn::Other(_)));
        let _other = runs.take(&key("b"));
        assert!(matches!(runs.take(&key("c")), Turn::Full));
        assert!(runs.stop(&key("a")) && !runs.stop(&key("c")));
        drop(mine);
        assert!(!runs.has(&key("a")));
        assert!(matches!(runs.take(&key("c")), Turn::Mine(_)));
    }

    #[tokio::test]
    async fn a_run_can_be_attached_to_between_its_beginning_and_its_end() {
        let runs = Runs::new(1);
        let key = LtmKey::new("app.Agent", "a").unwrap();
        let Turn::Mine(mine) = runs.take(&key) else {
            panic!("nobody runs it");
        };
        let Turn::Other(progress) = runs.take(&key) else {
            panic!("it is taken");
        };
        assert_eq!(*progress.borrow(), Progress::Beginning);
        mine.has_begun();
        assert_eq!(*progress.borrow(), Progress::Running);
        mine.is_ending();
        mine.has_begun();
        assert_eq!(*progress.borrow(), Progress::Ending);
        drop(mine);
        dropped(progress).await;
        assert!(matches!(runs.take(&key), Turn::Mine(_)));
    }
}
