//! A change of a state as a producer sends it, and the patch that makes it.

use std::borrow::Cow;

use json_patch::PatchOperation;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    diff,
    json::{self, FieldError, FieldErrorKind, Shape},
    patch::{self, Limits, PatchError, Tree},
};

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
    State(Map<String, Value>),
    /// A merge patch (RFC 7396).
    Merge(Map<String, Value>),
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
                Ok(Self::Patch { text, operations })
            }
            (None, Some(state), None) => Ok(Self::State(object("state", state, limits)?)),
            (None, None, Some(merge)) => Ok(Self::Merge(object("merge", merge, limits)?)),
            _ => Err(ChangeError::NotOne),
        }
    }

    /// Applies the change to `tree`. Returns the text of the patch that makes the change, and the means to undo
    /// it.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Patch`] if the change does not apply. The tree is unchanged then.
    pub fn apply(
        &self,
        tree: &mut Tree,
        limits: &Limits,
    ) -> Result<(Cow<'_, RawValue>, patch::Undo), ChangeError> {
        let none = Map::new();
        let now = tree.value().as_object().unwrap_or(&none);
        let (field, operations) = match self {
            Self::Patch { text, operations } => {
                let undo = tree.apply(operations, limits).map_err(of("patch"))?;
                return Ok((Cow::Borrowed(text), undo));
            }
            Self::State(state) => ("state", diff::diff(now, state)),
            Self::Merge(merge) => ("merge", diff::merge(now, merge)),
        };
        let undo = apply_made(&operations, tree, limits).map_err(of(field))?;
        Ok((
            Cow::Owned(serde_json::value::to_raw_value(&operations)?),
            undo,
        ))
    }
}

/// Reads a JSON object within the limits of size and depth.
///
/// # Errors
///
/// [`FieldError`] if the field is not an object, or is larger or nested deeper than allowed.
pub fn object(
    field: &'static str,
    value: &RawValue,
    limits: &Limits,
) -> Result<Map<String, Value>, FieldError> {
    let error = |kind| FieldError { field, kind };
    let text = json::passthrough(field, Some(value), "", Shape::Object, limits.max_depth)?;
    if text.get().len() > limits.max_bytes {
        return Err(error(FieldErrorKind::TooLarge {
            bytes: text.get().len(),
            max: limits.max_bytes,
        }));
    }
    json::read_checked(text.get()).map_err(|e| error(FieldErrorKind::Json(e)))
}

/// Applies the operations that were made of a state or a merge patch. The limit of the size holds for their result:
/// between two of them the tree may be larger.
fn apply_made(
    operations: &[PatchOperation],
    tree: &mut Tree,
    limits: &Limits,
) -> Result<patch::Undo, PatchError> {
    let before = tree.bytes();
    let undo = tree.apply(
        operations,
        &Limits {
            max_bytes: usize::MAX,
            ..*limits
        },
    )?;
    let bytes = tree.bytes();
    if bytes <= before.max(limits.max_bytes) {
        return Ok(undo);
    }
    tree.undo(undo);
    Err(PatchError::TooLarge {
        operation: operations.len().saturating_sub(1),
        detail: format!(
            "the state would be about {bytes} bytes, and {} are allowed",
            limits.max_bytes
        ),
    })
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
                let (_, undo) = change.unwrap().apply(&mut tree, &limits).unwrap();
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
        let merge = Change::read(None, None, Some(&text), &LIMITS).unwrap();
        let error = merge.apply(&mut tree, &LIMITS).map(drop).unwrap_err();
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
        let merge = Change::read(None, None, Some(&text), &limits).unwrap();
        let (patch, _undo) = merge.apply(&mut tree, &limits).unwrap();
        let expected = json!([{"op": "add", "path": "/chat/messages/300", "value": message(300)}]);
        let patch: Value = serde_json::from_str(patch.get()).unwrap();
        assert!(patch == expected, "{} bytes", patch.to_string().len());
    }
}
