//! How often a state is stored in full: seldom, for appends cost their change and not the state, and
//! often enough that whoever opens the LTM reads little beside the state itself.

/// States below this many bytes are stored no sooner than larger ones.
const LEAST_BYTES: usize = 64 * 1024;
/// To read and apply an entry costs about what this many bytes of a state cost to read.
const BYTES_PER_ENTRY: usize = 1024;

/// The pace at which states are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The entries after which a small state is stored: `api.checkpoint_every`.
    pub(crate) every: usize,
}

impl Pace {
    /// Whether a state of `stored` bytes is worth storing for `entries` of `bytes` in all: they
    /// weigh as much as the state, or are as many as it has KiB and at least `every`.
    ///
    /// So what is written for states is at most what is written for entries, or a KiB for each of
    /// them; and to open an LTM costs at most about twice what reading its state costs.
    pub(crate) fn is_worth(self, stored: usize, entries: usize, bytes: usize) -> bool {
        bytes > stored.max(LEAST_BYTES) || entries >= self.every.max(stored / BYTES_PER_ENTRY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of `entry` bytes each after which a state of `stored` bytes is stored.
    fn until_stored(pace: Pace, stored: usize, entry: usize) -> usize {
        let (mut few, mut many) = (0, stored.max(LEAST_BYTES) / entry + 1);
        while few + 1 < many {
            let middle = few + (many - few) / 2;
            if pace.is_worth(stored, middle, middle * entry) {
                many = middle;
            } else {
                few = middle;
            }
        }
        many
    }

    #[test]
    fn an_append_pays_for_little_of_the_state_and_opening_reads_it_about_twice_at_most() {
        let sizes = |most: u32| (0..most).map(|power| 1_usize << power);
        for (stored, entry) in sizes(28).flat_map(|s| sizes(20).map(move |e| (s + s / 3, e))) {
            for every in [1, 100, 1000] {
                let entries = until_stored(Pace { every }, stored, entry);
                // What is written for the state, shared by the entries.
                let share = stored / entries;
                assert!(
                    share < (2 * BYTES_PER_ENTRY).max(entry + 1),
                    "{stored} {entry}"
                );
                // What there is to read beside it, just before.
                let (few, bytes) = (entries - 1, (entries - 1) * entry);
                assert!(bytes <= stored.max(LEAST_BYTES), "{stored} {entry}");
                assert!(
                    few < every || few * BYTES_PER_ENTRY <= stored,
                    "{stored} {entry}"
                );
            }
        }
    }

    #[test]
    fn a_small_state_is_stored_every_so_many_entries_and_a_large_one_by_its_size() {
        let pace = Pace { every: 1000 };
        assert!(!pace.is_worth(1024, 999, 60_000));
        assert!(pace.is_worth(1024, 1000, 60_000));
        assert!(pace.is_worth(1024, 1, 70_000));
        assert!(!pace.is_worth(10_000_000, 9_000, 3_000_000));
        assert!(pace.is_worth(10_000_000, 9_766, 3_000_000));
        assert!(pace.is_worth(10_000_000, 100, 10_000_001));
    }
}
