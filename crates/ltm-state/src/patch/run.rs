//! What is kept of a patch while it is applied: its budgets, and what undoes it.

use json_patch::PatchOperation;
use jsonptr::{Pointer, PointerBuf};
use ltm_types::shorten;
use serde_json::Value;

use super::limits::{Limits, PatchError};
use crate::json::JsonSize;

/// What undoes one operation.
#[derive(Debug)]
pub(super) enum Inverse {
    /// Puts a value in the place of the one that is there.
    Put(PointerBuf, Value),
    /// Puts a value where none is.
    Insert(PointerBuf, Value),
    /// Removes what was added.
    Remove(PointerBuf),
    /// Moves a value back, and puts what it replaced in its place.
    MoveBack {
        now: PointerBuf,
        from: PointerBuf,
        replaced: Option<Value>,
    },
}

/// A patch that is being applied.
pub(super) struct Run<'a> {
    limits: &'a Limits,
    /// The bytes that may still be copied: see [`Limits::max_work`].
    pub(super) work: usize,
    /// The memory of the values that the operations took out of the state.
    pub(super) kept: usize,
    /// `None` if nothing needs to be undone.
    pub(super) inverses: Option<Vec<Inverse>>,
    /// Whether a value is being moved: that does not make the state larger, so the value is not measured.
    pub(super) is_move: bool,
    /// Whether `test` operations count.
    pub(super) tests: bool,
}

impl Run<'_> {
    pub(super) fn new(limits: &Limits, inverses: Option<Vec<Inverse>>) -> Run<'_> {
        Run {
            limits,
            work: limits.max_work,
            kept: 0,
            inverses,
            is_move: false,
            tests: true,
        }
    }

    /// Takes `bytes` from what the patch may copy.
    pub(super) fn work(&mut self, bytes: usize) -> Result<(), OperationError> {
        let Some(left) = self.work.checked_sub(bytes) else {
            return Err(OperationError::TooLarge(format!(
                "more than {} bytes would be copied and shifted; send smaller patches, fewer at once, or `state`",
                self.limits.max_work
            )));
        };
        self.work = left;
        Ok(())
    }

    /// Rejects a value that would make the state too deep.
    pub(super) fn depth(&self, path: &Pointer, size: JsonSize) -> Result<(), OperationError> {
        let depth = path.count() + size.depth;
        if depth <= self.limits.max_depth {
            return Ok(());
        }
        Err(OperationError::TooLarge(format!(
            "the state would be {depth} levels deep, and {} are allowed",
            self.limits.max_depth
        )))
    }

    /// The size of the state once `added` is in the place of `replaced`.
    pub(super) fn grown(
        &self,
        now: JsonSize,
        added: JsonSize,
        replaced: JsonSize,
    ) -> Result<JsonSize, OperationError> {
        let then = JsonSize {
            bytes: (now.bytes + added.bytes).saturating_sub(replaced.bytes),
            memory: (now.memory + added.memory).saturating_sub(replaced.memory),
            depth: 0,
        };
        if self.is_move {
            return Ok(then);
        }
        // A state that is too large, because the limit was higher once, may become smaller.
        if then.bytes > now.bytes && then.bytes > self.limits.max_bytes {
            return Err(OperationError::TooLarge(format!(
                "the state would be about {} bytes, and {} are allowed",
                then.bytes, self.limits.max_bytes
            )));
        }
        if then.memory > now.memory && then.memory > self.limits.max_memory {
            return Err(OperationError::TooLarge(format!(
                "the state would take about {} bytes of memory, and {} are allowed",
                then.memory, self.limits.max_memory
            )));
        }
        Ok(then)
    }

    pub(super) fn inverse(&mut self, inverse: impl FnOnce() -> Inverse) {
        if let Some(inverses) = &mut self.inverses {
            inverses.push(inverse());
        }
    }

    /// Notes that the value of the last inverse was moved there from another place.
    pub(super) fn last_is_move(&mut self, from: &Pointer) {
        let Some(inverses) = &mut self.inverses else {
            return;
        };
        let (now, replaced) = match inverses.pop() {
            Some(Inverse::Put(now, replaced)) => (now, Some(replaced)),
            Some(Inverse::Remove(now)) => (now, None),
            other => {
                inverses.extend(other);
                return;
            }
        };
        let from = from.to_buf();
        inverses.push(Inverse::MoveBack {
            now,
            from,
            replaced,
        });
    }
}

pub(super) enum OperationError {
    Failed(String),
    TooLarge(String),
}

impl From<String> for OperationError {
    fn from(detail: String) -> Self {
        Self::Failed(detail)
    }
}

impl OperationError {
    pub(super) fn at(self, index: usize, operation: &PatchOperation) -> PatchError {
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
    let path = shorten(operation.path().as_str());
    let from = |from: &PointerBuf| shorten(from.as_str()).into_owned();
    match operation {
        PatchOperation::Add(_) => format!("add {path}"),
        PatchOperation::Remove(_) => format!("remove {path}"),
        PatchOperation::Replace(_) => format!("replace {path}"),
        PatchOperation::Move(op) => format!("move {} to {path}", from(&op.from)),
        PatchOperation::Copy(op) => format!("copy {} to {path}", from(&op.from)),
        PatchOperation::Test(_) => format!("test {path}"),
    }
}
