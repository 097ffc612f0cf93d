//! Elements of an array that stand elsewhere in another, and where they are on their way.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
};

use serde_json::Value;

use super::alignment::Step;
use crate::json::is_below;

/// Smaller elements are not worth a `move`.
const LEAST_BYTES: usize = 16;

/// Which elements move.
#[derive(Default)]
pub(super) struct Moves {
    /// By its place in the one array, the place in the other.
    targets: HashMap<usize, usize>,
    /// The other way round.
    sources: HashMap<usize, usize>,
}

impl Moves {
    /// Finds the elements that are gone in one place and new in another.
    pub(super) fn between<'a>(
        from: &[Value],
        to: &[Value],
        hunks: impl Iterator<Item = &'a [Range<usize>; 2]> + Clone,
    ) -> Self {
        let mut moves = Self::default();
        if !hunks.clone().any(|hunk| !hunk[0].is_empty())
            || !hunks.clone().any(|hunk| !hunk[1].is_empty())
        {
            return moves;
        }
        let is_worth = |value: &Value| !is_below(value, LEAST_BYTES);
        let mut gone: HashMap<&Value, VecDeque<usize>> = HashMap::new();
        for source in hunks.clone().flat_map(|hunk| hunk[0].clone()) {
            if is_worth(&from[source]) {
                gone.entry(&from[source]).or_default().push_back(source);
            }
        }
        for target in hunks.flat_map(|hunk| hunk[1].clone()) {
            let found = gone.get_mut(&to[target]);
            if let Some(source) = found.and_then(VecDeque::pop_front) {
                moves.targets.insert(source, target);
                moves.sources.insert(target, source);
            }
        }
        moves
    }

    /// Whether the element at this place of the one array moves.
    pub(super) fn leaves(&self, source: usize) -> bool {
        self.targets.contains_key(&source)
    }

    /// Where the element at this place of the other array comes from, where it moves.
    pub(super) fn source(&self, target: usize) -> Option<usize> {
        self.sources.get(&target).copied()
    }

    /// By its place in the other array, before which element of the one an element arrives.
    fn anchors(&self, steps: &[Step]) -> HashMap<usize, usize> {
        let (mut source, mut target, mut anchors) = (0, 0, HashMap::new());
        for step in steps {
            if *step == Step::Add && self.sources.contains_key(&target) {
                anchors.insert(target, source);
            }
            source += usize::from(*step != Step::Add);
            target += usize::from(*step != Step::Remove);
        }
        anchors
    }
}

/// The array while it is patched from its begin to its end: what is done, then what is left of the one
/// array, and among that the elements that wait for their turn.
pub(super) struct Way {
    moves: Moves,
    anchors: HashMap<usize, usize>,
    /// Taken out before their turn.
    gone: Vec<usize>,
    /// Put before an element that is left, in the order of their places in the other array.
    waiting: Vec<(usize, usize)>,
    /// How many elements are done: the place in the array, and in the other one.
    done: usize,
    /// The next element of the one array.
    next: usize,
}

/// What is to be done with the array.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    Nothing,
    /// What the step says.
    AsSaid,
    /// One element is moved.
    Move { from: usize, to: usize },
}

impl Way {
    pub(super) fn new(moves: Moves, steps: &[Step]) -> Self {
        Self {
            anchors: moves.anchors(steps),
            moves,
            gone: Vec::new(),
            waiting: Vec::new(),
            done: 0,
            next: 0,
        }
    }

    /// The place where the next step works.
    pub(super) fn place(&self) -> usize {
        self.done
    }

    /// Takes a step.
    pub(super) fn take(&mut self, step: Step) -> Turn {
        let turn = match step {
            Step::Keep | Step::Change => Turn::AsSaid,
            Step::Remove => self.leave(),
            Step::Add => self.arrive(),
        };
        self.next += usize::from(step != Step::Add);
        self.done += usize::from(step != Step::Remove);
        turn
    }

    /// The next element leaves.
    fn leave(&mut self) -> Turn {
        let source = self.next;
        let Some(target) = self.moves.targets.get(&source).copied() else {
            return Turn::AsSaid;
        };
        if self.gone.contains(&source) {
            return Turn::Nothing;
        }
        let anchor = self.anchors.get(&target).copied().unwrap_or(source + 1);
        let before = self
            .waiting
            .iter()
            .filter(|(_, other)| *other < target)
            .count();
        let to = self.done + self.left(source + 1, anchor) + before;
        self.waiting.push((anchor, target));
        moved(self.done, to)
    }

    /// The next element of the other array arrives.
    fn arrive(&mut self) -> Turn {
        let target = self.done;
        let Some(source) = self.moves.source(target) else {
            return Turn::AsSaid;
        };
        if let Some(found) = self.waiting.iter().position(|(_, other)| *other == target) {
            self.waiting.swap_remove(found);
            return Turn::Nothing;
        }
        let before = self
            .waiting
            .iter()
            .filter(|(anchor, _)| *anchor <= source)
            .count();
        let from = self.done + self.left(self.next, source) + before;
        self.gone.push(source);
        moved(from, self.done)
    }

    /// How many elements of the one array are left in a range of it.
    fn left(&self, begin: usize, end: usize) -> usize {
        let gone = self
            .gone
            .iter()
            .filter(|place| (begin..end).contains(*place));
        end.saturating_sub(begin) - gone.count()
    }
}

fn moved(from: usize, to: usize) -> Turn {
    if from == to {
        Turn::Nothing
    } else {
        Turn::Move { from, to }
    }
}
