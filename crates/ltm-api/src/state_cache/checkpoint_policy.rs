//! When a state is stored in full: seldom, because appends cost their change and not the state; and often
//! enough that opening an LTM reads little beside the state itself.

use ltm_store::FoldCost;

/// A state below this many bytes is stored as if it had this many.
const MIN_STATE_BYTES: usize = 64 * 1024;
/// Reading and applying an entry costs about as much as reading this many bytes of a state.
const BYTES_PER_ENTRY: usize = 1024;

/// The rule for storing states.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckpointPolicy {
    /// The entries after which a small state is stored: `api.checkpoint_every`.
    pub(crate) every: usize,
}

impl CheckpointPolicy {
    /// Whether a state of `stored` bytes is due, if `since` was appended since it was stored last: the entries
    /// weigh as much as the state, or there are as many as the state has KiB and at least `every`.
    ///
    /// So the bytes that are written for states are at most those that are written for entries, or one KiB for
    /// each entry; and opening an LTM costs at most about twice what reading its state costs.
    pub(crate) fn is_due(self, stored: usize, since: FoldCost) -> bool {
        since.bytes > stored.max(MIN_STATE_BYTES)
            || since.entries >= self.every.max(stored / BYTES_PER_ENTRY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(entries: usize, bytes: usize) -> FoldCost {
        FoldCost { entries, bytes }
    }

    /// The number of entries of `entry` bytes each after which a state of `stored` bytes is stored.
    fn until_stored(policy: CheckpointPolicy, stored: usize, entry: usize) -> usize {
        let (mut few, mut many) = (0, stored.max(MIN_STATE_BYTES) / entry + 1);
        while few + 1 < many {
            let middle = few + (many - few) / 2;
            if policy.is_due(stored, folded(middle, middle * entry)) {
                many = middle;
            } else {
                few = middle;
            }
        }
        many
    }

    #[test]
    fn an_append_pays_for_little_of_the_state_and_opening_an_ltm_reads_at_most_about_twice_its_state()
     {
        let sizes = |most: u32| (0..most).map(|power| 1_usize << power);
        for (stored, entry) in sizes(28).flat_map(|s| sizes(20).map(move |e| (s + s / 3, e))) {
            for every in [1, 100, 1000] {
                let entries = until_stored(CheckpointPolicy { every }, stored, entry);
                // The bytes written for the state, for each entry.
                let share = stored / entries;
                assert!(
                    share < (2 * BYTES_PER_ENTRY).max(entry + 1),
                    "{stored} {entry}"
                );
                // What a reader reads beside the state, just before it is stored.
                let (few, bytes) = (entries - 1, (entries - 1) * entry);
                assert!(bytes <= stored.max(MIN_STATE_BYTES), "{stored} {entry}");
                assert!(
                    few < every || few * BYTES_PER_ENTRY <= stored,
                    "{stored} {entry}"
                );
            }
        }
    }

    #[test]
    fn a_small_state_is_stored_every_n_entries_and_a_large_state_by_its_size() {
        let policy = CheckpointPolicy { every: 1000 };
        assert!(!policy.is_due(1024, folded(999, 60_000)));
        assert!(policy.is_due(1024, folded(1000, 60_000)));
        assert!(policy.is_due(1024, folded(1, 70_000)));
        assert!(!policy.is_due(10_000_000, folded(9_000, 3_000_000)));
        assert!(policy.is_due(10_000_000, folded(9_766, 3_000_000)));
        assert!(policy.is_due(10_000_000, folded(100, 10_000_001)));
    }
}
