//! JSON Patch (RFC 6902) on a state in memory.
//!
//! The invariant: a patch applies as a whole or not at all, within the limits, and its cost depends on the
//! change and not on the state.
//!
//! `json_patch` applies each operation. This module adds three things. A failed patch is undone operation by
//! operation, so the state need not be copied first (`json_patch`'s own undo loses the value that a `move`
//! replaces). Numbers are compared by value. An operation that would make the state too large or too deep is
//! rejected before it runs.

use std::mem::take;

use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation, patch_unsafe,
};
use jsonptr::{Pointer, PointerBuf, Token};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::json::{self, JsonSize, measure, member_bytes, number};

/// The limits of a patch and of its result.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest state, approximately, in bytes of JSON text.
    pub max_bytes: usize,
    /// The most levels of arrays and objects in the state.
    pub max_depth: usize,
    /// The most operations in one patch.
    pub max_operations: usize,
}

/// The most levels of arrays and objects in a state, regardless of the settings. JSON is read, measured and
/// dropped recursively, on the stack.
pub const MAX_DEPTH: usize = 512;
/// The levels of a patch around the values in it.
pub const LEVELS: usize = 2;

/// Why a patch is rejected. The state is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The text is not a patch.
    #[error("{detail}")]
    Malformed {
        /// The wrong member: `[2].path`.
        field: String,
        /// What is wrong with it.
        detail: String,
    },
    /// An operation does not apply to the state.
    #[error("operation {operation} ({text}): {detail}")]
    Failed {
        /// The index of the operation.
        operation: usize,
        /// A short form of the operation: `move /a to /b`.
        text: String,
        /// Why it failed.
        detail: String,
    },
    /// The state would be larger or deeper than allowed, or the patch has too many operations.
    #[error("operation {operation}: {detail}")]
    TooLarge {
        /// The index of the operation.
        operation: usize,
        /// The limit and the value that exceeds it.
        detail: String,
    },
}

