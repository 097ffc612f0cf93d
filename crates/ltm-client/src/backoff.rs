//! The pause before a retry.

use std::time::Duration;

/// Random pauses whose limit doubles with each failure ("full jitter"), so that clients that fail together
/// do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest pause after the first failure.
    pub min: Duration,
    /// The longest pause after any failure.
    pub max: Duration,
}

impl Backoff {
    /// A pause, after `failures` failures before this one.
    pub fn pause(self, failures: u32) -> Duration {
        let limit = self
            .min
            .saturating_mul(2_u32.saturating_pow(failures))
            .min(self.max);
        limit.mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_limit_doubles_up_to_the_maximum(failures in 0..100_u32) {
            let backoff = Backoff {
                min: Duration::from_millis(200),
                max: Duration::from_secs(10),
            };
            let limit = Duration::from_millis(200 * 2_u64.pow(failures.min(20)));
            prop_assert!(backoff.pause(failures) <= limit.min(backoff.max));
        }
    }

    #[test]
    fn pauses_spread_over_the_whole_range() {
        let second = Duration::from_secs(1);
        let backoff = Backoff {
            min: second,
            max: second,
        };
        let (mut short, mut long) = (false, false);
        // The chance that one of the two does not occur is one in 2^999.
        for _ in 0..1000 {
            let is_short = backoff.pause(0) < second / 2;
            short |= is_short;
            long |= !is_short;
        }
        assert!(short && long);
    }
}
