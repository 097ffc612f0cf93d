//! JSON Patch (RFC 6902) on a state in memory.
//!
//! The invariant: a patch applies as a whole or not at all, within the limits, and its cost depends on the
//! change and not on the state.
//!
//! A failed patch is undone operation by operation, so the state need not be copied first; the undo holds the values
//! that the operations took out of the state, and copies nothing. Numbers are compared by value. An operation that
//! would make the state too large or too deep is rejected before it runs, and so is one that would make the patch
//! copy or shift more than [`Limits::max_work`].

mod limits;
mod place;
mod run;
mod tree;

use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation,
};
use jsonptr::PointerBuf;
pub(crate) use limits::LOGGED;
pub use limits::{
    DEFAULT_DEPTH, DEFAULT_OPERATIONS, LEVELS, Limits, MAX_DEPTH, MAX_STATE_BYTES, PatchError,
};
use ltm_types::shorten;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
pub use tree::{Tree, Undo};

use crate::json::{self, memory, memory_of};

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
    check_memory(text, limits)?;
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
    operations(members, limits)
}

/// Rejects a text whose values would take too much memory, before it is parsed.
fn check_memory(text: &str, limits: &Limits) -> Result<(), PatchError> {
    if limits.max_memory == usize::MAX {
        return Ok(());
    }
    // The operations themselves are not read as objects.
    let operations = limits.max_operations.min(text.len() / MIN_OPERATION);
    let most = limits
        .max_memory
        .saturating_add(operations.saturating_mul(memory::object(1)));
    match memory_of(text) {
        memory if memory <= most => Ok(()),
        memory => Err(PatchError::TooLarge {
            operation: 0,
            detail: format!(
                "the patch would take about {memory} bytes of memory, and {} are allowed",
                limits.max_memory
            ),
        }),
    }
}

/// The length of the shortest operation: `{"op":"remove","path":"/"},`.
const MIN_OPERATION: usize = 27;

/// Applies the text of a patch from the log to `state`.
///
/// The API has applied the patch within its limits, so the limits here are higher, nothing can be undone, and
/// `test` operations are skipped.
///
/// # Errors
///
/// [`PatchError`] if the text is not a patch or does not apply. A part of it may be applied then.
pub fn replay(state: &mut Value, text: &str) -> Result<(), PatchError> {
    let operations = operations(members(text)?, &LOGGED)?;
    let mut tree = Tree::unmeasured(std::mem::take(state));
    let replayed = tree.fold(operations, &LOGGED, false);
    *state = tree.into_value();
    replayed
}

fn operations(members: Vec<Members>, limits: &Limits) -> Result<Vec<PatchOperation>, PatchError> {
    members
        .into_iter()
        .enumerate()
        .map(|(index, members)| operation(members, index, limits))
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
        detail: format!(
            "not a JSON Patch (RFC 6902): {}",
            shorten(&e.inner().to_string())
        ),
    })
}

/// Reads the operation at `index` of a patch.
fn operation(
    members: Members,
    index: usize,
    limits: &Limits,
) -> Result<PatchOperation, PatchError> {
    let Members {
        op,
        path,
        from,
        value,
    } = members;
    let pointer = |index, member, text| pointer(index, member, text, limits);
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
            let other = shorten(other);
            let detail = format!(
                "`{other}` is not an operation; use add, remove, replace, move, copy or test"
            );
            return Err(malformed(index, "op", detail));
        }
    })
}

fn pointer(
    index: usize,
    member: &str,
    text: String,
    limits: &Limits,
) -> Result<PointerBuf, PatchError> {
    // Nothing in a state is deeper than this, so the path cannot lead to anything.
    let levels = text.bytes().filter(|byte| *byte == b'/').count();
    if levels > limits.max_depth {
        let max = limits.max_depth;
        let detail = format!("`{member}` has {levels} levels, and {max} are allowed");
        return Err(PatchError::TooLarge {
            operation: index,
            detail,
        });
    }
    PointerBuf::parse(text).map_err(|error| {
        let error = error.to_string();
        let detail = format!("not a JSON Pointer (RFC 6901): {}", shorten(&error));
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

#[cfg(test)]
pub(crate) mod tests;
