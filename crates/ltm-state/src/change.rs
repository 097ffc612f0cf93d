//! A change of a state as a producer sends it, and the patch that makes it.

use std::borrow::Cow;

use json_patch::PatchOperation;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    diff::{self, Budget},
    json::{self, FieldError, FieldErrorKind, Shape, memory_of},
    patch::{self, Limits, PatchError, Tree},
    prototype,
};

/// A state is copied as fast as this fraction of it is shifted.
const SHIFTED_PER_COPIED: usize = 512;

/// So many bytes of a state are read to find out what a change costs.
const READ_AT_ONCE: usize = 64 * 1024;

/// A change of the state.
#[derive(Debug)]
pub enum Change {
    /// A patch (RFC 6902). The log gets it as it was sent.
    Patch {
        /// Its text without white space.
        text: Box<RawValue>,
        /// Its operations.
        operations: Vec<PatchOperation>,
    },
    /// The whole new state.
    State {
        /// Its text without white space.
        text: Box<RawValue>,
        /// Its members, until the change is applied.
        members: Option<Map<String, Value>>,
    },
    /// A merge patch (RFC 7396).
    Merge {
        /// The length of its text.
        bytes: usize,
        /// Its members.
        members: Map<String, Value>,
    },
}

/// What the work of applying changes may still be. Changes that are sent together share it, so that a request costs
/// what it sends, however many changes it has.
#[derive(Debug)]
pub struct Work {
    /// The bytes that may be copied: see [`Limits::max_work`].
    bytes: usize,
    /// What may be compared.
    diff: Budget,
}

impl Work {
    /// The work of one request.
    pub fn within(limits: &Limits) -> Self {
        Self {
            bytes: limits.max_work,
            diff: Budget::default(),
        }
    }

    /// Takes what a patch has cost. A patch that the service made may cost more than is left: its size follows what
    /// was sent, or what the state had before.
    fn take(&mut self, undo: &patch::Undo, made: usize) {
        let cost = undo.work().saturating_add(made);
        self.bytes = self.bytes.saturating_sub(cost);
    }

    /// Rejects a further change if nothing is left.
    fn check(&self, field: &'static str, limits: &Limits) -> Result<(), ChangeError> {
        if self.bytes > 0 || limits.max_work == 0 {
            return Ok(());
        }
        let max = limits.max_work;
        let detail = format!(
            "the changes before it have copied and written {max} bytes; send fewer at once"
        );
        let source = PatchError::TooLarge {
            operation: 0,
            detail,
        };
        Err(ChangeError::Patch { field, source })
    }
}

/// Why a change cannot be read, or does not apply. The state is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// None of the three forms is given, or more than one.
    #[error(
        "give exactly one of `patch` (RFC 6902), `state` (the whole new state), `merge` (RFC 7396)"
    )]
    NotOne,
    /// A field is rejected.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The patch cannot be read, or does not apply.
    #[error("{source}")]
    Patch {
        /// The field that the patch comes from: `patch`, `state` or `merge`.
        field: &'static str,
        /// What is wrong with it.
        source: PatchError,
    },
    /// The patch for the change cannot be written as JSON.
    #[error("the patch for this change cannot be written as JSON: {0}")]
    Unwritable(#[from] serde_json::Error),
}

impl Change {
    /// Reads the change from three fields. Exactly one of them must be given.
    ///
    /// # Errors
    ///
    /// [`ChangeError`] names the field.
    pub fn read(
        patch: Option<&RawValue>,
        state: Option<&RawValue>,
        merge: Option<&RawValue>,
        limits: &Limits,
    ) -> Result<Self, ChangeError> {
        match (patch, state, merge) {
            (Some(patch), None, None) => {
                let max_depth = limits.max_depth.saturating_add(patch::LEVELS);
                let text = json::passthrough("patch", Some(patch), "", Shape::Array, max_depth)?;
                let operations = patch::parse(text.get(), limits).map_err(of("patch"))?;
                check_paths(&operations).map_err(of("patch"))?;
                Ok(Self::Patch { text, operations })
            }
            (None, Some(state), None) => Self::state(state, limits),
            (None, None, Some(merge)) => {
                let text = passthrough("merge", merge, limits)?;
                Ok(Self::Merge {
                    bytes: text.get().len(),
                    members: object("merge", &text, limits)?,
                })
            }
            _ => Err(ChangeError::NotOne),
        }
    }

