//! How long to wait before something is tried again.

use std::time::Duration;

/// Random pauses, each at most twice as long as the one before ("full jitter"), so that those who failed
/// together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// The most that is waited after the first failure.
    pub shortest: Duration,
    /// The most that is waited after any failure.
    pub longest: Duration,
}

impl Pauses {
    /// How long to wait after so many failures before this one.
    pub(crate) fn after(self, failures: u32) -> Duration {
        let twice = self
            .shortest
            .saturating_mul(2_u32.saturating_pow(failures))
            .min(self.longest);
        twice.mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pause_is_at_most_twice_the_one_before_and_never_longer_than_the_longest(failures in 0..100_u32) {
            let pauses = Pauses {
                shortest: Duration::from_millis(200),
                longest: Duration::from_secs(10),
            };
            let most = Duration::from_millis(200 * 2_u64.pow(failures.min(20)));
            prop_assert!(pauses.after(failures) <= most.min(pauses.longest));
        }
    }

    #[test]
    fn pauses_spread_over_all_that_is_allowed() {
        let pauses = Pauses {
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(1),
        };
        let (mut short, mut long) = (false, false);
        // That neither comes has the chance of one in 2^999.
        for _ in 0..1000 {
            let half = pauses.after(0) < Duration::from_millis(500);
            short |= half;
            long |= !half;
        }
        assert!(short && long);
    }
}
