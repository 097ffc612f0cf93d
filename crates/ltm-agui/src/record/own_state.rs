//! The agent's own state: all members but those of the recording.

use json_patch::PatchOperation;
use ltm_state::{
    Limits, Tree,
    change::check_paths,
    diff::diff,
    json,
    patch::{self, PatchError},
};
use ltm_types::member::{MESSAGES, RUN, STATUS};
use serde_json::{Map, Value};

/// The members of the state that belong to the recording.
pub const KEPT: [&str; 3] = [STATUS, RUN, MESSAGES];

/// Splits a state: the agent's own members, and those of the recording.
pub(super) fn split(mut state: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    let mut kept = Map::new();
    for name in KEPT {
        kept.extend(state.remove_entry(name));
    }
    (state, kept)
}

/// The patch to the state that the agent sends.
pub(super) fn replaced(own: &mut Tree, snapshot: Value) -> Result<Vec<PatchOperation>, String> {
    let members = match snapshot {
        Value::Object(members) => members,
        Value::Null => Map::new(),
        _ => return Err("the state that the agent sent is not a JSON object".into()),
    };
    let (to, _) = split(members);
    if to.contains_key("__proto__") {
        return Err(
            "the state that the agent sent has a member `__proto__`, which the API rejects".into(),
        );
    }
    let empty = Map::new();
    let from = own.value().as_object().unwrap_or(&empty);
    let operations = diff(from, &to);
    *own = Tree::new(Value::Object(to));
    Ok(operations)
}

/// The patch that the agent sends, applied to its state.
pub(super) fn changed(
    own: &mut Tree,
    delta: &Value,
    limits: &Limits,
) -> Result<Vec<PatchOperation>, String> {
    let failed = |e: PatchError| format!("the patch that the agent sent does not apply: {e}");
    let mut operations = delta.as_array().into_iter().flatten();
    if operations.any(|it| it["path"] == "" || it["from"] == "") {
        return as_a_whole(own, delta, limits);
    }
    let operations = read(delta, limits).map_err(failed)?;
    check_paths(&operations).map_err(failed)?;
    let kept = |path: &str| {
        let first = path.split('/').nth(1);
        first.is_some_and(|name| KEPT.contains(&name))
    };
    if operations.iter().any(|it| paths(it).into_iter().any(kept)) {
        return Err("the patch that the agent sent names a member of the recording".into());
    }
    let undo = own.apply(&operations, limits).map_err(failed)?;
    drop(undo);
    Ok(operations)
}

/// A patch of the whole state: the log of an LTM does not have these.
fn as_a_whole(
    own: &mut Tree,
    delta: &Value,
    limits: &Limits,
) -> Result<Vec<PatchOperation>, String> {
    let failed = |e: PatchError| format!("the patch that the agent sent does not apply: {e}");
    let operations = read(&below("/state", delta), limits).map_err(failed)?;
    let mut all = Tree::new(Value::Object(Map::from_iter([(
        "state".to_owned(),
        own.value().clone(),
    )])));
    let undo = all.apply(&operations, limits).map_err(failed)?;
    drop(undo);
    replaced(own, all.value().get("state").cloned().unwrap_or_default())
}

/// A patch whose paths are below `place`.
pub(super) fn below(place: &str, patch: &Value) -> Value {
    let mut patch = patch.clone();
    for operation in patch.as_array_mut().into_iter().flatten() {
        for member in ["path", "from"] {
            if let Some(path) = operation.get(member).and_then(Value::as_str) {
                let path = format!("{place}{path}");
                operation[member] = path.into();
            }
        }
    }
    patch
}

/// Reads a patch.
pub(super) fn read(patch: &Value, limits: &Limits) -> Result<Vec<PatchOperation>, PatchError> {
    let text = patch.to_string();
    let depth = patch::MAX_DEPTH + patch::LEVELS;
    let text = json::compact(&text, depth).map_err(|e| PatchError::Malformed {
        field: String::new(),
        detail: e.to_string(),
    })?;
    patch::parse(&text, limits)
}

/// The paths that an operation names.
fn paths(operation: &PatchOperation) -> Vec<&str> {
    match operation {
        PatchOperation::Move(it) => vec![it.from.as_str(), it.path.as_str()],
        PatchOperation::Copy(it) => vec![it.from.as_str(), it.path.as_str()],
        other => vec![other.path().as_str()],
    }
}
