//! The patches of messages.

use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
};
use jsonptr::PointerBuf;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::json;

/// The members of an operation. A plain struct, because serde's tagged enums do not keep the digits of numbers.
#[derive(Deserialize)]
struct Members {
    op: String,
    path: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
}

/// Tells null from a member that is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Changes a state as a patch says. Where that fails, the state may be changed in part.
pub(crate) fn apply(state: &mut Value, patch: &str) -> Result<(), String> {
    let operations: Vec<Members> = json::read(patch).map_err(|fault| fault.to_string())?;
    for members in operations {
        if let Some(operation) = members.operation()? {
            json_patch::patch_unsafe(state, &[operation]).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

impl Members {
    /// The operation; none for `test`, which the service has done.
    fn operation(self) -> Result<Option<PatchOperation>, String> {
        let pointer = |text: String| PointerBuf::parse(text).map_err(|e| e.to_string());
        let path = pointer(self.path)?;
        let value = || self.value.ok_or("an operation without a value");
        let from = || pointer(self.from.ok_or("an operation without `from`")?);
        Ok(Some(match &*self.op {
            "test" => return Ok(None),
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
            other => return Err(format!("an operation {other:?}")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_operation_changes_the_state_and_a_test_is_passed_over() {
        let mut state = json!({"a": 1, "list": [1, 2]});
        let patch = r#"[
            {"op": "test", "path": "/a", "value": 1.0},
            {"op": "add", "path": "/list/-", "value": null},
            {"op": "replace", "path": "/a", "value": 0.10},
            {"op": "copy", "from": "/a", "path": "/b"},
            {"op": "move", "from": "/list/0", "path": "/c"},
            {"op": "remove", "path": "/list/0"}
        ]"#;
        apply(&mut state, patch).unwrap();
        assert_eq!(
            state.to_string(),
            r#"{"a":0.10,"b":0.10,"c":1,"list":[null]}"#
        );
    }

    #[test]
    fn what_does_not_apply_says_so() {
        for patch in [
            r#"[{"op":"remove","path":"/none"}]"#,
            r#"[{"op":"add","path":"/a"}]"#,
            r#"[{"op":"move","path":"/a"}]"#,
            r#"[{"op":"add","path":"a","value":1}]"#,
            r#"[{"op":"mend","path":"/a"}]"#,
            "{}",
        ] {
            assert!(apply(&mut json!({}), patch).is_err(), "{patch}");
        }
    }
}
