//! Snapshots that wait for the start of their LTM: with the reference's in-line engine it is published
//! after what follows it.

use std::time::Duration;

use ltm_types::canonical_time;
use serde_json::Value;
use tokio::time::Instant;

/// How many snapshots of one LTM wait at most.
const MAX_STEPS: usize = 4096;
/// How many bytes of them.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The snapshots of one LTM that wait.
#[derive(Debug)]
pub(crate) struct Holding {
    steps: Vec<Value>,
    bytes: usize,
    since: Instant,
}

impl Holding {
    pub(crate) fn new() -> Self {
        Self {
            steps: Vec::new(),
            bytes: 0,
            since: Instant::now(),
        }
    }

    /// Takes a snapshot, `bytes` long; false where there is no room for it.
    pub(crate) fn hold(&mut self, step: Value, bytes: usize) -> bool {
        let fits = self.steps.len() < MAX_STEPS && self.bytes + bytes <= MAX_BYTES;
        if fits {
            self.bytes += bytes;
            self.steps.push(step);
        }
        fits
    }

    /// Whether it has waited this long.
    pub(crate) fn is_over(&self, limit: Duration) -> bool {
        self.since.elapsed() >= limit
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The snapshots in the order in which they were taken.
    pub(crate) fn into_steps(self) -> Vec<Value> {
        let mut steps = self.steps;
        steps.sort_by_cached_key(|step| {
            let time = step["time"].as_str().unwrap_or_default();
            // What has no time stays where it is among its like.
            (canonical_time(time).unwrap_or_default(), !is_start(step))
        });
        steps
    }
}

/// Whether an LTM begins with this snapshot.
pub(crate) fn is_start(step: &Value) -> bool {
    step["reason"] == "start"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn snapshots_come_out_in_the_order_in_which_they_were_taken() {
        let step = |second: u8, reason: &str| json!({"time": format!("2026-11-23 18:02:0{second}.4"), "reason": reason});
        let mut holding = Holding::new();
        for held in [step(2, "execute"), step(3, "execute"), step(2, "start")] {
            assert!(holding.hold(held, 10));
        }
        let expected = [step(2, "start"), step(2, "execute"), step(3, "execute")];
        assert_eq!(holding.into_steps(), expected);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut holding = Holding::new();
        assert!(!holding.hold(json!({}), MAX_BYTES + 1));
        for _ in 0..MAX_STEPS {
            assert!(holding.hold(json!({}), 1));
        }
        assert!(!holding.hold(json!({}), 1));
        assert_eq!(holding.len(), MAX_STEPS);
    }
}