    /// Reads a whole new state.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Field`] if it is not an object, or is larger or nested deeper than allowed.
    pub fn state(state: &RawValue, limits: &Limits) -> Result<Self, ChangeError> {
        let text = passthrough("state", state, limits)?;
        let members = Some(object("state", &text, limits)?);
        Ok(Self::State { text, members })
    }

    /// The field of the request that it comes from.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Patch { .. } => "patch",
            Self::State { .. } => "state",
            Self::Merge { .. } => "merge",
        }
    }

    /// The bytes of JSON that it takes to apply the change to `tree`, at a guess.
    pub fn cost(&self, tree: &Tree) -> usize {
        match self {
            Self::Patch { text, operations } => {
                let cost = |operation: &PatchOperation| match operation {
                    PatchOperation::Copy(_) => tree.bytes(),
                    PatchOperation::Test(_) => 0,
                    // It may shift the elements of an array.
                    _ => tree.bytes() / SHIFTED_PER_COPIED,
                };
                let replaced = operations.iter().filter_map(|it| replaced(tree, it));
                text.get().len()
                    + operations.iter().map(cost).sum::<usize>()
                    + read_cost(tree, replaced)
            }
            Self::State { text, .. } => text.get().len().max(tree.bytes()),
            Self::Merge { bytes, members } => {
                let mut replaced = Vec::new();
                if let Some(now) = tree.value().as_object() {
                    named(now, members, &mut replaced);
                }
                bytes + read_cost(tree, replaced.into_iter())
            }
        }
    }

    /// Applies the change to `tree`. Returns the text of the patch that makes the change, and the means to undo
    /// it. Takes what that costs from `work`.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Patch`] if the change does not apply. The tree is unchanged then.
    pub fn apply(
        &mut self,
        tree: &mut Tree,
        limits: &Limits,
        work: &mut Work,
    ) -> Result<(Cow<'_, RawValue>, patch::Undo), ChangeError> {
        let none = Map::new();
        let now = tree.value().as_object().unwrap_or(&none);
        let (field, operations) = match self {
            Self::Patch { text, operations } => {
                let applied = tree.apply_within(operations, limits, work.bytes);
                let undo = applied.map_err(of("patch"))?;
                work.take(&undo, 0);
                return Ok((Cow::Borrowed(text), undo));
            }
            // The size was checked when the state was read.
            Self::State { text, members } => {
                work.check("state", limits)?;
                let made = operations(now, members.take(), text, &mut work.diff)?;
                ("state", made)
            }
            Self::Merge { members, .. } => {
                work.check("merge", limits)?;
                ("merge", diff::merge_within(now, members, &mut work.diff))
            }
        };
        let text = serde_json::value::to_raw_value(&operations)?;
        let undo = apply_made(operations, tree, limits).map_err(of(field))?;
        work.take(&undo, text.get().len());
        Ok((Cow::Owned(text), undo))
    }
}

/// The bytes of JSON that it takes to read these values of `tree`: if they are large, those of the whole tree.
fn read_cost<'a>(tree: &'a Tree, values: impl Iterator<Item = &'a Value>) -> usize {
    if tree.bytes() <= READ_AT_ONCE {
        return 0;
    }
    let left = values
        .into_iter()
        .try_fold(READ_AT_ONCE, |left, value| json::subtract(value, left));
    left.map_or(tree.bytes(), |left| READ_AT_ONCE - left)
}

/// The value that an operation replaces or removes. It is measured.
fn replaced<'a>(tree: &'a Tree, operation: &PatchOperation) -> Option<&'a Value> {
    match operation {
        PatchOperation::Add(_) | PatchOperation::Replace(_) | PatchOperation::Remove(_) => {
            operation.path().resolve(tree.value()).ok()
        }
        _ => None,
    }
}

/// The values of a state that a merge patch names. They are compared.
fn named<'a>(now: &'a Map<String, Value>, merge: &Map<String, Value>, found: &mut Vec<&'a Value>) {
    for (key, new) in merge {
        match (now.get(key), new) {
            (None, _) => {}
            (Some(Value::Object(now)), Value::Object(merge))
                if !merge
                    .keys()
                    .any(|key| prototype::RESERVED.contains(&key.as_str())) =>
            {
                named(now, merge, found);
            }
            (Some(now), _) => found.push(now),
        }
    }
}

