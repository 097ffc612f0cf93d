//! The shortest edit script of two sequences that differ in few places, however long they are.
//!
//! This is the greedy algorithm of E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1
//! (1986). It counts its steps, and gives up if they are too many.

use std::ops::Range;

/// The most elements that are removed or added.
const MAX_EDITS: usize = 1024;

/// A range of the old array, and the range of the new array that replaces it.
pub(super) type Hunk = [Range<usize>; 2];

/// The ranges in which two sequences differ. `None` if the algorithm needs more than `steps`, or if more than
/// [`MAX_EDITS`] elements are removed or added. Subtracts the steps that it took.
pub(super) fn hunks<T: PartialEq>(from: &[T], to: &[T], steps: &mut usize) -> Option<Vec<Hunk>> {
    // For each number of edits: how far in `from` they lead, by the difference of the two positions.
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for edits in 0..=MAX_EDITS {
        let mut row = Vec::with_capacity(edits + 1);
        for diagonal in 0..=edits {
            let (mut x, _) = step(&rows, edits, diagonal);
            let Some(mut y) = row_y(x, edits, diagonal) else {
                row.push(x);
                continue;
            };
            let equal = from
                .get(x..)
                .unwrap_or_default()
                .iter()
                .zip(to.get(y..).unwrap_or_default());
            let equal = equal.take(*steps).take_while(|(a, b)| a == b).count();
            *steps = steps.checked_sub(equal + 1)?;
            (x, y) = (x + equal, y + equal);
            row.push(x);
            if x == from.len() && y == to.len() {
                rows.push(row);
                return Some(trace(&rows, edits, diagonal));
            }
        }
        rows.push(row);
    }
    None
}

/// The position in `to` that belongs to the position `x` in `from`. The diagonals of a row are counted from the one
/// on which all edits are additions.
fn row_y(x: usize, edits: usize, diagonal: usize) -> Option<usize> {
    (x + edits).checked_sub(2 * diagonal)
}

/// Where the last of the edits leads before equal elements are skipped, and whether it removes an element.
fn step(rows: &[Vec<usize>], edits: usize, diagonal: usize) -> (usize, bool) {
    let Some(before) = rows.get(edits.wrapping_sub(1)) else {
        return (0, false);
    };
    let removed = diagonal.checked_sub(1).map(|it| before[it] + 1);
    let added = before.get(diagonal).copied();
    match (removed, added) {
        (Some(removed), Some(added)) if removed < added => (added, false),
        (Some(removed), _) => (removed, true),
        (None, added) => (added.unwrap_or_default(), false),
    }
}

/// Follows the edits back to the beginning.
fn trace(rows: &[Vec<usize>], edits: usize, mut diagonal: usize) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    for edits in (1..=edits).rev() {
        let (x, is_removal) = step(rows, edits, diagonal);
        let y = row_y(x, edits, diagonal).unwrap_or_default();
        let [removed, added] = [usize::from(is_removal), usize::from(!is_removal)];
        match hunks.last_mut() {
            Some([from, to]) if from.start == x && to.start == y => {
                (from.start, to.start) = (x - removed, y - added);
            }
            _ => hunks.push([x - removed..x, y - added..y]),
        }
        diagonal -= removed;
    }
    hunks.reverse();
    hunks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_outside_of_the_hunks_is_equal(
            from in prop::collection::vec(0_u8..4, 0..40),
            to in prop::collection::vec(0_u8..4, 0..40),
        ) {
            let hunks = hunks(&from, &to, &mut usize::MAX.clone()).unwrap();
            let (mut x, mut y) = (0, 0);
            for [removed, added] in hunks {
                prop_assert_eq!(&from[x..removed.start], &to[y..added.start]);
                (x, y) = (removed.end, added.end);
            }
            prop_assert_eq!(&from[x..], &to[y..]);
        }
    }

    #[test]
    fn long_sequences_that_differ_everywhere_are_given_up() {
        let (from, to) = (vec![0; 1_000_000], vec![1; 1_000_000]);
        assert!(hunks(&from, &to, &mut usize::MAX.clone()).is_none());
        let mut steps = 100;
        assert!(hunks(&from, &from[1..], &mut steps).is_none());
    }
}
