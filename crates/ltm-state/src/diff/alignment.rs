//! Which elements of an array became which elements of another.
//!
//! Equal elements are found by the diff of E. W. Myers, "An O(ND) Difference Algorithm and Its
//! Variations", Algorithmica 1 (1986), with the bounds on its work that GNU diff and Git have. What
//! lies between them is paired so that the patch is short: R. A. Wagner and M. J. Fischer, "The
//! String-to-String Correction Problem", Journal of the ACM 21 (1974), where to change an element
//! costs what its patch is long.

use std::{iter::repeat_n, ops::Range};

use gix_imara_diff::{Algorithm, Diff, InternedInput};
use serde_json::Value;

use super::{
    length::{self, changed},
    moves::Moves,
};
use crate::json::measure;

/// What becomes of the next element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It stays.
    Keep,
    /// It becomes the next of the other array.
    Change,
    /// It goes.
    Remove,
    /// The next of the other array comes before it.
    Add,
}

impl Step {
    /// Whether the elements after it move.
    pub(super) fn moves(self) -> bool {
        matches!(self, Self::Remove | Self::Add)
    }
}

/// The most pairs of elements that are compared in one place.
const MOST_PAIRS: usize = 1 << 16;

/// The steps from one array to another, and which elements only move.
#[derive(Default)]
pub(super) struct Alignment {
    pub(super) steps: Vec<Step>,
    pub(super) moves: Moves,
}

/// Where a difference begins and ends in either array.
type Hunk = [Range<usize>; 2];

/// Aligns two arrays. `path` is how long their path is, in bytes; `work` is how many bytes may still
/// be compared beyond those that must be, and becomes less.
pub(super) fn align(from: &[Value], to: &[Value], path: usize, work: &mut usize) -> Alignment {
    let hunks = hunks(from, to);
    let mut few = |hunk: &Hunk| match hunk[0].len() * hunk[1].len() {
        0 | 1 => true,
        2..=MOST_PAIRS => is_worth(&from[hunk[0].clone()], &to[hunk[1].clone()], work),
        _ => false,
    };
    let few: Vec<bool> = hunks.iter().map(&mut few).collect();
    let compared = hunks.iter().zip(&few).filter(|(_, few)| **few);
    let moves = Moves::between(from, to, compared.map(|(hunk, _)| hunk));
    let (mut steps, mut at) = (Vec::with_capacity(from.len().max(to.len())), 0);
    for (hunk, few) in hunks.into_iter().zip(few) {
        steps.extend(repeat_n(Step::Keep, hunk[0].start - at));
        at = hunk[0].end;
        if few {
            Costs::of(from, to, hunk, path, &moves).cheapest(&mut steps);
        } else {
            steps.extend(by_position(hunk[0].len(), hunk[1].len()));
        }
    }
    steps.extend(repeat_n(Step::Keep, from.len() - at));
    Alignment { steps, moves }
}

/// Where two arrays differ.
fn hunks(from: &[Value], to: &[Value]) -> Vec<Hunk> {
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
    let diff = Diff::compute(Algorithm::Myers, &input);
    let place = |range: Range<u32>| range.start as usize + head..range.end as usize + head;
    let hunks = diff
        .hunks()
        .map(|hunk| [place(hunk.before), place(hunk.after)]);
    hunks.collect()
}

/// Whether there is work left to compare each element with each.
fn is_worth(from: &[Value], to: &[Value], work: &mut usize) -> bool {
    let bytes = |items: &[Value]| -> usize { items.iter().map(|item| measure(item).bytes).sum() };
    let left = work.checked_sub(bytes(from) * to.len() + bytes(to) * from.len());
    *work = left.unwrap_or(*work);
    left.is_some()
}

/// The steps between arrays of two lengths that make of each element the one at its place.
pub(super) fn by_position(from: usize, to: usize) -> impl Iterator<Item = Step> {
    let both = from.min(to);
    repeat_n(Step::Change, both)
        .chain(repeat_n(Step::Remove, from - both))
        .chain(repeat_n(Step::Add, to - both))
}

/// How long the shortest patch is from the rest of one part to the rest of another, by where the
/// rests begin.
struct Costs {
    columns: usize,
    /// Row by row, a row for each element of the one part and one more.
    least: Vec<(usize, Step)>,
}

impl Costs {
    /// Compares each element of a part with each of another.
    fn of(from: &[Value], to: &[Value], hunk: Hunk, path: usize, moves: &Moves) -> Self {
        let [rows, columns] = [hunk[0].len() + 1, hunk[1].len() + 1];
        let mut least = vec![(0, Step::Keep); rows * columns];
        for (row, column) in (0..rows * columns)
            .rev()
            .map(|i| (i / columns, i % columns))
        {
            let rest = |down: usize, right: usize| least[(row + down) * columns + column + right].0;
            let [before, after] = [hunk[0].start + row, hunk[1].start + column];
            let old = (row + 1 < rows).then(|| (&from[before], moves.leaves(before)));
            let new = (column + 1 < columns).then(|| (&to[after], moves.source(after).is_some()));
            let remove = old.map(|(_, leaves)| {
                let cost = if leaves { 0 } else { length::remove(path) };
                (rest(1, 0) + cost, Step::Remove)
            });
            let add = new.map(|(new, arrives)| {
                let cost = if arrives {
                    0
                } else {
                    length::add(path, measure(new).bytes)
                };
                (rest(0, 1) + cost, Step::Add)
            });
            let change = match (old, new) {
                (Some((old, false)), Some((new, false))) => {
                    // Of two alone it is known without looking that one becomes the other.
                    let cost = if rows * columns == 4 {
                        0
                    } else {
                        changed(path, old, new)
                    };
                    Some((rest(1, 1) + cost, Step::Change))
                }
                _ => None,
            };
            let steps = [change, remove, add].into_iter().flatten();
            if let Some(best) = steps.min_by_key(|(cost, _)| *cost) {
                least[row * columns + column] = best;
            }
        }
        Self { columns, least }
    }

    fn cheapest(&self, steps: &mut Vec<Step>) {
        let mut at = 0;
        while at + 1 < self.least.len() {
            let (_, step) = self.least[at];
            at += if step == Step::Add { 0 } else { self.columns };
            at += usize::from(step != Step::Remove);
            steps.push(step);
        }
    }
}
