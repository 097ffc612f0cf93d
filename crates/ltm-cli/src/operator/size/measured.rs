//! What the services take, as measured. docs/performance.md ("Constants of `ltm size`") has the same figures, and the
//! command for each; a test compares them.

/// A figure, its row in docs/performance.md, and how it was measured.
#[cfg(test)]
pub(super) type Row = (&'static str, f64, &'static str);

/// CPU µs of the gateway to write a message to one more subscriber of an LTM: one `send`.
pub(super) const DELIVERY: f64 = 4.8;
/// CPU µs of the gateway to take a message from Redis, for each thread that follows the LTM: one wake-up.
pub(super) const WAKE: f64 = 50.0;
/// CPU µs of the API for an append.
pub(super) const API_APPEND: f64 = 73.0;
/// CPU µs of Redis for an append.
pub(super) const REDIS_APPEND: f64 = 43.0;
/// CPU µs of Redis to send a message to one thread of a gateway: one `send`, as a delivery.
pub(super) const REDIS_MESSAGE: f64 = 4.8;
/// KiB of the gateway for a connection.
pub(super) const CONNECTION: f64 = 3.6;
/// KiB of the gateway for a connection whose client reads nothing, at most.
pub(super) const STALLED: f64 = 264.0;
/// KiB of the gateway for each LTM that it follows.
pub(super) const FOLLOWED: f64 = 2.1;
/// Bytes of memory of the API for each byte of a state that is in use.
pub(super) const CACHED: f64 = 14.0;
/// KiB of Redis for an LTM with its first snapshot.
pub(super) const LTM: f64 = 5.4;
/// Bytes of Redis for each byte of the message of an entry.
pub(super) const ENTRY: f64 = 1.05;
/// Bytes of WebSocket, TCP, IP and Ethernet around a message.
pub(super) const FRAME: f64 = 70.0;

/// All of them, as docs/performance.md has them.
#[cfg(test)]
pub(super) const ROWS: [Row; 12] = [
    ("gateway, CPU µs per delivery", DELIVERY, "`fan-out`"),
    (
        "gateway, CPU µs per message from Redis",
        WAKE,
        "`fan-out --ltms 2000 --subscribers 1 --rate 2000`, less a delivery",
    ),
    ("API, CPU µs per append", API_APPEND, "`append`"),
    ("Redis, CPU µs per append", REDIS_APPEND, "`append`"),
    (
        "Redis, CPU µs per message to a gateway",
        REDIS_MESSAGE,
        "taken as a delivery: each is one `send`",
    ),
    ("gateway, KiB per connection", CONNECTION, "`idle`"),
    (
        "gateway, KiB per connection that reads nothing, at most",
        STALLED,
        "[limits.md](limits.md)",
    ),
    (
        "gateway, KiB per LTM followed",
        FOLLOWED,
        "see [Experiments](#experiments)",
    ),
    (
        "API, bytes per byte of a state in use",
        CACHED,
        "`cached-state`, small objects",
    ),
    (
        "Redis, KiB per LTM",
        LTM,
        "`used_memory`, before and after 300 LTMs",
    ),
    (
        "Redis, bytes per byte of a message",
        ENTRY,
        "the same, 10,000 entries of 500 bytes",
    ),
    (
        "bytes of frame and headers per message",
        FRAME,
        "WebSocket 4, TCP 32, IP 20, Ethernet 14",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_performance_has_each_figure_and_its_command() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");
        let page = std::fs::read_to_string(path).unwrap();
        for (name, figure, how) in ROWS {
            let row = format!("| {name} | {figure} | {how} |");
            assert!(page.contains(&row), "docs/performance.md lacks {row}");
        }
    }
}
