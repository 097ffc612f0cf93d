//! The subscribers that wait until they connect again.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// The wait before the first attempt.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait. Each attempt that fails doubles the wait up to this.
const LONGEST: Duration = Duration::from_millis(1600);

/// The subscribers that connect again, and when.
#[derive(Debug, Default)]
pub(super) struct Retries {
    due: BTreeSet<(Instant, usize)>,
    /// The wait before the next attempt of each.
    waits: HashMap<usize, Duration>,
}

impl Retries {
    /// Lets a subscriber wait, longer after each attempt.
    pub(super) fn add(&mut self, subscriber: usize, now: Instant) {
        let wait = self.waits.entry(subscriber).or_insert(FIRST);
        self.due.insert((now + *wait, subscriber));
        *wait = LONGEST.min(*wait * 2);
    }

    /// Takes a subscriber that has waited long enough.
    pub(super) fn take(&mut self, now: Instant) -> Option<usize> {
        let (due, subscriber) = *self.due.first()?;
        if due > now {
            return None;
        }
        self.due.remove(&(due, subscriber));
        Some(subscriber)
    }

    /// Forgets the attempts of a subscriber that has connected.
    pub(super) fn forget(&mut self, subscriber: usize) {
        self.waits.remove(&subscriber);
    }

    /// The time until the next attempt, but at most `longest`.
    pub(super) fn wait(&self, now: Instant, longest: Duration) -> Duration {
        let next = self.due.first().map(|(due, _)| due.duration_since(now));
        next.map_or(longest, |next| next.min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_waits_longer_until_one_succeeds() {
        let (mut retries, now) = (Retries::default(), Instant::now());
        let mut at = now;
        for wait in [100, 200, 400, 800, 1600, 1600] {
            retries.add(7, at);
            let wait = Duration::from_millis(wait);
            assert_eq!(retries.wait(at, Duration::from_secs(60)), wait);
            assert_eq!(retries.take(at), None);
            at += wait;
            assert_eq!(retries.take(at), Some(7));
        }
        retries.forget(7);
        retries.add(7, at);
        assert_eq!(retries.take(at + FIRST), Some(7));
    }

    #[test]
    fn the_one_that_is_due_first_is_taken_first() {
        let (mut retries, now) = (Retries::default(), Instant::now());
        retries.add(1, now + FIRST);
        retries.add(2, now);
        let later = now + LONGEST;
        assert_eq!(
            [(); 3].map(|()| retries.take(later)),
            [Some(2), Some(1), None]
        );
        assert_eq!(retries.wait(later, FIRST), FIRST);
    }
}