/// The patch from the state `now` to the one that was sent. If it was needed before, it is read again from `text`,
/// so that it is in memory only while it is needed.
fn operations(
    now: &Map<String, Value>,
    members: Option<Map<String, Value>>,
    text: &RawValue,
    budget: &mut Budget,
) -> Result<Vec<PatchOperation>, ChangeError> {
    let members = match members {
        Some(members) => members,
        None => json::read_checked(text.get())?,
    };
    Ok(if now.is_empty() {
        diff::additions(members)
    } else {
        diff::diff_within(now, &members, budget)
    })
}

/// The text of an object without white space.
fn passthrough(
    field: &'static str,
    value: &RawValue,
    limits: &Limits,
) -> Result<Box<RawValue>, FieldError> {
    json::passthrough(field, Some(value), "", Shape::Object, limits.max_depth)
}

/// Reads a JSON object within the limits of size and memory.
fn object(
    field: &'static str,
    text: &RawValue,
    limits: &Limits,
) -> Result<Map<String, Value>, FieldError> {
    let error = |kind| FieldError { field, kind };
    let (bytes, memory) = (text.get().len(), memory_of(text.get()));
    if bytes > limits.max_bytes {
        return Err(error(FieldErrorKind::TooLarge {
            bytes,
            max: limits.max_bytes,
        }));
    }
    if memory > limits.max_memory {
        return Err(error(FieldErrorKind::TooMuchMemory {
            bytes: memory,
            max: limits.max_memory,
        }));
    }
    let members: Map<String, Value> =
        json::read_checked(text.get()).map_err(|e| error(FieldErrorKind::Json(e)))?;
    // A merge patch may remove one that an older version has taken.
    match members.get("__proto__") {
        None => Ok(members),
        Some(Value::Null) if field == "merge" => Ok(members),
        Some(_) => Err(error(FieldErrorKind::Prototype)),
    }
}

/// Applies the operations that were made of a state or a merge patch. The limits hold for their result: between two of
/// them the tree may be larger.
fn apply_made(
    operations: Vec<PatchOperation>,
    tree: &mut Tree,
    limits: &Limits,
) -> Result<patch::Undo, PatchError> {
    let (last, before) = (
        operations.len().saturating_sub(1),
        (tree.bytes(), tree.memory()),
    );
    let on_the_way = Limits {
        max_depth: limits.max_depth,
        ..Limits::UNLIMITED
    };
    let undo = tree.apply_owned(operations, &on_the_way)?;
    let (bytes, memory) = (tree.bytes(), tree.memory());
    let detail = if bytes > before.0.max(limits.max_bytes) {
        let most = limits.max_bytes;
        format!("the state would be about {bytes} bytes, and {most} are allowed")
    } else if memory > before.1.max(limits.max_memory) {
        let most = limits.max_memory;
        format!("the state would take about {memory} bytes of memory, and {most} are allowed")
    } else {
        return Ok(undo);
    };
    tree.undo(undo);
    Err(PatchError::TooLarge {
        operation: last,
        detail,
    })
}

/// Rejects operations whose paths clients in JavaScript reject.
///
/// # Errors
///
/// [`PatchError::Malformed`] names the path.
pub fn check_paths(operations: &[PatchOperation]) -> Result<(), PatchError> {
    for (index, operation) in operations.iter().enumerate() {
        let from = match operation {
            PatchOperation::Move(it) => Some(&it.from),
            PatchOperation::Copy(it) => Some(&it.from),
            _ => None,
        };
        let paths = [
            ("path", Some(operation.path())),
            ("from", from.map(|it| &**it)),
        ];
        for (member, path) in paths {
            // The only way to remove one that an older version has taken.
            let cleans =
                matches!(operation, PatchOperation::Remove(it) if it.path.as_str() == "/__proto__");
            if path.is_some_and(prototype::is_rejected) && !cleans {
                return Err(PatchError::Malformed {
                    field: format!("[{index}].{member}"),
                    detail: "clients in JavaScript reject a path with `__proto__` or `constructor/prototype`; replace \
                        the object around that member, or send `state` or `merge`"
                        .into(),
                });
            }
        }
    }
    Ok(())
}

