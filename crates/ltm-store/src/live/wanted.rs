//! The LTMs that a receiver follows, and which of them changed lately.

use std::collections::{HashSet, VecDeque};

use ltm_types::LtmId;

/// Fewer changes than this are always remembered.
const MIN_REMEMBERED: usize = 1024;

/// The followed LTMs. They remember their latest changes, so that a listener compares only these, and not all LTMs for each
/// new one.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    ids: HashSet<LtmId>,
    /// The latest changes, the oldest first.
    changed: VecDeque<LtmId>,
    /// How many changes there were before these.
    forgotten: u64,
}

impl Wanted {
    /// All of them.
    pub(super) fn ids(&self) -> &HashSet<LtmId> {
        &self.ids
    }

    /// Adds an LTM.
    pub(super) fn add(&mut self, id: LtmId) {
        self.ids.insert(id);
        self.change(id);
    }

    /// Removes an LTM.
    pub(super) fn remove(&mut self, id: LtmId) {
        self.ids.remove(&id);
        self.change(id);
    }

    fn change(&mut self, id: LtmId) {
        self.changed.push_back(id);
        // To go through more changes would cost more than to go through the LTMs.
        while self.changed.len() > self.ids.len().max(MIN_REMEMBERED) {
            self.changed.pop_front();
            self.forgotten += 1;
        }
    }

    /// How many changes there were.
    pub(super) fn version(&self) -> u64 {
        self.forgotten + self.changed.len() as u64
    }

    /// The LTMs that changed after a version. `None` if the changes are forgotten.
    pub(super) fn changed_since(&self, version: u64) -> Option<HashSet<LtmId>> {
        let known = usize::try_from(version.checked_sub(self.forgotten)?).ok()?;
        Some(self.changed.iter().skip(known).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_listener_that_takes_each_change_has_all_followed_ltms(
            steps in prop::collection::vec((0_u64..4000, any::<bool>(), 0_u8..200), 0..6000),
        ) {
            let mut wanted = Wanted::default();
            let (mut mirror, mut version) = (HashSet::new(), 0);
            for (n, is_added, look) in steps {
                let id: LtmId = (n + 1).to_string().parse().unwrap();
                if is_added { wanted.add(id) } else { wanted.remove(id) }
                if look > 0 {
                    continue;
                }
                match wanted.changed_since(version) {
                    Some(changed) => for id in changed {
                        if wanted.ids().contains(&id) { mirror.insert(id); } else { mirror.remove(&id); }
                    },
                    None => mirror = wanted.ids().clone(),
                }
                version = wanted.version();
                prop_assert_eq!(&mirror, wanted.ids());
            }
            prop_assert!(wanted.changed.len() <= wanted.ids.len().max(MIN_REMEMBERED));
        }
    }

    #[test]
    fn changes_that_are_forgotten_are_reported() {
        let mut wanted = Wanted::default();
        let id: LtmId = "1".parse().unwrap();
        for _ in 0..MIN_REMEMBERED {
            wanted.add(id);
        }
        assert_eq!(wanted.changed_since(0), Some(HashSet::from([id])));
        wanted.remove(id);
        assert_eq!(wanted.changed_since(0), None);
        assert_eq!(wanted.changed_since(wanted.version()), Some(HashSet::new()));
    }
}
