//! Finds the elements that only change their position, and computes the indices of their `move` operations.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
};

use serde_json::Value;

use super::edit::Edit;
use crate::json::is_below;

/// A smaller element is removed and added: that costs no more than a `move`.
const MIN_MOVED_BYTES: usize = 16;

/// The elements that move from one index of the old array to another index of the new array.
#[derive(Default)]
pub(super) struct Moves {
    /// The index in the new array, by the index in the old array.
    targets: HashMap<usize, usize>,
    /// The index in the old array, by the index in the new array.
    sources: HashMap<usize, usize>,
}

impl Moves {
    /// Pairs each element that is missing in one hunk with an equal element that is new in another.
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
        let is_worth = |value: &Value| !is_below(value, MIN_MOVED_BYTES);
        let mut missing: HashMap<&Value, VecDeque<usize>> = HashMap::new();
        for source in hunks.clone().flat_map(|hunk| hunk[0].clone()) {
            if is_worth(&from[source]) {
                missing.entry(&from[source]).or_default().push_back(source);
            }
        }
        for target in hunks.flat_map(|hunk| hunk[1].clone()) {
            let found = missing.get_mut(&to[target]);
            if let Some(source) = found.and_then(VecDeque::pop_front) {
                moves.targets.insert(source, target);
                moves.sources.insert(target, source);
            }
        }
        moves
    }

    /// Whether the element at this index of the old array moves.
    pub(super) fn leaves(&self, source: usize) -> bool {
        self.targets.contains_key(&source)
    }

    /// The index in the old array of an element of the new array; `None` if the element does not move.
    pub(super) fn source(&self, target: usize) -> Option<usize> {
        self.sources.get(&target).copied()
    }

    /// For each element that moves, by its index in the new array: the old element that it is put before.
    fn anchors(&self, edits: &[Edit]) -> HashMap<usize, usize> {
        let (mut source, mut target, mut anchors) = (0, 0, HashMap::new());
        for edit in edits {
            if *edit == Edit::Add && self.sources.contains_key(&target) {
                anchors.insert(target, source);
            }
            source += usize::from(*edit != Edit::Add);
            target += usize::from(*edit != Edit::Remove);
        }
        anchors
    }
}

/// The array while it is patched from its beginning to its end.
///
/// It has two parts. The first part is done: it equals the beginning of the new array. The second part is the
/// rest of the old array, without the elements that were moved out of it, and with the elements that were
/// moved further into it.
pub(super) struct PatchedArray {
    moves: Moves,
    anchors: HashMap<usize, usize>,
    /// The old elements that were moved from the rest to the first part.
    taken: Vec<usize>,
    /// The elements that were moved further into the rest: the old element that each stands before, and its
    /// index in the new array. Those before the same element are in the order of the new array.
    waiting: Vec<(usize, usize)>,
    /// The length of the first part, which is also an index of the new array.
    done: usize,
    /// The index in the old array of the first element of the rest.
    next: usize,
}

/// The operation that an edit needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// None.
    Nothing,
    /// The operation of the edit.
    Edit,
    /// A `move` within the array.
    Move { from: usize, to: usize },
}

impl PatchedArray {
    pub(super) fn new(moves: Moves, edits: &[Edit]) -> Self {
        Self {
            anchors: moves.anchors(edits),
            moves,
            taken: Vec::new(),
            waiting: Vec::new(),
            done: 0,
            next: 0,
        }
    }

    /// The index that the next edit applies to.
    pub(super) fn index(&self) -> usize {
        self.done
    }

    /// Makes an edit; returns the operation for it.
    pub(super) fn make(&mut self, edit: Edit) -> Action {
        let action = match edit {
            Edit::Keep | Edit::Change => Action::Edit,
            Edit::Remove => self.remove(),
            Edit::Add => self.add(),
        };
        self.next += usize::from(edit != Edit::Add);
        self.done += usize::from(edit != Edit::Remove);
        action
    }

    /// Removes the first old element of the rest, or moves it further into the rest.
    fn remove(&mut self) -> Action {
        let source = self.next;
        let Some(target) = self.moves.targets.get(&source).copied() else {
            return Action::Edit;
        };
        if self.taken.contains(&source) {
            return Action::Nothing;
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

    /// Adds the next element of the new array to the first part, or moves it there from the rest.
    fn add(&mut self) -> Action {
        let target = self.done;
        let Some(source) = self.moves.source(target) else {
            return Action::Edit;
        };
        if let Some(found) = self.waiting.iter().position(|(_, other)| *other == target) {
            self.waiting.swap_remove(found);
            return Action::Nothing;
        }
        let before = self
            .waiting
            .iter()
            .filter(|(anchor, _)| *anchor <= source)
            .count();
        let from = self.done + self.left(self.next, source) + before;
        self.taken.push(source);
        moved(from, self.done)
    }

    /// The number of elements from a range of the old array that are still in the rest.
    fn left(&self, start: usize, end: usize) -> usize {
        let taken = self
            .taken
            .iter()
            .filter(|source| (start..end).contains(*source));
        end.saturating_sub(start) - taken.count()
    }
}

fn moved(from: usize, to: usize) -> Action {
    if from == to {
        Action::Nothing
    } else {
        Action::Move { from, to }
    }
}
