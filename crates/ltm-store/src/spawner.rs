//! Starts the background tasks of the store. The process decides how it supervises them.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

/// A background task.
pub type BoxedTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts background tasks, each with a name. Clones share the function that starts them. By default nobody supervises
/// the tasks, which is enough for a command.
#[derive(Clone)]
pub struct Spawner(Arc<dyn Fn(&'static str, BoxedTask) + Send + Sync>);

impl Spawner {
    /// Starts tasks with `spawn`, which gets the name and the task.
    pub fn new(spawn: impl Fn(&'static str, BoxedTask) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    /// Starts a task.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        (self.0)(name, Box::pin(task));
    }
}

impl Default for Spawner {
    fn default() -> Self {
        Self::new(|_, task| {
            tokio::spawn(task);
        })
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}
