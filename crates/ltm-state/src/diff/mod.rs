//! Makes a patch from a new state or from a merge patch, which a producer may send instead of a patch.

use json_patch::{AddOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation};
use jsonptr::PointerBuf;
use serde_json::{Map, Value};

use crate::{
    json::{is_below, measure},
    prototype::is_reserved,
};

mod alignment;
mod edit;
mod length;
mod merge;
mod moves;
mod shortest;

pub use alignment::Budget;
use alignment::{Alignment, align, by_index};
use edit::Edit;
use moves::{Action, Moves, PatchedArray};

/// The patch (RFC 6902) that leads from one state to another.
///
/// Members of objects are compared by name. Elements of arrays are aligned: equal elements stay or move, and
/// similar elements are changed in place. A value is replaced as a whole if that makes the patch shorter; the
/// state itself is never replaced. No operation has a path that clients in JavaScript reject, unless one of the
/// states has a member `__proto__`.
///
/// The work is bounded. It is about that of reading both states [`MAX_ALIGNED_LEVELS`] times, plus [`Budget`]. If
/// that does not suffice, the patch is longer than it could be.
pub fn diff(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<PatchOperation> {
    diff_within(from, to, &mut Budget::default())
}

/// As [`diff`], with work that may be shared with other comparisons. The function subtracts from `budget` what it uses.
pub fn diff_within(
    from: &Map<String, Value>,
    to: &Map<String, Value>,
    budget: &mut Budget,
) -> Vec<PatchOperation> {
    let mut differ = Differ::new(budget);
    differ.objects(from, to);
    differ.operations
}

/// The patch (RFC 6902) that changes `state` as the merge patch (RFC 7396) `merge` does: that of [`diff`] to the
/// merged state, at a cost that depends on what the merge patch names.
pub fn merge(state: &Map<String, Value>, merge: &Map<String, Value>) -> Vec<PatchOperation> {
    merge_within(state, merge, &mut Budget::default())
}

/// As [`merge`], with work that may be shared: see [`diff_within`].
pub fn merge_within(
    state: &Map<String, Value>,
    merge: &Map<String, Value>,
    budget: &mut Budget,
) -> Vec<PatchOperation> {
    let mut differ = Differ::new(budget);
    differ.merge(state, merge);
    differ.operations
}

/// The most levels of nested arrays that are aligned. The elements of deeper arrays are compared by index.
const MAX_ALIGNED_LEVELS: usize = 16;
/// An array with more elements is given up as soon as its operations are longer than the array.
const LONG_ARRAY: usize = 1 << 10;

struct Differ<'a> {
    path: PointerBuf,
    operations: Vec<PatchOperation>,
    /// Their approximate length as text, in bytes.
    length: usize,
    budget: &'a mut Budget,
    /// The number of arrays around the current path.
    levels: usize,
}

impl<'a> Differ<'a> {
    fn new(budget: &'a mut Budget) -> Self {
        Self {
            path: PointerBuf::new(),
            operations: Vec::new(),
            length: 0,
            budget,
            levels: 0,
        }
    }

    /// Runs `work` with `token` appended to the path.
    fn at<T>(
        &mut self,
        token: impl Into<jsonptr::Token<'static>>,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.path.push_back(token);
        let done = work(self);
        self.path.pop_back();
        done
    }

    /// The length of the path in bytes.
    fn path_bytes(&self) -> usize {
        self.path.as_str().len()
    }

    /// Adds `value` at the path; returns its size in bytes.
    fn add(&mut self, value: Value) -> usize {
        let bytes = measure(&value).bytes;
        self.length += length::add(self.path_bytes(), bytes);
        let path = self.path.clone();
        self.operations
            .push(PatchOperation::Add(AddOperation { path, value }));
        bytes
    }

    /// Removes the value at the path.
    fn remove(&mut self) {
        self.length += length::remove(self.path_bytes());
        let path = self.path.clone();
        self.operations
            .push(PatchOperation::Remove(RemoveOperation { path }));
    }

    /// Moves an element of the array at the path.
    fn shift(&mut self, from: usize, to: usize) {
        let at = |index: usize| {
            let mut path = self.path.clone();
            path.push_back(index);
            path
        };
        let (from, path) = (at(from), at(to));
        self.length += length::moved(from.as_str().len() + path.as_str().len());
        self.operations
            .push(PatchOperation::Move(MoveOperation { from, path }));
    }

    /// Replaces the value at the path with `value`; returns its size in bytes.
    fn replace(&mut self, value: Value) -> usize {
        let bytes = measure(&value).bytes;
        self.length += length::replace(self.path_bytes(), bytes);
        let path = self.path.clone();
        self.operations
            .push(PatchOperation::Replace(ReplaceOperation { path, value }));
        bytes
    }

