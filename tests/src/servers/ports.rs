//! Ports for servers that do not choose one themselves.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the ports that Linux gives to connections, and to listeners on port 0. So a server that restarts finds its port
/// free.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// A port that nothing listens on. This process does not return it again for a long time.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time begin at different ports.
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