fn of(field: &'static str) -> impl FnOnce(PatchError) -> ChangeError {
    move |source| ChangeError::Patch { field, source }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    const LIMITS: Limits = Limits {
        max_bytes: 120,
        max_depth: 10,
        max_operations: 10,
        ..Limits::UNLIMITED
    };

    #[test]
    fn a_state_within_the_limit_is_accepted_even_if_the_patch_exceeds_it_on_the_way() {
        let limits = LIMITS;
        let long = "x".repeat(80);
        for state in [json!({"a": long, "z": ""}), json!({"a": "", "z": long})] {
            let before = Tree::new(json!({"a": state["z"], "z": state["a"]}));
            let text = to_raw_value(&state).unwrap();
            for change in [
                Change::read(None, Some(&text), None, &limits),
                Change::read(None, None, Some(&text), &limits),
            ] {
                let mut tree = before.clone();
                let (_, undo) = change
                    .unwrap()
                    .apply(&mut tree, &limits, &mut Work::within(&limits))
                    .unwrap();
                assert_eq!(tree.value(), &state);
                tree.undo(undo);
                assert_eq!(tree, before);
            }
        }
    }

    #[test]
    fn a_merge_beyond_the_limit_is_rejected_and_changes_nothing() {
        let mut tree = Tree::new(json!({"a": "x".repeat(80)}));
        let before = tree.clone();
        let text = to_raw_value(&json!({"b": "x".repeat(80)})).unwrap();
        let mut merge = Change::read(None, None, Some(&text), &LIMITS).unwrap();
        let error = merge
            .apply(&mut tree, &LIMITS, &mut Work::within(&LIMITS))
            .map(drop)
            .unwrap_err();
        assert!(
            matches!(
                &error,
                ChangeError::Patch {
                    field: "merge",
                    source: PatchError::TooLarge { .. }
                }
            ),
            "{error}"
        );
        assert_eq!(tree, before);
    }

    #[test]
    fn a_small_change_of_a_large_value_costs_as_much_as_the_state() {
        let limits = Limits::UNLIMITED;
        let numbers: Vec<usize> = (0..100_000).collect();
        let tree = Tree::new(json!({"large": numbers, "deep": {"large": numbers}, "n": 1}));
        let cost = |field: &str, change: Value| {
            let text = to_raw_value(&change).unwrap();
            let given = |name| (field == name).then_some(&*text);
            let change = Change::read(given("patch"), None, given("merge"), &limits);
            change.unwrap().cost(&tree)
        };
        let large = [
            ("merge", json!({"large": [1]})),
            ("merge", json!({"deep": {"large": null}})),
            ("merge", json!({"deep": 1})),
            ("merge", json!({"deep": {"__proto__": 1}})),
            ("patch", json!([{"op": "remove", "path": "/large"}])),
            (
                "patch",
                json!([{"op": "replace", "path": "/deep", "value": 1}]),
            ),
            (
                "patch",
                json!([{"op": "add", "path": "/deep/large", "value": 1}]),
            ),
            (
                "patch",
                json!([{"op": "copy", "path": "/n", "from": "/large"}]),
            ),
        ];
        for (field, change) in large {
            assert!(cost(field, change.clone()) >= tree.bytes(), "{change}");
        }
        let small = [
            ("merge", json!({"n": 2, "deep": {"n": 1}})),
            (
                "patch",
                json!([{"op": "replace", "path": "/n", "value": 1}]),
            ),
            (
                "patch",
                json!([{"op": "add", "path": "/large/-", "value": 1}]),
            ),
            (
                "patch",
                json!([{"op": "replace", "path": "/deep/large/7", "value": 1}]),
            ),
        ];
        for (field, change) in small {
            assert!(cost(field, change.clone()) < 10_000, "{change}");
        }
    }

    #[test]
    fn a_list_that_a_merge_makes_longer_by_one_element_becomes_one_add() {
        let message = |n: usize| json!({"id": n, "content": "x".repeat(1000)});
        let messages =
            |count| json!({"chat": {"messages": (0..count).map(message).collect::<Vec<_>>()}});
        let limits = Limits {
            max_bytes: usize::MAX,
            ..LIMITS
        };
        let mut tree = Tree::new(messages(300));
        let text = to_raw_value(&messages(301)).unwrap();
        let mut merge = Change::read(None, None, Some(&text), &limits).unwrap();
        let (patch, _undo) = merge
            .apply(&mut tree, &limits, &mut Work::within(&limits))
            .unwrap();
        let expected = json!([{"op": "add", "path": "/chat/messages/300", "value": message(300)}]);
        let patch: Value = serde_json::from_str(patch.get()).unwrap();
        assert!(patch == expected, "{} bytes", patch.to_string().len());
    }
}
