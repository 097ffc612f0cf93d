//! AG-UI events as Server-Sent Events.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::state::{Members, object, quoted};
use crate::dialect::answer::Events;

/// The member with the subagent that an event belongs to.
pub(super) const OWNER: &str = "subagentRunId";

/// A part of this many bytes is shared, not copied.
const LARGE: usize = 16 * 1024;

/// The most characters of an event. The clients' limit is 10 MiB, with the end of the event before.
pub(super) const MAX_EVENT: usize = 10_000_000;

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
    let line = one_line(data);
    Ok(format!("{}data: {line}\n\n", id.unwrap_or_default()).into())
}

/// JSON without line ends: they are white space between its tokens.
pub(super) fn one_line(json: &str) -> Cow<'_, str> {
    match json.contains(['\n', '\r']) {
        true => json.replace(['\n', '\r'], " ").into(),
        false => json.into(),
    }
}

/// Writes a part of an event that other subscribers get, too.
pub(super) fn share_large(part: &Bytes, events: &mut Events) {
    if part.len() > LARGE {
        events.share(part.clone());
    } else {
        events.write(part);
    }
}

/// The member with the cursor after which a client resumes, and a comma before it.
pub(super) fn cursor_member(cursor: &str) -> String {
    format!(r#","metadata":{{"ltm-live":{{"cursor":"{cursor}"}}}}"#)
}

/// A small event, without a cursor.
pub(super) fn small(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

/// The begin of the types with which clients make messages. They keep the `metadata` of these events in the message, and
/// send it back.
const OF_MESSAGES: [&str; 4] = ["TEXT_MESSAGE_", "TOOL_CALL_", "REASONING_", "ACTIVITY_"];

/// An event of a recorded run, with its cursor if the client can resume after it. The event of the producer's framework is
/// left out, and so is the member `without`.
pub(super) fn recorded(
    cursor: Option<&str>,
    r#type: &str,
    item: &Members<'_>,
    without: &str,
) -> Encoded {
    if !TYPES.contains(&r#type) {
        let name = quoted(&format!("ag-ui.{type}"));
        let value = object(&item.without(&["rawEvent"]));
        let at = cursor.map(cursor_member).unwrap_or_default();
        let data = format!(r#"{{"type":"CUSTOM","name":{name},"value":{value}{at}}}"#);
        return event(cursor, &data);
    }
    // Clients reject null there.
    let is_null = item.get(OWNER).is_some_and(|owner| owner.get() == "null");
    let owner = if is_null { OWNER } else { "rawEvent" };
    let mut names = vec!["rawEvent", without, owner];
    let is_of_message = OF_MESSAGES.iter().any(|begin| r#type.starts_with(begin));
    let at = match (cursor, item.get("metadata")) {
        (None, _) => String::new(),
        (Some(cursor), _) if is_of_message => {
            format!(r#","rawEvent":{{"ltm-live":{{"cursor":"{cursor}"}}}}"#)
        }
        (Some(cursor), Some(metadata)) if metadata.get().starts_with('{') => {
            names.push("metadata");
            let others = Members::of(metadata).without(&["ltm-live"]);
            let own = format!(r#","ltm-live":{{"cursor":"{cursor}"}}"#);
            format!(r#","metadata":{}"#, object(&(others + &own)))
        }
        (Some(_), Some(_)) => String::new(),
        (Some(cursor), None) => cursor_member(cursor),
    };
    event(cursor, &object(&(item.without(&names) + &at)))
}

/// An event for which AG-UI has no type. A dot in the name marks it as ours.
pub(super) fn custom(cursor: Option<&str>, name: &str, value: &str) -> Encoded {
    let metadata = cursor.map(cursor_member);
    let data = format!(
        r#"{{"type":"CUSTOM","name":{},"value":{value}{}}}"#,
        quoted(&format!("ltm-live.{name}")),
        metadata.unwrap_or_default()
    );
    event(cursor, &data)
}
