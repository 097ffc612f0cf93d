//! AG-UI events as Server-Sent Events.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::state::quoted;

/// The most characters of an event. The clients' limit is 10 MiB, with the end of the event before.
const MAX_EVENT: usize = 10_000_000;

/// The types that all clients know. An older client ends the run if it gets another one.
const TYPES: [&str; 31] = [
    "ACTIVITY_DELTA",
    "ACTIVITY_SNAPSHOT",
    "CUSTOM",
    "MESSAGES_SNAPSHOT",
    "RAW",
    "REASONING_ENCRYPTED_VALUE",
    "REASONING_END",
    "REASONING_MESSAGE_CHUNK",
    "REASONING_MESSAGE_CONTENT",
    "REASONING_MESSAGE_END",
    "REASONING_MESSAGE_START",
    "REASONING_START",
    "RUN_ERROR",
    "RUN_FINISHED",
    "RUN_STARTED",
    "STATE_DELTA",
    "STATE_SNAPSHOT",
    "STEP_FINISHED",
    "STEP_STARTED",
    "SUBAGENT_ERROR",
    "SUBAGENT_FINISHED",
    "SUBAGENT_STARTED",
    "TEXT_MESSAGE_CHUNK",
    "TEXT_MESSAGE_CONTENT",
    "TEXT_MESSAGE_END",
    "TEXT_MESSAGE_START",
    "TOOL_CALL_ARGS",
    "TOOL_CALL_CHUNK",
    "TOOL_CALL_END",
    "TOOL_CALL_RESULT",
    "TOOL_CALL_START",
];

/// One or more events as the client reads them; an error if one is too large for the clients.
pub(super) type Encoded = Result<Bytes, TooLarge>;

/// An event that the clients do not read, because it is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// An event. With a cursor, the client can resume after it.
pub(super) fn event(cursor: Option<&str>, data: &str) -> Encoded {
    if data.len() > MAX_EVENT && data.encode_utf16().count() > MAX_EVENT {
        return Err(TooLarge);
    }
    let id = cursor.map(|cursor| format!("id: {cursor}\n"));
    // Line ends are white space between JSON tokens.
    let line = match data.contains(['\n', '\r']) {
        true => data.replace(['\n', '\r'], " "),
        false => data.to_owned(),
    };
    Ok(format!("{}data: {line}\n\n", id.unwrap_or_default()).into())
}

/// A small event, without a cursor.
pub(super) fn small(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

/// The begin of the types with which clients make messages. They keep the `metadata` of these events in the message, and
/// send it back.
const OF_MESSAGES: [&str; 4] = ["TEXT_MESSAGE_", "TOOL_CALL_", "REASONING_", "ACTIVITY_"];

/// An event of a recorded run, with its cursor if the client can resume after it. The event of the producer's framework is
/// left out.
pub(super) fn recorded(cursor: Option<&str>, mut item: Map<String, Value>) -> Encoded {
    item.remove("rawEvent");
    let r#type = item.get("type").and_then(Value::as_str).unwrap_or_default();
    let known = TYPES.contains(&r#type);
    let place = match OF_MESSAGES.iter().any(|begin| r#type.starts_with(begin)) {
        true if known => "rawEvent",
        _ => "metadata",
    };
    if !known {
        let name = format!("ag-ui.{type}");
        let custom = json!({"type": "CUSTOM", "name": name, "value": item});
        item = custom.as_object().cloned().unwrap_or_default();
    }
    if let Some(cursor) = cursor {
        let at = item.entry(place).or_insert_with(|| json!({}));
        if let Some(at) = at.as_object_mut() {
            at.insert("ltm-live".into(), json!({"cursor": cursor}));
        }
    }
    event(cursor, &Value::Object(item).to_string())
}

/// An event for which AG-UI has no type. A dot in the name marks it as ours.
pub(super) fn custom(cursor: Option<&str>, name: &str, value: &str) -> Encoded {
    let metadata =
        cursor.map(|cursor| format!(r#","metadata":{{"ltm-live":{{"cursor":"{cursor}"}}}}"#));
    let data = format!(
        r#"{{"type":"CUSTOM","name":{},"value":{value}{}}}"#,
        quoted(&format!("ltm-live.{name}")),
        metadata.unwrap_or_default()
    );
    event(cursor, &data)
}
