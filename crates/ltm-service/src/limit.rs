//! Limits that are reached: the one place that says so.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often one limit may have a line in the log: whoever runs into it on purpose does not fill
/// the disk.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// By the name of the setting.
static REACHED: Mutex<BTreeMap<&'static str, Reached>> = Mutex::new(BTreeMap::new());

/// How often a limit was reached.
#[derive(Default)]
struct Reached {
    logged: Option<Instant>,
    /// Since the last line.
    times: u64,
    /// Since the process began.
    total: u64,
}

impl Reached {
    /// Counts once more; gives the number where it is time for a line.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.times += 1;
        self.total += 1;
        if self
            .logged
            .is_some_and(|logged| now.duration_since(logged) < LOG_INTERVAL)
        {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}

/// Notes that a limit was reached. To be called wherever one refuses or ends something; `setting`
/// names it as an operator would set it: `gateway.max_subscribers`.
pub fn limit_reached(setting: &'static str) {
    let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let due = reached.entry(setting).or_default().count(Instant::now());
    drop(reached);
    if let Some(times) = due {
        tracing::warn!(
            limit = setting,
            times,
            "a limit was reached: docs/limits.md says what it does"
        );
    }
}

/// How often each limit was reached since the process began, by the name of its setting; those that were not
/// are left out.
pub(crate) fn limits_hit() -> Vec<(&'static str, u64)> {
    let reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let hits = reached.iter();
    hits.map(|(setting, reached)| (*setting, reached.total))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_logged_at_once_and_then_every_ten_seconds_with_the_count() {
        let mut reached = Reached::default();
        let began = Instant::now();
        assert_eq!(reached.count(began), Some(1));
        for millisecond in 1..1000 {
            let now = began + Duration::from_millis(millisecond);
            assert_eq!(reached.count(now), None);
        }
        assert_eq!(reached.count(began + LOG_INTERVAL), Some(1000));
        assert_eq!(reached.count(began + LOG_INTERVAL), None);
    }
}