/// The members of an operation. This is a plain struct, because serde's tagged enums do not keep the digits of
/// numbers.
#[derive(Deserialize)]
struct Members {
    op: String,
    path: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads a patch. `text` is JSON that [`crate::json::compact`] accepted.
///
/// # Errors
///
/// [`PatchError::Malformed`] names the wrong member. [`PatchError::TooLarge`] if the patch has more operations
/// than allowed.
pub fn parse(text: &str, limits: &Limits) -> Result<Vec<PatchOperation>, PatchError> {
    let members = members(text)?;
    if members.len() > limits.max_operations {
        return Err(PatchError::TooLarge {
            operation: limits.max_operations,
            detail: format!(
                "the patch has {} operations, and {} are allowed",
                members.len(),
                limits.max_operations
            ),
        });
    }
    operations(members)
}

/// Applies the text of a patch from the log to `state`.
///
/// The API has applied the patch within its limits, so there are none here, nothing can be undone, and
/// `test` operations are skipped.
///
/// # Errors
///
/// [`PatchError`] if the text is not a patch or does not apply. A part of it may be applied then.
pub fn replay(state: &mut Value, text: &str) -> Result<(), PatchError> {
    for (index, operation) in operations(members(text)?)?.iter().enumerate() {
        if matches!(operation, PatchOperation::Test(_)) {
            continue;
        }
        patch_unsafe(state, std::slice::from_ref(operation))
            .map_err(|e| OperationError::Failed(e.kind.to_string()).at(index, operation))?;
    }
    Ok(())
}

fn operations(members: Vec<Members>) -> Result<Vec<PatchOperation>, PatchError> {
    members
        .into_iter()
        .enumerate()
        .map(|(index, members)| operation(members, index))
        .collect()
}

/// Reads the members of the operations.
fn members(text: &str) -> Result<Vec<Members>, PatchError> {
    // The position in the text is tracked only if the patch is malformed, because that is slower.
    if let Ok(members) = json::read_checked(text) {
        return Ok(members);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.disable_recursion_limit();
    serde_path_to_error::deserialize(&mut deserializer).map_err(|e| PatchError::Malformed {
        field: e.path().to_string(),
        detail: format!("not a JSON Patch (RFC 6902): {}", e.inner()),
    })
}

/// Reads the operation at `index` of a patch.
fn operation(members: Members, index: usize) -> Result<PatchOperation, PatchError> {
    let Members {
        op,
        path,
        from,
        value,
    } = members;
    let path = pointer(index, "path", path)?;
    if path.is_root() && op != "test" {
        let detail = "the empty path would replace the whole state; name the members that change, or send `state`";
        return Err(malformed(index, "path", detail.into()));
    }
    let value = || required(index, &op, "value", value);
    let from = || pointer(index, "from", required(index, &op, "from", from)?);
    Ok(match op.as_str() {
        "add" => PatchOperation::Add(AddOperation {
            path,
            value: value()?,
        }),
        "remove" => PatchOperation::Remove(RemoveOperation { path }),
        "replace" => PatchOperation::Replace(ReplaceOperation {
            path,
            value: value()?,
        }),
        "move" => PatchOperation::Move(MoveOperation {
            from: from()?,
            path,
        }),
        "copy" => PatchOperation::Copy(CopyOperation {
            from: from()?,
            path,
        }),
        "test" => PatchOperation::Test(TestOperation {
            path,
            value: value()?,
        }),
        other => {
            let detail = format!(
                "`{other}` is not an operation; use add, remove, replace, move, copy or test"
            );
            return Err(malformed(index, "op", detail));
        }
    })
}

fn pointer(index: usize, member: &str, text: String) -> Result<PointerBuf, PatchError> {
    PointerBuf::parse(text).map_err(|error| {
        let detail = format!("not a JSON Pointer (RFC 6901): {error}");
        malformed(index, member, detail)
    })
}

fn required<T>(index: usize, op: &str, member: &str, given: Option<T>) -> Result<T, PatchError> {
    given.ok_or_else(|| malformed(index, member, format!("`{op}` needs `{member}`")))
}

fn malformed(index: usize, member: &str, detail: String) -> PatchError {
    PatchError::Malformed {
        field: format!("[{index}].{member}"),
        detail,
    }
}

/// The means to undo a patch: see [`Tree::undo`].
#[derive(Debug)]
#[must_use = "without it, the patch cannot be undone; drop it explicitly"]
pub struct Undo {
    inverses: Vec<PatchOperation>,
    bytes: usize,
}

/// The state of an LTM and its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    value: Value,
    bytes: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new(Value::Object(Map::new()))
    }
}

