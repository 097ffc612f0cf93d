//! Supervised tasks: each has a name, and a panic in one is never lost.

use std::{
    any::Any,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::{FutureExt, TryFutureExt};
use ltm_store::Spawner;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::shutdown::Shutdown;

/// How long [`Tasks::wait`] waits for tasks that were told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The background tasks of a process. Clones share them.
///
/// If a task panics, the panic is logged with the task's name and the process shuts down: [`Tasks::wait`] then returns
/// the panic, and the process exits with a code other than 0. A task that can recover runs its risky part in
/// [`catch_panic`].
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    shutdown: Shutdown,
    panicked: Arc<OnceLock<TaskPanicked>>,
}

/// A task that panicked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task \"{task}\" panicked: {message}")]
pub struct TaskPanicked {
    /// The name of the task.
    pub task: &'static str,
    /// The message of the panic.
    pub message: String,
}

impl Tasks {
    /// No tasks yet. A panic in one begins `shutdown`.
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            ..Self::default()
        }
    }

    /// The signal that the process stops.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Runs `task` until it ends, or until [`Tasks::wait`] stops it.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(self.clone().supervise(name, task));
    }

    /// As [`Tasks::spawn`], for a task that stays on this thread.
    pub fn spawn_local(&self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.tracker.spawn_local(self.clone().supervise(name, task));
    }

    /// Lets a crate below start tasks here.
    pub fn spawner(&self) -> Spawner {
        let tasks = self.clone();
        Spawner::new(move |name, task| tasks.spawn(name, task))
    }

    /// Stops all tasks, each at its next `await`, and waits until they have ended.
    ///
    /// # Errors
    ///
    /// The first task that panicked.
    pub async fn wait(&self) -> Result<(), TaskPanicked> {
        self.stop.cancel();
        self.tracker.close();
        if timeout(STOP_LIMIT, self.tracker.wait()).await.is_err() {
            let tasks = self.tracker.len();
            tracing::warn!(tasks, "tasks did not stop in time");
        }
        self.panicked.get().cloned().map_or(Ok(()), Err)
    }

    async fn supervise(self, name: &'static str, task: impl Future<Output = ()>) {
        let outcome = self.stop.run_until_cancelled(catch_panic(name, task)).await;
        if let Some(Err(panicked)) = outcome {
            tracing::error!(task = name, "the process stops because a task panicked");
            // Only the first one counts.
            let _ = self.panicked.set(panicked);
            self.shutdown.begin();
        }
    }
}

/// Runs `task`. A panic in it is logged as an error, and the caller continues.
///
/// # Errors
///
/// The panic.
pub fn catch_panic<T>(
    name: &'static str,
    task: impl Future<Output = T>,
) -> impl Future<Output = Result<T, TaskPanicked>> {
    let panicked = move |panic: Box<dyn Any + Send>| {
        let message = message_of(&*panic);
        tracing::error!(task = name, error = message, "a task panicked");
        TaskPanicked {
            task: name,
            message,
        }
    };
    // Nothing that a task shares is used after a panic but by code that expects one. An async function
    // would keep `task` twice in its future.
    AssertUnwindSafe(task).catch_unwind().map_err(panicked)
}

/// The text that `panic!` was given.
fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_panic_stops_the_process_and_names_the_task() {
        let tasks = Tasks::default();
        tasks.spawn("quiet", async {});
        tasks.spawn_local("forever", std::future::pending());
        assert!(!tasks.shutdown().has_begun());
        tasks.spawn("broken", async { panic!("no {}", "luck") });
        tasks.shutdown().begun().await;
        let panicked = tasks.wait().await.unwrap_err();
        assert_eq!(
            panicked.to_string(),
            "the task \"broken\" panicked: no luck"
        );
    }

    #[actix_web::test]
    async fn a_task_that_recovers_does_not_stop_the_process() {
        let tasks = Tasks::default();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tasks.spawn("worker", async {
            let outcome = catch_panic("step", async { panic!("a step") }).await;
            let outcome: Result<(), TaskPanicked> = outcome;
            let _ = sender.send(outcome.is_err());
        });
        assert!(receiver.await.unwrap());
        assert!(!tasks.shutdown().has_begun());
        assert_eq!(tasks.wait().await, Ok(()));
    }
}
