//! Tests with thousands of sockets.

use tokio::sync::{Mutex, MutexGuard};

/// A permit to open thousands of sockets. One test holds it at a time: the system limits how many sockets this process
/// and each service may open.
pub struct Crowd {
    /// How many sockets the test may open.
    pub size: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Crowd {
    /// Waits until no other test holds the permit. Its size is as asked for, but at most half of what the system allows one
    /// process, because other tests run at the same time.
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

/// The size of a test: the first value, or the second in `make soak`.
pub fn size<T>(short: T, soak: T) -> T {
    if std::env::var_os("LTM_TEST_SOAK").is_some() {
        soak
    } else {
        short
    }
}
