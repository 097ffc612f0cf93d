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
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
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
    other: Other,
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
    /// Another recorder runs the thread. A page can attach to that run.
    Elsewhere,
}

/// A run that somebody else has begun, or is about to.
#[derive(Clone)]
pub(super) struct Other {
    progress: watch::Receiver<Progress>,
    wanted: Arc<Notify>,
}

/// The right to run a thread, until it is dropped.
pub(super) struct Permit {
    runs: Runs,
    thread: LtmKey,
    progress: watch::Sender<Progress>,
    /// Notified of those that wait for the thread after the end of the run.
    wanted: Arc<Notify>,
    /// Stops the run.
    pub(super) stop: CancellationToken,
}

/// The answer to the wish to run a thread.
pub(super) enum Turn {
    /// Nobody runs it.
    Mine(Box<Permit>),
    /// Somebody runs it, or is about to.
    Other(Other),
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
            return Turn::Other(run.other.clone());
        }
        if runs.len() >= self.inner.max {
            return Turn::Full;
        }
        let progress = watch::Sender::new(Progress::Beginning);
        let (stop, wanted) = (CancellationToken::new(), Arc::new(Notify::new()));
        let entry = Entry {
            stop: stop.clone(),
            other: Other {
                progress: progress.subscribe(),
                wanted: wanted.clone(),
            },
        };
        runs.insert(thread.clone(), entry);
        self.inner.count.send_replace(runs.len());
        Turn::Mine(Box::new(Permit {
            runs: self.clone(),
            thread: thread.clone(),
            progress,
            wanted,
            stop,
        }))
    }

    /// Whether this process runs the thread.
    pub(super) fn has(&self, thread: &LtmKey) -> bool {
        self.lock().contains_key(thread)
    }

    /// Stops the run of a thread; false if this process has none that goes on.
    pub(super) fn stop(&self, thread: &LtmKey) -> bool {
        let runs = self.lock();
        let run = runs.get(thread);
        let run = run.filter(|run| !run.other.is_ending());
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
    /// The run is in the log, or the next one of the same source.
    pub(super) fn has_begun(&self) {
        self.set(Progress::Running);
    }

    /// The run ends with what is written next.
    pub(super) fn is_ending(&self) {
        self.set(Progress::Ending);
    }

    /// Another recorder runs the thread: those that wait can attach to that run.
    pub(super) fn is_elsewhere(&self) {
        self.set(Progress::Elsewhere);
    }

    fn set(&self, progress: Progress) {
        self.progress.send_if_modified(|now| {
            let is_new = *now != progress;
            *now = progress;
            is_new
        });
    }

    /// Waits until somebody waits for the thread after the end of its run.
    pub(super) async fn wanted(&self) {
        loop {
            self.wanted.notified().await;
            // One receiver is that of the entry. Who has notified may have left.
            if self.progress.receiver_count() > 1 {
                return;
            }
        }
    }
}

impl Other {
    /// Whether the run ends, or has ended.
    pub(super) fn is_ending(&self) -> bool {
        *self.progress.borrow() == Progress::Ending
    }

    /// Waits until a page can attach to the run. False if the thread can be taken again: nobody would record what the page
    /// sent with the run that has ended.
    pub(super) async fn attachable(mut self) -> bool {
        loop {
            match *self.progress.borrow_and_update() {
                Progress::Running | Progress::Elsewhere => return true,
                Progress::Ending => self.wanted.notify_one(),
                Progress::Beginning => {}
            }
            // An error says that the permit is gone.
            if self.progress.changed().await.is_err() {
                return false;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if *self.progress.borrow() != Progress::Elsewhere {
            self.is_ending();
        }
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
        let other = || match runs.take(&key) {
            Turn::Other(other) => other,
            _ => panic!("it is taken"),
        };
        let early = tokio::spawn(other().attachable());
        tokio::task::yield_now().await;
        mine.has_begun();
        assert!(early.await.unwrap() && other().attachable().await);
        mine.is_ending();
        assert!(!runs.stop(&key), "it has ended");
        let late = tokio::spawn(other().attachable());
        mine.wanted().await;
        let later = tokio::spawn(other().attachable());
        drop(mine);
        assert!(!late.await.unwrap() && !later.await.unwrap());
        assert!(matches!(runs.take(&key), Turn::Mine(_)));
    }

    #[tokio::test]
    async fn all_that_wait_attach_to_a_run_of_another_recorder() {
        let runs = Runs::new(1);
        let key = LtmKey::new("app.Agent", "a").unwrap();
        let Turn::Mine(mine) = runs.take(&key) else {
            panic!("nobody runs it");
        };
        let waiting = (0..20).map(|_| match runs.take(&key) {
            Turn::Other(other) => tokio::spawn(other.attachable()),
            _ => panic!("it is taken"),
        });
        let waiting: Vec<_> = waiting.collect();
        mine.is_elsewhere();
        drop(mine);
        for waits in waiting {
            assert!(waits.await.unwrap());
        }
    }
}
