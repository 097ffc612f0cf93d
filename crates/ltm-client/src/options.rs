//! The limits and waiting times of a client.

use std::time::Duration;

use crate::Backoff;

/// The limits and waiting times of a client. Each has a default; change those that you need:
///
/// ```
/// use ltm_client::Options;
///
/// let options = Options {
///     attempts: 3,
///     ..Options::default()
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long opening a connection may take, including the WebSocket handshake. Default 10 s.
    pub connect_timeout: Duration,
    /// How long the API may send nothing while the client waits for an answer. Default 30 s.
    pub answer_timeout: Duration,
    /// How long a WebSocket may be silent, without even a ping: two ping intervals of the gateway. After half of it
    /// the client sends a ping. Default 40 s.
    pub silence: Duration,
    /// The most bytes of a message of the gateway; a reset holds a whole state. Default 64 MiB.
    pub max_message: usize,
    /// The most bytes of an answer of the API; a document holds a whole history. Default 1 GiB.
    pub max_answer: usize,
    /// How often the client sends a write at most. Default 10.
    pub attempts: u32,
    /// The pauses between the attempts of a write. Default 100 ms to 5 s.
    pub write_backoff: Backoff,
    /// The pauses between connections. Default 200 ms to 10 s.
    pub connect_backoff: Backoff,
    /// The longest `Retry-After` that the client respects. Default 60 s.
    pub max_retry_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let backoff = |min, max| Backoff {
            min: Duration::from_millis(min),
            max: Duration::from_millis(max),
        };
        Self {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            silence: Duration::from_secs(40),
            max_message: 64 * 1024 * 1024,
            max_answer: 1024 * 1024 * 1024,
            attempts: 10,
            write_backoff: backoff(100, 5_000),
            connect_backoff: backoff(200, 10_000),
            max_retry_after: Duration::from_secs(60),
        }
    }
}
