//! Aligns two arrays: decides which elements stay, change, are removed, are added, or move.
//!
//! The elements that are equal are found with the diff of E. W. Myers, "An O(ND) Difference Algorithm and Its
//! Variations", Algorithmica 1 (1986), with the bounds on its work that GNU diff and Git have. These do not bound the
//! work for long arrays that differ everywhere, so [`Budget::steps`] does. The elements between them are paired so that
//! the patch is short: R. A. Wagner and M. J. Fischer, "The String-to-String Correction Problem", Journal of the ACM 21
//! (1974). The cost of a change is the length of its patch.

use std::{iter::repeat_n, ops::Range};

use gix_imara_diff::{Algorithm, Diff, InternedInput};
use serde_json::Value;

use super::{
    edit::Edit,
    length::{self, changed},
    moves::Moves,
    shortest::{self, Hunk},
};
use crate::json::measure;

/// The largest number of pairs of elements that are compared within one hunk.
const MAX_PAIRS: usize = 1 << 16;
/// Shorter arrays are not searched for few edits first.
const SHORT: usize = 1 << 10;
/// The library gives up an exact search after as many edits as the root of the length, but not before this many.
const EXACT_EDITS: usize = 256;

/// What the work of a diff may still be. It is shared by all arrays of the two states.
#[derive(Debug)]
pub struct Budget {
    /// The bytes that may be compared to pair elements that are similar but not equal.
    pub(super) bytes: usize,
    /// The steps that may be taken to find equal elements.
    pub(super) steps: usize,
    /// The elements that the operations may shift.
    pub(super) shifts: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            steps: 1 << 25,
            shifts: 1 << 26,
        }
    }
}

