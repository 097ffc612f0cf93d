//! A state in memory, and the application of a patch to it.

use std::mem::{replace, swap, take};

use json_patch::PatchOperation;
use jsonptr::Pointer;
use serde_json::{Map, Value};

use super::{
    limits::{Limits, PatchError},
    place::{self, Place},
    run::{Inverse, OperationError, Run},
};
use crate::json::{JsonSize, measure, memory, number};

/// A value that is only measured counts as this fraction of one that is copied.
const MEASURED_PER_COPIED: usize = 8;

/// The means to undo a patch: see [`Tree::undo`].
///
/// It holds the values that the patch took out of the state, and copies nothing.
#[derive(Debug)]
#[must_use = "without it, the patch cannot be undone; drop it explicitly"]
pub struct Undo {
    inverses: Vec<Inverse>,
    size: JsonSize,
    /// The memory of the values in it.
    kept: usize,
    /// What the patch copied and shifted.
    work: usize,
}

impl Undo {
    /// The approximate memory of the values that it holds, in bytes.
    pub fn memory(&self) -> usize {
        self.kept
    }

    /// What applying the patch took of [`Limits::max_work`].
    pub fn work(&self) -> usize {
        self.work
    }
}

/// The state of an LTM and its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    value: Value,
    /// The depth in it is not kept up.
    size: JsonSize,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new(Value::Object(Map::new()))
    }
}

impl Tree {
    /// A tree with this value.
    pub fn new(value: Value) -> Self {
        let size = JsonSize {
            depth: 0,
            ..measure(&value)
        };
        Self { value, size }
    }

