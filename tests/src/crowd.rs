//! Tests with thousands of sockets.

use tokio::sync::{Mutex, MutexGuard};

/// One test's turn to open thousands of sockets: this process, and each service, may only open so many.
pub struct Crowd {
    /// How many sockets the test may open.
    pub size: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Crowd {
    /// Waits until no other test has one. It is as large as asked for, or what this machine lets one process open while
    /// other tests go on beside it.
    pub async fn of(wanted: usize) -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let limit = rlimit::increase_nofile_limit(u64::MAX).expect("the limit can be read");
        let most = usize::try_from(limit).unwrap_or(usize::MAX) / 2;
        Self {
            size: wanted.min(most),
            _turn: turn,
        }
    }
}

/// A size of a test: the first, or the second in a soak test (`make soak`).
pub fn size<T>(short: T, soak: T) -> T {
    if std::env::var_os("LTM_TEST_SOAK").is_some() {
        soak
    } else {
        short
    }
}