    /// Changes the value at the path from `from` to `to`. Returns a lower bound of the size of `to` in bytes,
    /// as far as the comparison shows one.
    fn values(&mut self, from: &Value, to: &Value) -> usize {
        let (operations, length) = (self.operations.len(), self.length);
        let known = match (from, to) {
            (Value::Object(old), Value::Object(new)) if !self.may_name_members(old, new) => {
                return self.replace(to.clone());
            }
            (Value::Object(from), Value::Object(to)) => Some(self.objects(from, to)),
            (Value::Array(from), Value::Array(to)) => self.arrays(from, to),
            _ if from == to => return 0,
            _ => return self.replace(to.clone()),
        };
        let room = length::left_for_value(self.path_bytes(), self.length - length);
        match known {
            Some(known) if known >= room || !is_below(to, room) => known.max(room),
            _ => {
                self.operations.truncate(operations);
                self.length = length;
                self.replace(to.clone())
            }
        }
    }

    fn objects(&mut self, from: &Map<String, Value>, to: &Map<String, Value>) -> usize {
        for key in from.keys().filter(|key| !to.contains_key(*key)) {
            self.at(key.clone(), Self::remove);
        }
        let mut known = 0;
        for (key, to) in to {
            let from = from.get(key);
            if !is_scalar(to) || from != Some(to) {
                known += self.at(key.clone(), |differ| match from {
                    Some(from) => differ.values(from, to),
                    None => differ.add(to.clone()),
                });
            }
        }
        known
    }

    /// Whether no member that changes has a name that clients in JavaScript reject in a path.
    fn may_name_members(&self, from: &Map<String, Value>, to: &Map<String, Value>) -> bool {
        let changes = |key: &&str| is_reserved(&self.path, key) && from.get(*key) != to.get(*key);
        !crate::prototype::RESERVED.iter().any(changes)
    }

    /// Returns `None` if the operations would be so long, or shift so many elements, that replacing the array is
    /// better.
    fn arrays(&mut self, from: &[Value], to: &[Value]) -> Option<usize> {
        let Alignment { edits, moves } = match self.levels {
            ..MAX_ALIGNED_LEVELS => align(from, to, self.path_bytes(), self.budget),
            _ => Alignment {
                edits: by_index(from.len(), to.len()).collect(),
                moves: Moves::default(),
            },
        };
        let shifting = edits.iter().filter(|edit| edit.shifts()).count();
        let shifts = shifting.saturating_mul(from.len().max(to.len()));
        if !alignment::take(&mut self.budget.shifts, shifts) {
            return None;
        }
        let most = match self.levels {
            ..MAX_ALIGNED_LEVELS if to.len() > LONG_ARRAY => {
                let bytes = to.iter().map(|item| measure(item).bytes + 1).sum::<usize>() + 2;
                self.length + length::replace(self.path_bytes(), bytes)
            }
            _ => usize::MAX,
        };
        self.levels += 1;
        let array = PatchedArray::new(moves, &edits);
        let known = self.edits(&edits, array, from, to, most);
        self.levels -= 1;
        known
    }

    /// Makes the operations for these edits of the array at the path. Returns `None` if all operations together are
    /// longer than `most` bytes.
    fn edits(
        &mut self,
        edits: &[Edit],
        mut array: PatchedArray,
        from: &[Value],
        to: &[Value],
        most: usize,
    ) -> Option<usize> {
        let (mut from, mut to, mut known) = (from.iter(), to.iter(), 0);
        for edit in edits {
            if self.length > most {
                return None;
            }
            let old = from.by_ref().take(usize::from(*edit != Edit::Add)).next();
            let new = to.by_ref().take(usize::from(*edit != Edit::Remove)).next();
            let index = array.index();
            match (array.make(*edit), old, new) {
                (Action::Move { from, to }, _, _) => self.shift(from, to),
                (Action::Edit, Some(old), Some(new)) if *edit == Edit::Change => {
                    known += self.at(index, |differ| differ.values(old, new));
                }
                (Action::Edit, Some(_), None) => self.at(index, Self::remove),
                (Action::Edit, None, Some(new)) => {
                    known += self.at(index, |differ| differ.add(new.clone()));
                }
                _ => {}
            }
        }
        Some(known)
    }
}

/// Whether a value is neither an array nor an object.
fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// The patch that makes a state of nothing.
pub(crate) fn additions(to: Map<String, Value>) -> Vec<PatchOperation> {
    let add = |(key, value)| {
        let path = PointerBuf::from_tokens([key]);
        PatchOperation::Add(AddOperation { path, value })
    };
    to.into_iter().map(add).collect()
}

#[cfg(test)]
mod tests;