    /// A tree whose size is not known, to apply a patch without limits of size.
    pub(super) fn unmeasured(value: Value) -> Self {
        let size = JsonSize::default();
        Self { value, size }
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn into_value(self) -> Value {
        self.value
    }

    /// Its approximate size as JSON text in bytes: escapes are not counted.
    pub fn bytes(&self) -> usize {
        self.size.bytes
    }

    /// Its approximate size in memory in bytes.
    pub fn memory(&self) -> usize {
        self.size.memory + memory::SLOT
    }

    /// Applies all operations, or none. Returns the means to undo them.
    ///
    /// # Errors
    ///
    /// [`PatchError::Failed`] or [`PatchError::TooLarge`], with the index of the operation. The value is unchanged
    /// then.
    pub fn apply(
        &mut self,
        operations: &[PatchOperation],
        limits: &Limits,
    ) -> Result<Undo, PatchError> {
        self.apply_within(operations, limits, limits.max_work)
    }

    /// As [`Tree::apply`], with `work` of [`Limits::max_work`] left.
    ///
    /// # Errors
    ///
    /// As [`Tree::apply`].
    pub(crate) fn apply_within(
        &mut self,
        operations: &[PatchOperation],
        limits: &Limits,
        work: usize,
    ) -> Result<Undo, PatchError> {
        let operations = operations.iter().map(|it| (it, value_of(it).cloned()));
        self.apply_undoable(operations, limits, work)
    }

    /// As [`Tree::apply`]. Takes the values out of the operations instead of copying them.
    ///
    /// # Errors
    ///
    /// As [`Tree::apply`].
    pub fn apply_owned(
        &mut self,
        operations: Vec<PatchOperation>,
        limits: &Limits,
    ) -> Result<Undo, PatchError> {
        let owned = operations.into_iter().map(|mut operation| {
            let value = value_of_mut(&mut operation).map(take);
            (operation, value)
        });
        self.apply_undoable(owned, limits, limits.max_work)
    }

    fn apply_undoable<T: std::borrow::Borrow<PatchOperation>>(
        &mut self,
        operations: impl Iterator<Item = (T, Option<Value>)>,
        limits: &Limits,
        work: usize,
    ) -> Result<Undo, PatchError> {
        let size = self.size;
        let mut run = Run::new(limits, Some(Vec::new()));
        run.work = work;
        let applied = self.run(operations, &mut run);
        let undo = Undo {
            inverses: run.inverses.unwrap_or_default(),
            size,
            kept: run.kept,
            work: work - run.work,
        };
        match applied {
            Ok(()) => Ok(undo),
            Err(error) => {
                self.undo(undo);
                Err(error)
            }
        }
    }

    /// Applies operations from the log. What they replace is dropped at once, so they cannot be undone. `tests` says
    /// whether `test` operations count.
    ///
    /// # Errors
    ///
    /// As [`Tree::apply`]. A part of the operations may be applied then: drop the tree.
    pub(crate) fn fold(
        &mut self,
        operations: Vec<PatchOperation>,
        limits: &Limits,
        tests: bool,
    ) -> Result<(), PatchError> {
        let owned = operations.into_iter().map(|mut operation| {
            let value = value_of_mut(&mut operation).map(take);
            (operation, value)
        });
        let mut run = Run::new(limits, None);
        run.tests = tests;
        self.run(owned, &mut run)
    }

    fn run<T: std::borrow::Borrow<PatchOperation>>(
        &mut self,
        operations: impl Iterator<Item = (T, Option<Value>)>,
        run: &mut Run<'_>,
    ) -> Result<(), PatchError> {
        for (index, (operation, value)) in operations.enumerate() {
            let operation = operation.borrow();
            self.step(operation, value.unwrap_or_default(), run)
                .map_err(|error| error.at(index, operation))?;
        }
        Ok(())
    }

    /// Undoes the patch that was applied last.
    pub fn undo(&mut self, undo: Undo) {
        for inverse in undo.inverses.into_iter().rev() {
            // The value is again as it was when the inverse was made, so the inverse applies.
            let undone = self.undo_one(inverse);
            debug_assert!(undone.is_ok(), "{undone:?}");
        }
        self.size = undo.size;
    }

    fn undo_one(&mut self, inverse: Inverse) -> Result<(), String> {
        let root = &mut self.value;
        match inverse {
            Inverse::Put(path, value) => place::place(root, &path)?.set(value),
            Inverse::Insert(path, value) => place::place(root, &path)?.insert(value),
            Inverse::Remove(path) => drop(place::place(root, &path)?.take()),
            Inverse::MoveBack {
                now,
                from,
                replaced,
            } => {
                let moved = match replaced {
                    Some(replaced) => place::place(root, &now)?.swap(replaced),
                    None => place::place(root, &now)?.take(),
                };
                place::place(root, &from)?.insert(moved.ok_or("nothing was moved")?);
            }
        }
        Ok(())
    }

    /// Applies one operation. `value` is the value of an `add` or a `replace`.
    fn step(
        &mut self,
        operation: &PatchOperation,
        mut value: Value,
        run: &mut Run<'_>,
    ) -> Result<(), OperationError> {
        match operation {
            PatchOperation::Add(add) => {
                let size = measure(&value);
                run.work(size.memory)?;
                self.add(&add.path, &mut value, size, run)
            }
            PatchOperation::Replace(replace) => {
                let size = measure(&value);
                run.work(size.memory)?;
                self.replace(&replace.path, value, size, run)
            }
            PatchOperation::Remove(remove) => {
                let removed = self.remove(&remove.path, run)?;
                run.inverse(|| Inverse::Insert(remove.path.clone(), removed));
                Ok(())
            }
            PatchOperation::Copy(copy) => {
                let source = place::value(&self.value, &copy.from)?;
                let size = measure(source);
                // Before it is copied.
                run.work(size.memory)?;
                value = source.clone();
                self.add(&copy.path, &mut value, size, run)
            }
            PatchOperation::Move(mov) if mov.path == mov.from => {
                place::value(&self.value, &mov.from)?;
                Ok(())
            }
            PatchOperation::Move(mov) => self.move_value(&mov.from, &mov.path, run),
            PatchOperation::Test(_) if !run.tests => Ok(()),
            PatchOperation::Test(test) => {
                let found = place::value(&self.value, &test.path)?;
                if number::equal(found, &test.value) {
                    return Ok(());
                }
                Err("the state has another value there".to_owned().into())
            }
        }
    }

    /// Puts `value` at `path`, and leaves what was there in the undo. After an error, `value` is untouched.
    fn add(
        &mut self,
        path: &Pointer,
        value: &mut Value,
        size: JsonSize,
        run: &mut Run<'_>,
    ) -> Result<(), OperationError> {
        run.depth(path, size)?;
        match place::place(&mut self.value, path)? {
            Place::Member { members, key } => {
                if let Some(old) = members.get_mut(&key) {
                    let replaced = measure(old);
                    self.size = run.grown(self.size, size, replaced)?;
                    swap(old, value);
                    run.kept += replaced.memory;
                    run.inverse(|| Inverse::Put(path.to_buf(), take(value)));
                    return Ok(());
                }
                let len = members.len();
                let mut size = size.of_member(&key);
                size.memory += memory::object(len + 1);
                self.size = run.grown(self.size, size, of_container(memory::object(len)))?;
                members.insert(key, take(value));
                run.inverse(|| Inverse::Remove(path.to_buf()));
            }
            Place::Element { items, index } => {
                let len = items.len();
                run.work(len - index)?;
                let mut size = size.of_element();
                size.memory += memory::array(len + 1);
                self.size = run.grown(self.size, size, of_container(memory::array(len)))?;
                items.insert(index, take(value));
                run.inverse(|| {
                    // `-` names another place now.
                    let mut path = path.to_buf();
                    path.pop_back();
                    path.push_back(index);
                    Inverse::Remove(path)
                });
            }
        }
        Ok(())
    }

    fn replace(
        &mut self,
        path: &Pointer,
        value: Value,
        size: JsonSize,
        run: &mut Run<'_>,
    ) -> Result<(), OperationError> {
        run.depth(path, size)?;
        let mut found = existing(&mut self.value, path)?;
        let old = found.get().ok_or_else(|| nothing_at(path))?;
        let replaced = measure(old);
        self.size = run.grown(self.size, size, replaced)?;
        run.kept += replaced.memory;
        let old = replace(old, value);
        run.inverse(|| Inverse::Put(path.to_buf(), old));
        Ok(())
    }

    /// Takes the value at `path` out of the tree. The caller says how that is undone.
    fn remove(&mut self, path: &Pointer, run: &mut Run<'_>) -> Result<Value, OperationError> {
        if path.is_root() {
            return Err("the whole state cannot be removed".to_owned().into());
        }
        let mut found = existing(&mut self.value, path)?;
        let removed = match found.get() {
            Some(value) if !run.is_move => measure(value),
            _ => JsonSize::default(),
        };
        run.kept += removed.memory;
        let (removed, container) = match &found {
            Place::Member { members, key } => {
                let len = members.len();
                let shrunk = memory::object(len) - memory::object(len - 1);
                (removed.of_member(key), shrunk)
            }
            Place::Element { items, index } => {
                let len = items.len();
                run.work(len - index)?;
                let shrunk = memory::array(len) - memory::array(len - 1);
                (removed.of_element(), shrunk)
            }
        };
        self.size.bytes = self.size.bytes.saturating_sub(removed.bytes);
        self.size.memory = self.size.memory.saturating_sub(removed.memory + container);
        found.take().ok_or_else(|| nothing_at(path))
    }

    fn move_value(
        &mut self,
        from: &Pointer,
        path: &Pointer,
        run: &mut Run<'_>,
    ) -> Result<(), OperationError> {
        if path.starts_with(from) {
            return Err("a value cannot be moved into itself".to_owned().into());
        }
        if path.count() > from.count() {
            // Only here does the depth of the value matter.
            let size = measure(place::value(&self.value, from)?);
            run.work(size.memory / MEASURED_PER_COPIED)?;
            run.depth(path, size)?;
        }
        let before = self.size;
        run.is_move = true;
        let moved = self.remove(from, run).and_then(|mut value| {
            let added = self.add(path, &mut value, JsonSize::default(), run);
            if added.is_err()
                && let Ok(place) = place::place(&mut self.value, from)
            {
                place.insert(value);
                self.size = before;
            }
            added
        });
        run.is_move = false;
        moved?;
        run.last_is_move(from);
        Ok(())
    }
}

impl Place<'_> {
    /// The value that is there.
    fn get(&mut self) -> Option<&mut Value> {
        match self {
            Self::Member { members, key } => members.get_mut(&*key),
            Self::Element { items, index } => items.get_mut(*index),
        }
    }

