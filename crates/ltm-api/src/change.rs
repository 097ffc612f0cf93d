//! What a producer wants to change, and the patch that does it.

use std::borrow::Cow;

use bytestring::ByteString;
use json_patch::PatchOperation;
use ltm_service::ProblemResponse;
use ltm_store::{
    diff,
    patch::{self, Limits, PatchError, Tree},
};
use ltm_types::{Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::body::{Shape, carried};

/// A change of the state.
pub(crate) enum Change {
    /// A patch (RFC 6902), carried as it was sent.
    Patch {
        text: Box<RawValue>,
        operations: Vec<PatchOperation>,
    },
    /// The whole new state.
    State(Map<String, Value>),
    /// A merge patch (RFC 7396).
    Merge(Map<String, Value>),
}

impl Change {
    /// Reads the one of three fields that is there.
    pub(crate) fn read(
        patch: Option<&RawValue>,
        state: Option<&RawValue>,
        merge: Option<&RawValue>,
        limits: &Limits,
    ) -> Result<Self, ProblemResponse> {
        match (patch, state, merge) {
            (Some(patch), None, None) => {
                let text = carried(
                    "patch",
                    Some(patch),
                    "",
                    Shape::Array,
                    limits.max_depth.saturating_add(patch::LEVELS),
                )?;
                let operations =
                    patch::parse(text.get(), limits).map_err(|e| refusal("patch", e))?;
                Ok(Self::Patch { text, operations })
            }
            (None, Some(state), None) => Ok(Self::State(object("state", state, limits)?)),
            (None, None, Some(merge)) => Ok(Self::Merge(object("merge", merge, limits)?)),
            _ => {
                let detail = "give exactly one of `patch` (RFC 6902), `state` (the whole new state), `merge` (RFC 7396)";
                Err(Problem::new(ProblemKind::InvalidRequest, detail)
                    .with_field("patch")
                    .into())
            }
        }
    }

    /// Applies the change to `tree`; gives the text of the patch that does it, and what undoes it.
    pub(crate) fn apply(
        &self,
        tree: &mut Tree,
        limits: &Limits,
    ) -> Result<(Cow<'_, RawValue>, patch::Undo), ProblemResponse> {
        let (mut limits, none) = (*limits, Map::new());
        let now = tree.value().as_object().unwrap_or(&none);
        let (field, made) = match self {
            Self::Patch { text, operations } => {
                let undo = tree
                    .apply(operations, &limits)
                    .map_err(|e| refusal("patch", e))?;
                return Ok((Cow::Borrowed(text), undo));
            }
            // Its size has been looked at. On the way there the state may be larger than it.
            Self::State(state) => {
                limits.max_bytes = usize::MAX;
                ("state", diff::diff(now, state))
            }
            Self::Merge(merge) => ("merge", diff::merge(now, merge.clone())),
        };
        let undo = tree.apply(&made, &limits).map_err(|e| refusal(field, e))?;
        Ok((Cow::Owned(text(&made)?), undo))
    }
}

/// A JSON object within the limits of depth and size.
pub(crate) fn object(
    field: &str,
    value: &RawValue,
    limits: &Limits,
) -> Result<Map<String, Value>, ProblemResponse> {
    let text = carried(field, Some(value), "", Shape::Object, limits.max_depth)?;
    if text.get().len() > limits.max_bytes {
        let detail = format!(
            "`{field}` is {} bytes, and {} are allowed",
            text.get().len(),
            limits.max_bytes
        );
        return Err(Problem::new(ProblemKind::StateTooLarge, detail)
            .with_field(field)
            .into());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text.get());
    deserializer.disable_recursion_limit();
    Map::deserialize(&mut deserializer).map_err(|e| {
        Problem::new(ProblemKind::InvalidRequest, e.to_string())
            .with_field(field)
            .into()
    })
}

/// A patch as JSON text.
pub(crate) fn text(operations: &[PatchOperation]) -> Result<Box<RawValue>, ProblemResponse> {
    serde_json::value::to_raw_value(operations).map_err(unwritable)
}

/// The payload of an entry.
pub(crate) fn written(payload: &impl Serialize) -> Result<ByteString, ProblemResponse> {
    let text = serde_json::to_string(payload).map_err(unwritable)?;
    Ok(text.into())
}

fn unwritable(error: serde_json::Error) -> ProblemResponse {
    Problem::new(
        ProblemKind::Internal,
        format!("JSON cannot be written: {error}"),
    )
    .into()
}

pub(crate) fn refusal(field: &str, error: PatchError) -> ProblemResponse {
    let detail = error.to_string();
    let problem = match &error {
        PatchError::Malformed { field: member, .. } => {
            let member = if member == "." { "" } else { member };
            Problem::new(ProblemKind::InvalidRequest, detail).with_field(format!("{field}{member}"))
        }
        PatchError::Failed { operation, .. } => {
            let mut problem = Problem::new(ProblemKind::PatchFailed, detail)
                .with_field(format!("{field}[{operation}]"));
            problem.operation = Some(*operation);
            problem
        }
        PatchError::TooLarge { operation, .. } if field == "patch" => {
            let mut problem = Problem::new(ProblemKind::StateTooLarge, detail)
                .with_field(format!("{field}[{operation}]"));
            problem.operation = Some(*operation);
            problem
        }
        PatchError::TooLarge { detail, .. } => {
            Problem::new(ProblemKind::StateTooLarge, detail.clone()).with_field(field)
        }
    };
    problem.into()
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    #[test]
    fn a_whole_state_within_the_limit_is_taken_whatever_the_way_to_it() {
        let limits = Limits {
            max_bytes: 120,
            max_depth: 10,
            max_operations: 10,
        };
        let long = "x".repeat(80);
        for state in [json!({"a": long, "z": ""}), json!({"a": "", "z": long})] {
            let mut tree = Tree::new(json!({"a": state["z"], "z": state["a"]}));
            let text = to_raw_value(&state).unwrap();
            let change = Change::read(None, Some(&text), None, &limits);
            assert!(
                change
                    .and_then(|it| it.apply(&mut tree, &limits).map(drop))
                    .is_ok()
            );
            assert_eq!(tree.value(), &state);
        }
    }
}