impl Tree {
    /// A tree with this value.
    pub fn new(value: Value) -> Self {
        let bytes = measure(&value).bytes;
        Self { value, bytes }
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Its approximate size as JSON text in bytes: escapes are not counted.
    pub fn bytes(&self) -> usize {
        self.bytes
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
        let mut undo = Undo {
            inverses: Vec::new(),
            bytes: self.bytes,
        };
        for (index, operation) in operations.iter().enumerate() {
            let step = self
                .check(operation, limits)
                .and_then(|()| self.step(operation, &mut undo.inverses));
            if let Err(error) = step {
                self.undo(undo);
                return Err(error.at(index, operation));
            }
        }
        Ok(undo)
    }

    /// Undoes the patch that was applied last.
    pub fn undo(&mut self, undo: Undo) {
        for inverse in undo.inverses.into_iter().rev() {
            // The value is again as it was when the inverse was made, so the inverse applies.
            let undone = patch_unsafe(&mut self.value, std::slice::from_ref(&inverse));
            debug_assert!(undone.is_ok(), "{undone:?}");
        }
        self.bytes = undo.bytes;
    }

    /// Rejects an operation whose result would exceed a limit.
    fn check(&self, operation: &PatchOperation, limits: &Limits) -> Result<(), OperationError> {
        let added = match operation {
            PatchOperation::Add(add) => measure(&add.value),
            PatchOperation::Replace(replace) => measure(&replace.value),
            PatchOperation::Copy(copy) => measure(self.at(&copy.from)?),
            PatchOperation::Move(mov) => JsonSize {
                bytes: 0,
                ..measure(self.at(&mov.from)?)
            },
            PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(()),
        };
        let depth = operation.path().count() + added.depth;
        if depth > limits.max_depth {
            return Err(OperationError::TooLarge(format!(
                "the state would be {depth} levels deep, and {} are allowed",
                limits.max_depth
            )));
        }
        let replaced = match operation {
            PatchOperation::Replace(replace) => measure(self.at(&replace.path)?).bytes,
            _ => 0,
        };
        let key = operation
            .path()
            .last()
            .map_or(0, |token| token.encoded().len() + 4);
        let bytes = (self.bytes + added.bytes + key).saturating_sub(replaced);
        if added.bytes > replaced && bytes > limits.max_bytes {
            return Err(OperationError::TooLarge(format!(
                "the state would be about {bytes} bytes, and {} are allowed",
                limits.max_bytes
            )));
        }
        Ok(())
    }

    /// Applies one operation, and records how to undo it.
    fn step(
        &mut self,
        operation: &PatchOperation,
        undo: &mut Vec<PatchOperation>,
    ) -> Result<(), OperationError> {
        match operation {
            PatchOperation::Add(add) => self.add(&add.path, &add.value, undo),
            PatchOperation::Replace(replace) => {
                let new = replace.value.clone();
                let old = std::mem::replace(self.at_mut(&replace.path)?, new);
                self.bytes = (self.bytes + measure(&replace.value).bytes)
                    .saturating_sub(measure(&old).bytes);
                undo.push(PatchOperation::Replace(ReplaceOperation {
                    path: replace.path.clone(),
                    value: old,
                }));
                Ok(())
            }
            PatchOperation::Remove(remove) => self.remove(&remove.path, undo).map(drop),
            PatchOperation::Copy(copy) => {
                let value = self.at(&copy.from)?.clone();
                self.add(&copy.path, &value, undo)
            }
            PatchOperation::Move(mov) if mov.path == mov.from => self.at(&mov.from).map(drop),
            PatchOperation::Move(mov) => {
                if mov.path.starts_with(&mov.from) {
                    return Err(OperationError::Failed(
                        "a value cannot be moved into itself".into(),
                    ));
                }
                let value = self.remove(&mov.from, undo)?;
                self.add(&mov.path, &value, undo)
            }
            PatchOperation::Test(test) => {
                let found = self.at(&test.path)?;
                if number::equal(found, &test.value) {
                    return Ok(());
                }
                Err(OperationError::Failed(
                    "the state has another value there".into(),
                ))
            }
        }
    }

    fn add(
        &mut self,
        path: &Pointer,
        value: &Value,
        undo: &mut Vec<PatchOperation>,
    ) -> Result<(), OperationError> {
        let key = path
            .last()
            .ok_or_else(|| OperationError::Failed("the path is empty".into()))?;
        let parent = self.at_mut(path.parent().unwrap_or(Pointer::root()))?;
        let (target, inverse) = match parent {
            Value::Object(members) => match members.get_mut(key.decoded().as_ref()) {
                Some(old) => (path.to_buf(), Some(take(old))),
                None => (path.to_buf(), None),
            },
            Value::Array(items) if key.is_next() => {
                let mut target = path.to_buf();
                target.pop_back();
                target.push_back(Token::from(items.len()));
                (target, None)
            }
            _ => (path.to_buf(), None),
        };
        let new = PatchOperation::Add(AddOperation {
            path: target.clone(),
            value: value.clone(),
        });
        let is_array = parent.is_array();
        patch_unsafe(&mut self.value, std::slice::from_ref(&new))
            .map_err(|e| OperationError::Failed(self.explain(path, &e)))?;
        self.bytes += measure(value).bytes;
        match inverse {
            Some(old) => {
                self.bytes = self.bytes.saturating_sub(measure(&old).bytes);
                undo.push(PatchOperation::Replace(ReplaceOperation {
                    path: target,
                    value: old,
                }));
            }
            None => {
                self.bytes += member_bytes(&key.decoded(), is_array);
                undo.push(PatchOperation::Remove(RemoveOperation { path: target }));
            }
        }
        Ok(())
    }

    fn remove(
        &mut self,
        path: &Pointer,
        undo: &mut Vec<PatchOperation>,
    ) -> Result<Value, OperationError> {
        let key = path
            .last()
            .ok_or_else(|| OperationError::Failed("the whole state cannot be removed".into()))?;
        let old = take(self.at_mut(path)?);
        let is_array = self
            .at(path.parent().unwrap_or(Pointer::root()))?
            .is_array();
        let remove = PatchOperation::Remove(RemoveOperation {
            path: path.to_buf(),
        });
        patch_unsafe(&mut self.value, std::slice::from_ref(&remove))
            .map_err(|e| OperationError::Failed(self.explain(path, &e)))?;
        self.bytes = self
            .bytes
            .saturating_sub(measure(&old).bytes + member_bytes(&key.decoded(), is_array));
        undo.push(PatchOperation::Add(AddOperation {
            path: path.to_buf(),
            value: old.clone(),
        }));
        Ok(old)
    }

    fn at(&self, path: &Pointer) -> Result<&Value, OperationError> {
        path.resolve(&self.value).map_err(|_| self.missing(path))
    }

    fn at_mut(&mut self, path: &Pointer) -> Result<&mut Value, OperationError> {
        if path.resolve(&self.value).is_err() {
            return Err(self.missing(path));
        }
        path.resolve_mut(&mut self.value)
            .map_err(|e| OperationError::Failed(e.to_string()))
    }

    /// The error for a path that does not exist. It names the longest part of the path that does.
    fn missing(&self, path: &Pointer) -> OperationError {
        let mut parent = path.parent();
        while let Some(part) = parent.filter(|part| !part.is_root()) {
            if part.resolve(&self.value).is_ok() {
                return OperationError::Failed(format!(
                    "the state has no value at `{path}`; it has one at `{part}`"
                ));
            }
            parent = part.parent();
        }
        OperationError::Failed(format!("the state has no value at `{path}`"))
    }

    fn explain(&self, path: &Pointer, error: &json_patch::PatchError) -> String {
        match self.missing(path.parent().unwrap_or(Pointer::root())) {
            _ if path
                .parent()
                .is_some_and(|parent| parent.resolve(&self.value).is_ok()) =>
            {
                format!(
                    "`{path}` does not fit the value at its parent path: {}",
                    error.kind
                )
            }
            OperationError::Failed(detail) | OperationError::TooLarge(detail) => detail,
        }
    }
}

enum OperationError {
    Failed(String),
    TooLarge(String),
}

impl OperationError {
    fn at(self, index: usize, operation: &PatchOperation) -> PatchError {
        match self {
            Self::Failed(detail) => PatchError::Failed {
                operation: index,
                text: brief(operation),
                detail,
            },
            Self::TooLarge(detail) => PatchError::TooLarge {
                operation: index,
                detail,
            },
        }
    }
}

fn brief(operation: &PatchOperation) -> String {
    let path = operation.path();
    match operation {
        PatchOperation::Add(_) => format!("add {path}"),
        PatchOperation::Remove(_) => format!("remove {path}"),
        PatchOperation::Replace(_) => format!("replace {path}"),
        PatchOperation::Move(op) => format!("move {} to {path}", op.from),
        PatchOperation::Copy(op) => format!("copy {} to {path}", op.from),
        PatchOperation::Test(_) => format!("test {path}"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
