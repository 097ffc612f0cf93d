//! Tasks on threads of their own.

use std::time::Duration;

use crate::error::Error;

/// Runs all tasks at once, and calls `watch` now and then while they run. Returns the first error after all have
/// ended.
pub(crate) fn run_all<T>(tasks: Vec<T>, watch: impl Fn()) -> Result<(), Error>
where
    T: FnOnce() -> Result<(), Error> + Send,
{
    std::thread::scope(|scope| {
        let working: Vec<_> = tasks.into_iter().map(|task| scope.spawn(task)).collect();
        while working.iter().any(|task| !task.is_finished()) {
            watch();
            std::thread::sleep(Duration::from_millis(20));
        }
        let ends = working.into_iter().map(|task| {
            // The message of a panic has been printed.
            task.join().unwrap_or(Err(Error::Panicked))
        });
        ends.collect()
    })
}
