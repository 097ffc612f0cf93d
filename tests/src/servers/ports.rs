//! Ports for servers that are told theirs.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Where Linux takes no port from for connections and for listeners that leave the choice to it: a server that stops
/// and starts again on its port must find it free.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// A port that nothing listens on, and that this process has not handed out lately.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run side by side begin at different ports.
    let first = fastrand::u16(RANGE);
    let _ = NEXT.compare_exchange(0, first, Ordering::Relaxed, Ordering::Relaxed);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if !RANGE.contains(&port) {
            NEXT.store(RANGE.start, Ordering::Relaxed);
        } else if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