/// Takes `cost` from what is left. Returns false if that is too little.
pub(super) fn take(left: &mut usize, cost: usize) -> bool {
    let rest = left.checked_sub(cost);
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

/// The edits from the old array to the new array, and the elements that only move.
#[derive(Default)]
pub(super) struct Alignment {
    pub(super) edits: Vec<Edit>,
    pub(super) moves: Moves,
}

/// Aligns two arrays. `path` is the length of their path in bytes. The function subtracts from `budget` what it
/// uses.
pub(super) fn align(from: &[Value], to: &[Value], path: usize, budget: &mut Budget) -> Alignment {
    let hunks = hunks(from, to, &mut budget.steps);
    let mut is_small = |hunk: &Hunk| match hunk[0].len() * hunk[1].len() {
        0 | 1 => true,
        2..=MAX_PAIRS => spend(
            &from[hunk[0].clone()],
            &to[hunk[1].clone()],
            &mut budget.bytes,
        ),
        _ => false,
    };
    let is_small: Vec<bool> = hunks.iter().map(&mut is_small).collect();
    let small = hunks.iter().zip(&is_small).filter(|(_, small)| **small);
    let moves = Moves::between(from, to, small.map(|(hunk, _)| hunk));
    let (mut edits, mut at) = (Vec::with_capacity(from.len().max(to.len())), 0);
    for (hunk, is_small) in hunks.into_iter().zip(is_small) {
        edits.extend(repeat_n(Edit::Keep, hunk[0].start - at));
        at = hunk[0].end;
        if is_small {
            Costs::of(from, to, hunk, path, &moves).cheapest(&mut edits);
        } else {
            edits.extend(by_index(hunk[0].len(), hunk[1].len()));
        }
    }
    edits.extend(repeat_n(Edit::Keep, from.len() - at));
    Alignment { edits, moves }
}

/// The ranges in which two arrays differ. If the steps do not suffice, that is one range.
fn hunks(from: &[Value], to: &[Value], steps: &mut usize) -> Vec<Hunk> {
    let head = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let ends = from[head..].iter().rev().zip(to[head..].iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let rest = [head..from.len() - tail, head..to.len() - tail];
    if rest[0].len() <= 1 && rest[1].len() <= 1 {
        return vec![rest];
    }
    let mut input = InternedInput::default();
    input.update_before(from[rest[0].clone()].iter());
    input.update_after(to[rest[1].clone()].iter());
    let shifted = |range: Range<usize>| range.start + head..range.end + head;
    let length = input.before.len() + input.after.len();
    if length > SHORT
        && let Some(hunks) = shortest::hunks(&input.before, &input.after, steps)
    {
        return hunks.into_iter().map(|hunk| hunk.map(shifted)).collect();
    }
    // What the library needs at most, about.
    let edits = length.isqrt().max(EXACT_EDITS).min(length);
    if !take(steps, length.saturating_mul(edits)) {
        return vec![rest];
    }
    let wide = |range: Range<u32>| shifted(range.start as usize..range.end as usize);
    let diff = Diff::compute(Algorithm::Myers, &input);
    let hunks = diff.hunks();
    hunks
        .map(|hunk| [wide(hunk.before), wide(hunk.after)])
        .collect()
}

/// Takes the bytes of comparing each element with each from the budget. Returns false if it has too few.
fn spend(from: &[Value], to: &[Value], budget: &mut usize) -> bool {
    let bytes = |items: &[Value]| -> usize { items.iter().map(|item| measure(item).bytes).sum() };
    take(budget, bytes(from) * to.len() + bytes(to) * from.len())
}

/// The edits that change each element to the one with the same index, for arrays of these lengths.
pub(super) fn by_index(from: usize, to: usize) -> impl Iterator<Item = Edit> {
    let both = from.min(to);
    repeat_n(Edit::Change, both)
        .chain(repeat_n(Edit::Remove, from - both))
        .chain(repeat_n(Edit::Add, to - both))
}

/// A table of a hunk: for each pair of suffixes of its two ranges, the length of the shortest patch from one
/// to the other, and the first edit of that patch.
struct Costs {
    columns: usize,
    /// Row by row: one row for each element of the old range, and one more.
    cells: Vec<(usize, Edit)>,
}

impl Costs {
    /// Fills the table from its end.
    fn of(from: &[Value], to: &[Value], hunk: Hunk, path: usize, moves: &Moves) -> Self {
        let [rows, columns] = [hunk[0].len() + 1, hunk[1].len() + 1];
        let mut costs = Self {
            columns,
            cells: vec![(0, Edit::Keep); rows * columns],
        };
        for (row, column) in (0..rows * columns)
            .rev()
            .map(|cell| (cell / columns, cell % columns))
        {
            let [before, after] = [hunk[0].start + row, hunk[1].start + column];
            let old = (row + 1 < rows).then(|| (&from[before], moves.leaves(before)));
            let new = (column + 1 < columns).then(|| (&to[after], moves.source(after).is_some()));
            let remove = old.map(|(_, leaves)| {
                let cost = if leaves { 0 } else { length::remove(path) };
                (costs.rest(row + 1, column) + cost, Edit::Remove)
            });
            let add = new.map(|(new, arrives)| {
                let cost = if arrives {
                    0
                } else {
                    length::add(path, measure(new).bytes)
                };
                (costs.rest(row, column + 1) + cost, Edit::Add)
            });
            let change = match (old, new) {
                (Some((old, false)), Some((new, false))) => {
                    // Two single elements are paired anyway.
                    let cost = if rows * columns == 4 {
                        0
                    } else {
                        changed(path, old, new)
                    };
                    Some((costs.rest(row + 1, column + 1) + cost, Edit::Change))
                }
                _ => None,
            };
            let edits = [change, remove, add].into_iter().flatten();
            if let Some(cheapest) = edits.min_by_key(|(cost, _)| *cost) {
                costs.cells[row * columns + column] = cheapest;
            }
        }
        costs
    }

    /// The length of the shortest patch for the suffixes that begin at this cell.
    fn rest(&self, row: usize, column: usize) -> usize {
        self.cells[row * self.columns + column].0
    }

    /// Adds the edits of the shortest patch for the whole hunk.
    fn cheapest(&self, edits: &mut Vec<Edit>) {
        let mut at = 0;
        while at + 1 < self.cells.len() {
            let (_, edit) = self.cells[at];
            at += if edit == Edit::Add { 0 } else { self.columns };
            at += usize::from(edit != Edit::Remove);
            edits.push(edit);
        }
    }
}
