//! Large JSON is handled on another thread, so that a thread that serves connections goes on with others.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// Less JSON than this is handled at once. That takes less than a millisecond.
const SMALL: usize = 64 * 1024;

/// Does `work` on JSON of about this many bytes: here, or on another thread if it is large.
pub async fn apart<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if bytes <= SMALL {
        return work();
    }
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => resume_unwind(error.into_panic()),
    }
}
