//! Limits that are reached: the one place that says so.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::log_throttle::LogThrottle;

/// By the name of the setting.
static REACHED: Mutex<BTreeMap<&'static str, Reached>> = Mutex::new(BTreeMap::new());

/// How often a limit was reached.
#[derive(Default)]
struct Reached {
    pace: LogThrottle,
    /// Since the process began.
    total: u64,
}

/// Notes that a limit was reached. To be called wherever one refuses or ends something; `setting`
/// names it as an operator would set it: `gateway.max_subscribers`.
pub fn limit_reached(setting: &'static str) {
    let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = reached.entry(setting).or_default();
    limit.total += 1;
    let due = limit.pace.count(Instant::now());
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
