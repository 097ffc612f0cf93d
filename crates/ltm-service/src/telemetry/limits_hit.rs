//! The limits that were reached: the one place that logs and counts them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::log_throttle::LogThrottle;

/// By the name of the setting. It is for the whole process, because every part of it has limits, down to the socket of a
/// connection.
static REACHED: Mutex<BTreeMap<&'static str, Reached>> = Mutex::new(BTreeMap::new());

/// How often a limit was reached.
#[derive(Default)]
struct Reached {
    throttle: LogThrottle,
    /// Since the start of the process.
    total: u64,
}

/// Logs and counts that a limit was reached. Whatever rejects or ends something because of a limit calls this, with the name
/// of the setting: `gateway.max_subscribers`.
pub fn limit_reached(setting: &'static str) {
    let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = reached.entry(setting).or_default();
    limit.total += 1;
    let due = limit.throttle.count(Instant::now());
    drop(reached);
    if let Some(times) = due {
        tracing::warn!(
            limit = setting,
            times,
            "a limit was reached: docs/limits.md explains it"
        );
    }
}

/// The limits that were reached since the start of the process, by the name of the setting, with how often.
pub(crate) fn limits_hit() -> Vec<(&'static str, u64)> {
    let reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let hits = reached.iter();
    hits.map(|(setting, reached)| (*setting, reached.total))
        .collect()
}
