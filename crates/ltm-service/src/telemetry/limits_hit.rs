//! The limits that were reached: the one place that logs and counts them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::log_throttle::LogThrottle;

/// The limits that were reached, by the name of the setting. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LimitsHit {
    reached: Arc<Mutex<BTreeMap<&'static str, Reached>>>,
}

/// How often a limit was reached.
#[derive(Debug, Default)]
struct Reached {
    throttle: LogThrottle,
    /// Since the start of the process.
    total: u64,
}

impl LimitsHit {
    /// Logs and counts that a limit was reached. Whatever rejects or ends something because of a limit calls this, with the
    /// name of the setting: `gateway.max_subscribers`.
    pub fn hit(&self, setting: &'static str) {
        let mut reached = self.reached();
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

    /// Each limit that was reached, with how often.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let reached = self.reached();
        let hits = reached.iter();
        hits.map(|(setting, reached)| (*setting, reached.total))
            .collect()
    }

    fn reached(&self) -> MutexGuard<'_, BTreeMap<&'static str, Reached>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
