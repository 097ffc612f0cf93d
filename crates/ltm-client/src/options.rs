//! What a client waits for and how much it takes.

use std::time::Duration;

use crate::Pauses;

/// The bounds of a client. Each has a default; change what you need:
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
    /// How long a connection may take to open, with the handshake of the WebSocket. 10 s.
    pub connect_timeout: Duration,
    /// How long an answer of the API may keep silent. 30 s.
    pub answer_timeout: Duration,
    /// How long nothing may come over a WebSocket, no ping either: two intervals of the gateway's pings, 40 s.
    /// After half of it the gateway is asked with a ping.
    pub silence: Duration,
    /// Bytes of a message of the gateway. 64 MiB; a reset holds a whole state.
    pub max_message: usize,
    /// Bytes of an answer of the API. 1 GiB; a document holds a whole history.
    pub max_answer: usize,
    /// How often a write is tried. 10.
    pub attempts: u32,
    /// Between the tries of a write. Up to 100 ms after the first, up to 5 s after many.
    pub write_pauses: Pauses,
    /// Between connections. Up to 200 ms after the first, up to 10 s after many.
    pub connect_pauses: Pauses,
    /// The longest wait that an answer can ask for with `Retry-After`. 60 s.
    pub longest_asked: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let pauses = |shortest, longest| Pauses {
            shortest: Duration::from_millis(shortest),
            longest: Duration::from_millis(longest),
        };
        Self {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            silence: Duration::from_secs(40),
            max_message: 64 * 1024 * 1024,
            max_answer: 1024 * 1024 * 1024,
            attempts: 10,
            write_pauses: pauses(100, 5_000),
            connect_pauses: pauses(200, 10_000),
            longest_asked: Duration::from_secs(60),
        }
    }
}
