//! Lines of the log about what may happen very often: whoever brings it about does not fill the disk.

use std::time::{Duration, Instant};

/// How often there is one such line.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// When it is time for a line about something.
#[derive(Default)]
pub(crate) struct LogThrottle {
    logged: Option<Instant>,
    /// Since the last line.
    times: u64,
}

impl LogThrottle {
    /// It has happened once more; gives how often since the last line, where it is time for one.
    pub(crate) fn count(&mut self, now: Instant) -> Option<u64> {
        self.times += 1;
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
        let mut pace = LogThrottle::default();
        let began = Instant::now();
        assert_eq!(pace.count(began), Some(1));
        for millisecond in 1..1000 {
            let now = began + Duration::from_millis(millisecond);
            assert_eq!(pace.count(now), None);
        }
        assert_eq!(pace.count(began + LOG_INTERVAL), Some(1000));
        assert_eq!(pace.count(began + LOG_INTERVAL), None);
    }
}