    /// Takes the value out; the elements of an array behind it move up.
    fn take(self) -> Option<Value> {
        match self {
            Self::Member { members, key } => members.remove(&key),
            Self::Element { items, index } => (index < items.len()).then(|| items.remove(index)),
        }
    }

    /// Puts a value where none is; the elements of an array from there on move down.
    fn insert(self, value: Value) {
        match self {
            Self::Member { members, key } => drop(members.insert(key, value)),
            Self::Element { items, index } => items.insert(index, value),
        }
    }

    /// Puts a value in the place of the one that is there.
    fn swap(mut self, value: Value) -> Option<Value> {
        self.get().map(|old| replace(old, value))
    }

    fn set(self, value: Value) {
        drop(self.swap(value));
    }
}

/// The place of a value that exists.
fn existing<'a>(root: &'a mut Value, path: &'a Pointer) -> Result<Place<'a>, OperationError> {
    place::value(root, path)?;
    Ok(place::place(root, path)?)
}

fn nothing_at(path: &Pointer) -> OperationError {
    place::missing(path, 0).into()
}

/// The size of a container alone, which another one replaces.
fn of_container(memory: usize) -> JsonSize {
    JsonSize {
        memory,
        ..JsonSize::default()
    }
}

/// The value of an `add` or a `replace`.
fn value_of(operation: &PatchOperation) -> Option<&Value> {
    match operation {
        PatchOperation::Add(add) => Some(&add.value),
        PatchOperation::Replace(replace) => Some(&replace.value),
        _ => None,
    }
}

fn value_of_mut(operation: &mut PatchOperation) -> Option<&mut Value> {
    match operation {
        PatchOperation::Add(add) => Some(&mut add.value),
        PatchOperation::Replace(replace) => Some(&mut replace.value),
        _ => None,
    }
}
