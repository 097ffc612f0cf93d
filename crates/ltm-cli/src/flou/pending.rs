//! Snapshots that wait for the first snapshot of their LTM: Flou's in-line engine publishes it after those
//! that follow it.

use std::time::Duration;

use ltm_types::canonical_time;
use serde_json::Value;
use tokio::time::Instant;

/// The most snapshots of one LTM that wait.
const MAX_STEPS: usize = 4096;
/// The most bytes of them.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The snapshots of one LTM that wait for its first.
#[derive(Debug)]
pub(super) struct PendingSnapshots {
    steps: Vec<Value>,
    bytes: usize,
    since: Instant,
}

impl PendingSnapshots {
    pub(super) fn new() -> Self {
        Self {
            steps: Vec::new(),
            bytes: 0,
            since: Instant::now(),
        }
    }

    /// Adds a snapshot of `bytes` bytes; returns false if that would exceed a limit.
    pub(super) fn push(&mut self, step: Value, bytes: usize) -> bool {
        let fits = self.steps.len() < MAX_STEPS && self.bytes + bytes <= MAX_BYTES;
        if fits {
            self.bytes += bytes;
            self.steps.push(step);
        }
        fits
    }

    /// Whether the first has waited this long.
    pub(super) fn is_older_than(&self, limit: Duration) -> bool {
        self.since.elapsed() >= limit
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The snapshots in the order of their times.
    pub(super) fn into_steps(self) -> Vec<Value> {
        let mut steps = self.steps;
        steps.sort_by_cached_key(|step| {
            let time = step["time"].as_str().unwrap_or_default();
            // Snapshots without a time keep their order.
            (canonical_time(time).unwrap_or_default(), !is_start(step))
        });
        steps
    }
}

/// Whether an LTM begins with this snapshot.
pub(super) fn is_start(step: &Value) -> bool {
    step["reason"] == "start"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn snapshots_come_out_in_the_order_of_their_times() {
        let step = |second: u8, reason: &str| json!({"time": format!("2026-11-23 18:02:0{second}.4"), "reason": reason});
        let mut pending = PendingSnapshots::new();
        for snapshot in [step(2, "execute"), step(3, "execute"), step(2, "start")] {
            assert!(pending.push(snapshot, 10));
        }
        let expected = [step(2, "start"), step(2, "execute"), step(3, "execute")];
        assert_eq!(pending.into_steps(), expected);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut pending = PendingSnapshots::new();
        assert!(!pending.push(json!({}), MAX_BYTES + 1));
        for _ in 0..MAX_STEPS {
            assert!(pending.push(json!({}), 1));
        }
        assert!(!pending.push(json!({}), 1));
        assert_eq!(pending.len(), MAX_STEPS);
    }
}
