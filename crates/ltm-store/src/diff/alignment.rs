//! Which elements of an array became which elements of another.
//!
//! Equal elements are found by the diff of E. W. Myers, "An O(ND) Difference Algorithm and Its
//! Variations", Algorithmica 1 (1986), with the bounds on its work that GNU diff and Git have. What
//! lies between them is paired so that the patch is short: R. A. Wagner and M. J. Fischer, "The
//! String-to-String Correction Problem", Journal of the ACM 21 (1974), where to change an element
//! costs what its patch is long.

use std::iter::repeat_n;

use gix_imara_diff::{Algorithm, Diff, InternedInput};
use serde_json::Value;

use super::length::{self, changed};
use crate::size::measure;

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

/// The steps from one array to another. `path` is how long the array's path is, in bytes; `work` is how
/// many bytes may still be compared beyond those that must be, and becomes less.
pub(super) fn align(from: &[Value], to: &[Value], path: usize, work: &mut usize) -> Vec<Step> {
    let head = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let (rest, rest_to) = (&from[head..], &to[head..]);
    let ends = rest.iter().rev().zip(rest_to.iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let mut steps = vec![Step::Keep; head];
    let (rest, rest_to) = (&rest[..rest.len() - tail], &rest_to[..rest_to.len() - tail]);
    between(rest, rest_to, path, work, &mut steps);
    steps.extend(repeat_n(Step::Keep, tail));
    steps
}

/// The same for arrays that begin and end differently.
fn between(from: &[Value], to: &[Value], path: usize, work: &mut usize, steps: &mut Vec<Step>) {
    if from.len() <= 1 && to.len() <= 1 {
        return pair(from, to, path, work, steps);
    }
    let mut input = InternedInput::default();
    input.update_before(from.iter());
    input.update_after(to.iter());
    let mut at = 0;
    for hunk in Diff::compute(Algorithm::Myers, &input).hunks() {
        let [before, after] =
            [hunk.before, hunk.after].map(|range| range.start as usize..range.end as usize);
        steps.extend(repeat_n(Step::Keep, before.start - at));
        at = before.end;
        pair(&from[before], &to[after], path, work, steps);
    }
    steps.extend(repeat_n(Step::Keep, from.len() - at));
}

/// The steps between arrays that have nothing in common, or little.
fn pair(from: &[Value], to: &[Value], path: usize, work: &mut usize, steps: &mut Vec<Step>) {
    let pairs = from.len().saturating_mul(to.len());
    let costs = match pairs {
        0 | 1 => None,
        2..=MOST_PAIRS => Costs::of(from, to, path, work),
        _ => None,
    };
    match costs {
        Some(costs) => costs.cheapest(steps),
        None => steps.extend(by_position(from, to)),
    }
}

/// The steps that make of each element the one at its place.
pub(super) fn by_position(from: &[Value], to: &[Value]) -> impl Iterator<Item = Step> {
    let both = from.len().min(to.len());
    let changes = repeat_n(Step::Change, both);
    let rest = repeat_n(Step::Remove, from.len() - both);
    changes
        .chain(rest)
        .chain(repeat_n(Step::Add, to.len() - both))
}

/// How long the shortest patch is from the rest of one array to the rest of another, by where the
/// rests begin.
struct Costs<'a> {
    from: &'a [Value],
    to: &'a [Value],
    /// Row by row, a row for each element of `from` and one more.
    least: Vec<(usize, Step)>,
}

impl<'a> Costs<'a> {
    /// Compares each element with each; `None` where that is too much work.
    fn of(from: &'a [Value], to: &'a [Value], path: usize, work: &mut usize) -> Option<Self> {
        let bytes =
            |items: &[Value]| -> usize { items.iter().map(|item| measure(item).bytes).sum() };
        let wanted = bytes(from) * to.len() + bytes(to) * from.len();
        *work = work.checked_sub(wanted)?;
        let (rows, columns) = (from.len() + 1, to.len() + 1);
        let mut least = vec![(0, Step::Keep); rows * columns];
        for (row, column) in (0..rows * columns)
            .rev()
            .map(|i| (i / columns, i % columns))
        {
            let rest = |down: usize, right: usize| least[(row + down) * columns + column + right].0;
            let remove =
                (row < from.len()).then(|| (rest(1, 0) + length::remove(path), Step::Remove));
            let add = to
                .get(column)
                .map(|to| (rest(0, 1) + length::add(path, measure(to).bytes), Step::Add));
            let change = from
                .get(row)
                .zip(to.get(column))
                .map(|(from, to)| (rest(1, 1) + changed(path, from, to), Step::Change));
            let steps = [change, remove, add].into_iter().flatten();
            if let Some(best) = steps.min_by_key(|(cost, _)| *cost) {
                least[row * columns + column] = best;
            }
        }
        Some(Self { from, to, least })
    }

    fn cheapest(&self, steps: &mut Vec<Step>) {
        let (mut row, mut column) = (0, 0);
        while row < self.from.len() || column < self.to.len() {
            let (_, step) = self.least[row * (self.to.len() + 1) + column];
            row += usize::from(step != Step::Add);
            column += usize::from(step != Step::Remove);
            steps.push(step);
        }
    }
}
