//! Patches made from what a producer sends instead of one: a whole new state, or a merge patch.

use json_patch::{AddOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation};
use jsonptr::PointerBuf;
use serde_json::{Map, Value};

use crate::json::{is_below, measure};

mod alignment;
mod length;
mod moves;

use alignment::{Alignment, Step, align, by_position};
use moves::{Moves, Turn, Way};

/// The patch (RFC 6902) that leads from one state to another.
///
/// Members are compared by name. Of two arrays the elements that are equal stay as they are, wherever
/// others come and go, or move; those that are alike are changed. What is shorter to replace is replaced, but
/// never the state itself.
///
/// Its work is bounded: about that of reading both states [`MOST_LEVELS`] times, and what compares
/// [`MOST_WORK`] bytes.
pub fn diff(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<PatchOperation> {
    let mut differ = Differ::new();
    differ.objects(from, to);
    differ.operations
}

/// The patch (RFC 6902) that does to `state` what the merge patch (RFC 7396) `merge` does.
pub fn merge(state: &Map<String, Value>, merge: Map<String, Value>) -> Vec<PatchOperation> {
    let mut differ = Differ::new();
    differ.merge(state, merge);
    differ.operations
}

/// How many bytes are compared at most to pair elements that are alike and not equal.
const MOST_WORK: usize = 8 << 20;
/// How many arrays within arrays are compared with elements that come and go; deeper ones are compared
/// by position.
const MOST_LEVELS: usize = 16;
/// How many elements one array may move aside in all for others that come and go.
const MOST_MOVES: usize = 1 << 26;

struct Differ {
    path: PointerBuf,
    operations: Vec<PatchOperation>,
    /// How long they are as text, about.
    length: usize,
    /// How many bytes may still be compared: see [`MOST_WORK`].
    work: usize,
    /// How many arrays are around this place.
    levels: usize,
}

impl Differ {
    fn new() -> Self {
        Self {
            path: PointerBuf::new(),
            operations: Vec::new(),
            length: 0,
            work: MOST_WORK,
            levels: 0,
        }
    }

    /// Runs `work` one level down, at `token`.
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

    /// How many bytes the path has.
    fn path_bytes(&self) -> usize {
        self.path.as_str().len()
    }

    /// Gives the bytes of `value`.
    fn add(&mut self, value: Value) -> usize {
        let bytes = measure(&value).bytes;
        self.length += length::add(self.path_bytes(), bytes);
        let path = self.path.clone();
        self.operations
            .push(PatchOperation::Add(AddOperation { path, value }));
        bytes
    }

    fn remove(&mut self) {
        self.length += length::remove(self.path_bytes());
        let path = self.path.clone();
        self.operations
            .push(PatchOperation::Remove(RemoveOperation { path }));
    }

    /// Moves an element of the array that is here.
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

    /// Gives the bytes of `value`.
    fn replace(&mut self, value: Value) -> usize {
        let bytes = measure(&value).bytes;
        self.length += length::replace(self.path_bytes(), bytes);
        let path = self.path.clone();
        self.operations
            .push(PatchOperation::Replace(ReplaceOperation { path, value }));
        bytes
    }

    /// Gives how many bytes `to` has at least, as far as that is known by the way.
    fn values(&mut self, from: &Value, to: &Value) -> usize {
        let (operations, length) = (self.operations.len(), self.length);
        let known = match (from, to) {
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

    /// `None` where so many elements come and go that it is better to replace the array.
    fn arrays(&mut self, from: &[Value], to: &[Value]) -> Option<usize> {
        let Alignment { steps, moves } = match self.levels {
            ..MOST_LEVELS => align(from, to, self.path_bytes(), &mut self.work),
            _ => Alignment {
                steps: by_position(from.len(), to.len()).collect(),
                moves: Moves::default(),
            },
        };
        let moving = steps.iter().filter(|step| step.moves()).count();
        if moving.saturating_mul(from.len().max(to.len())) > MOST_MOVES {
            return None;
        }
        self.levels += 1;
        let known = self.steps(&steps, Way::new(moves, &steps), from, to);
        self.levels -= 1;
        Some(known)
    }

    fn steps(&mut self, steps: &[Step], mut way: Way, from: &[Value], to: &[Value]) -> usize {
        let (mut from, mut to, mut known) = (from.iter(), to.iter(), 0);
        for step in steps {
            let old = from.by_ref().take(usize::from(*step != Step::Add)).next();
            let new = to.by_ref().take(usize::from(*step != Step::Remove)).next();
            let place = way.place();
            match (way.take(*step), old, new) {
                (Turn::Move { from, to }, _, _) => self.shift(from, to),
                (Turn::AsSaid, Some(old), Some(new)) if *step == Step::Change => {
                    known += self.at(place, |differ| differ.values(old, new));
                }
                (Turn::AsSaid, Some(_), None) => self.at(place, Self::remove),
                (Turn::AsSaid, None, Some(new)) => {
                    known += self.at(place, |differ| differ.add(new.clone()));
                }
                _ => {}
            }
        }
        known
    }

    fn merge(&mut self, state: &Map<String, Value>, merge: Map<String, Value>) {
        for (key, value) in merge {
            let old = state.get(&key);
            self.at(key, |differ| match (old, value) {
                (None, Value::Null) => {}
                (Some(_), Value::Null) => differ.remove(),
                (Some(Value::Object(old)), Value::Object(value)) => differ.merge(old, value),
                (None, value) => {
                    differ.add(without_nulls(value));
                }
                (Some(old), value) => {
                    let value = without_nulls(value);
                    if *old != value {
                        differ.replace(value);
                    }
                }
            });
        }
    }
}

/// Whether a value has no members.
fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// What a merge patch makes where there was no object before.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
