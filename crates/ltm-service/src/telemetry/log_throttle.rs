//! Log lines about something that may happen very often: a client that causes it cannot fill the disk.

use std::time::{Duration, Instant};

/// The shortest time between two such lines.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Decides when a line about something is due.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    logged: Option<Instant>,
    /// The number of times since the last line.
    times: u64,
}

impl LogThrottle {
    /// Counts one more time; as [`LogThrottle::add`].
    pub(crate) fn count(&mut self, now: Instant) -> Option<u64> {
        self.add(1, now)
    }

    /// Counts `times` more. If a line is due, returns the number of times since the last line.
    pub(crate) fn add(&mut self, times: u64, now: Instant) -> Option<u64> {
        self.times += times;
        let since = self.logged.map(|logged| now.duration_since(logged));
        if since.is_some_and(|since| since < LOG_INTERVAL) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_line_at_once_and_then_every_ten_seconds_with_the_count() {
        let mut throttle = LogThrottle::default();
        let began = Instant::now();
        assert_eq!(throttle.count(began), Some(1));
        for millisecond in 1..1000 {
            let now = began + Duration::from_millis(millisecond);
            assert_eq!(throttle.count(now), None);
        }
        assert_eq!(throttle.add(2, began + LOG_INTERVAL), Some(1001));
        assert_eq!(throttle.count(began + LOG_INTERVAL), None);
    }
}
