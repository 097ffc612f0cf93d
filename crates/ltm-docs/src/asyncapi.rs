//! The AsyncAPI 3.0 document: WebSockets and Server-Sent Events.

use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    CLOSES,
    schemas::{
        End, ListChange, ListReset, Operation, OperationName, RecordedError, Reset, ResetReason,
        RollbackChange, Row, Snapshot,
    },
    widen,
};

/// The document that `/docs/asyncapi.json` returns. What the HTTP API also returns has the same schema here.
pub fn asyncapi() -> Value {
    let mut description = described();
    widen(&mut description);
    description
}

fn described() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "ltm-live gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Follow LTMs live: each snapshot arrives once and in order, also across reconnects. A message is one JSON object, in a WebSocket text frame or in the data of an event. Store its `cursor`, and reconnect with `after=<cursor>`: you miss nothing and get nothing twice. If the log no longer contains that cursor, you get a `reset` with the full state. An event's id is its cursor.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels(),
        "operations": operations(),
        "components": {"messages": messages(), "schemas": schemas()},
    })
}

/// The messages of one LTM.
const OF_ONE: [&str; 6] = ["snapshot", "rollback", "error", "reset", "deleted", "live"];

fn refs(names: &[&str]) -> Value {
    let reference = |name: &&str| {
        let to = json!({"$ref": format!("#/components/messages/{name}")});
        ((*name).to_owned(), to)
    };
    names.iter().map(reference).collect::<Map<_, _>>().into()
}

fn channels() -> Value {
    let one = [&OF_ONE[..], &["token"]].concat();
    let many = [
        &OF_ONE[..],
        &["end", "followed", "follow", "unfollow", "token"],
    ]
    .concat();
    let events = [&OF_ONE[..], &["end"]].concat();
    let id = json!({"description": "The id of the LTM: an integer from 1 to 2^64-1."});
    json!({
        "ltm": {
            "address": "/ws/{id}", "title": "One LTM", "messages": refs(&one),
            "parameters": {"id": id},
            "x-by-key": "/ws/by-key/{fqn}/{key}",
            "description": "A WebSocket for one LTM. `/ws/by-key/{fqn}/{key}` is the same for class and key, percent-encoded.",
            "x-close-codes": CLOSES,
            "bindings": {"ws": {"method": "GET", "query": query(&[AFTER, INIT, LIVE, TICKET])}},
        },
        "many": {
            "address": "/ws", "title": "Many LTMs", "messages": refs(&many),
            "description": "A WebSocket for many LTMs, each with its own cursor. Send `follow` and `unfollow` to choose them, by id or by class and key. If you name one by its key, `followed` says which id it has, before its first message. If a WebSocket for one LTM would close, you get `end` for that LTM here, and the socket stays open.",
            "x-close-codes": CLOSES,
            "bindings": {"ws": {"method": "GET", "query": query(&[TICKET])}},
        },
        "list": {
            "address": "/ws/ltms", "title": "A list", "messages": refs(&["listReset", "listChange", "listLive", "token"]),
            "description": "A WebSocket for one page of the list of LTMs.",
            "x-close-codes": CLOSES,
            "bindings": {"ws": {"method": "GET", "query": query(&[LIST, &[AFTER, INIT, LIVE, TICKET]].concat())}},
        },
        "listEvents": {
            "address": "/sse/ltms", "title": "A list, as Server-Sent Events", "messages": refs(&["listReset", "listChange", "listLive", "end"]),
            "description": "The messages of `/ws/ltms` as Server-Sent Events, with the same parameters. The header `Last-Event-ID` replaces `after`. If a WebSocket would close, you get an event named `end`, without an id.",
            "x-close-codes": CLOSES,
            "bindings": {"http": {}},
        },
        "events": {
            "address": "/sse/{id}", "title": "One LTM, as Server-Sent Events", "messages": refs(&events),
            "parameters": {"id": id},
            "x-by-key": "/sse/by-key/{fqn}/{key}",
            "description": "The messages of `/ws/{id}` as Server-Sent Events, with the same parameters. The header `Last-Event-ID` replaces `after`. If a WebSocket would close, you get an event named `end`. The answer is 404 if the LTM does not exist, 410 if it was deleted, and 204 if it was deleted and you have received that.",
            "x-close-codes": CLOSES,
            "bindings": {"http": {}},
        },
        "agui": {
            "address": "/agui/{id}", "title": "One LTM, as the run of an agent", "messages": refs(&["aguiEvent"]),
            "parameters": {"id": id},
            "x-by-key": "/agui/{fqn}/{key}",
            "description": "One LTM for the clients of AG-UI (https://docs.ag-ui.com), with GET or POST. The body is a `RunAgentInput`; the gateway reads `threadId`, `runId`, `protocolVersion`, and the cursor in `forwardedProps.ltm.after`. The query may have `after`, `steps=1`, `live=1` and `until=never`; the header `Last-Event-ID` replaces `after`. The events are those of AG-UI, and their ids are cursors. The answer ends with the run. It also ends if the gateway stops or the token expires: resume with the last cursor. The paths below `/agui` of a CopilotKit runtime (`info`, `agent/{agentId}/connect`, `agent/{agentId}/run`, `stop/{threadId}`, and POST to `/agui` itself) take a class as agent and a key as thread.",
            "bindings": {"http": {}},
        },
    })
}

/// A parameter: its name, its schema as JSON, its description.
type Parameter = (&'static str, &'static str, &'static str);

const AFTER: Parameter = (
    "after",
    r#"{"type":"string"}"#,
    "a cursor: start with the entry after it; 0: start with the first entry",
);
const INIT: Parameter = (
    "init",
    r#"{"type":"string","enum":["state"]}"#,
    "start with a `reset` that has the current state",
);
const LIVE: Parameter = (
    "live",
    r#"{"type":"string","enum":["0","1","true","false"]}"#,
    "whether to send a message `live` when you have caught up, and once more after each later `reset`",
);
const TICKET: Parameter = (
    "ticket",
    r#"{"type":"string"}"#,
    "from POST /api/v0/ws-ticket, for clients that cannot set the header `Authorization`",
);
const PLAYGROUND: Parameter = (
    "playground",
    r#"{"type":"boolean"}"#,
    "true: only LTMs of the playground; false: only the others",
);
/// The parameters that choose the LTMs of a list, and the page.
const LIST: &[Parameter] = &[
    PLAYGROUND,
    STATUS,
    FQN,
    NAME,
    CREATED_AFTER,
    CREATED_BEFORE,
    UPDATED_AFTER,
    UPDATED_BEFORE,
    HAS_ERRORS,
    LIMIT,
    BEFORE,
];
const STATUS: Parameter = (
    "status",
    r#"{"type":"string"}"#,
    "only LTMs with one of these statuses, separated by commas",
);
const FQN: Parameter = (
    "fqn",
    r#"{"type":"string"}"#,
    "only LTMs of this class, or of all classes under a prefix: `app.*`",
);
const NAME: Parameter = (
    "name",
    r#"{"type":"string"}"#,
    "only LTMs whose name has, for each word of this text, a word that begins with it",
);
const CREATED_AFTER: Parameter = (
    "created_after",
    r#"{"type":"string","format":"date-time"}"#,
    "only LTMs that were created at this time or later",
);
const CREATED_BEFORE: Parameter = (
    "created_before",
    r#"{"type":"string","format":"date-time"}"#,
    "only LTMs that were created before this time",
);
const UPDATED_AFTER: Parameter = (
    "updated_after",
    r#"{"type":"string","format":"date-time"}"#,
    "only LTMs whose last entry was written at this time or later",
);
const UPDATED_BEFORE: Parameter = (
    "updated_before",
    r#"{"type":"string","format":"date-time"}"#,
    "only LTMs whose last entry was written before this time",
);
const HAS_ERRORS: Parameter = (
    "has_errors",
    r#"{"type":"boolean"}"#,
    "true: only LTMs with a recorded error; false: only those without any",
);
const LIMIT: Parameter = (
    "limit",
    r#"{"type":"integer","minimum":1,"maximum":1000}"#,
    "the number of rows on the page",
);
const BEFORE: Parameter = (
    "before",
    r#"{"type":"integer","minimum":1}"#,
    "only LTMs with a lower id",
);

fn query(parameters: &[Parameter]) -> Value {
    let property = |(name, schema, description): &Parameter| {
        // The constants above are JSON; a test parses all of them.
        let mut schema: Value = serde_json::from_str(schema).unwrap_or_default();
        schema["description"] = (*description).into();
        ((*name).to_owned(), schema)
    };
    let properties: Map<String, Value> = parameters.iter().map(property).collect();
    json!({"type": "object", "properties": properties})
}

fn operations() -> Value {
    let operation = |action: &str, channel: &str, names: &[&str], summary: &str| {
        let of = |name: &&str| json!({"$ref": format!("#/channels/{channel}/messages/{name}")});
        json!({
            "action": action,
            "summary": summary,
            "channel": {"$ref": format!("#/channels/{channel}")},
            "messages": names.iter().map(of).collect::<Vec<_>>(),
        })
    };
    let with_end = [&OF_ONE[..], &["end"]].concat();
    let of_many = [&with_end[..], &["followed"]].concat();
    json!({
        "sendEntries": operation("send", "ltm", &OF_ONE, "The entries of one LTM"),
        "renewToken": operation("receive", "ltm", &["token"], "A new token on the open socket"),
        "sendEntriesOfMany": operation("send", "many", &of_many, "The entries of each followed LTM"),
        "follow": operation("receive", "many", &["follow", "unfollow", "token"], "The LTMs to follow"),
        "sendList": operation("send", "list", &["listReset", "listChange", "listLive"], "The rows of a list, and their changes"),
        "sendListEvents": operation("send", "listEvents", &["listReset", "listChange", "listLive", "end"], "The rows of a list, and their changes, as events"),
        "renewTokenOfList": operation("receive", "list", &["token"], "A new token on the open socket"),
        "sendAguiEvents": operation("send", "agui", &["aguiEvent"], "One LTM as the run of an agent"),
        "sendEvents": operation("send", "events", &with_end, "The entries of one LTM, as events"),
    })
}

/// A message whose payload has these members.
fn message(title: &str, members: Value, required: &[&str]) -> Value {
    json!({
        "name": title, "title": title, "contentType": "application/json",
        "payload": {"type": "object", "properties": members, "required": required},
    })
}

/// An example of each message. `tests/interfaces` compares them with the schemas.
const EXAMPLES: &str = include_str!("messages.json");

fn messages() -> Value {
    let mut messages = plain_messages();
    // The file is JSON, and has each message: a test reads it.
    let mut examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    for (name, message) in messages.as_object_mut().into_iter().flatten() {
        message["examples"] = json!([{"payload": examples[name].take()}]);
    }
    messages
}

/// The messages, without examples.
fn plain_messages() -> Value {
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let id = json!({"type": "integer", "minimum": 1});
    let cursor = json!({"type": "string", "description": "The cursor after this message; opaque."});
    let of_one = |title: &str, name: &str, what: Value| {
        let members = json!({"id": id, "cursor": cursor, name: what});
        message(title, members, &["id", "cursor", name])
    };
    let of_list = |title: &str, name: &str, what: Value| {
        let members = json!({"cursor": cursor, name: what});
        message(title, members, &["cursor", name])
    };
    let yes = json!({"const": true});
    let index = json!({"type": ["integer", "null"], "description": "The last snapshot that stays; -1 if none stays, null if a rollback was undone."});
    let trace = json!({"type": "string", "description": "The trace of the entry (W3C Trace Context), if it has one."});
    let rollback = json!({"id": id, "cursor": cursor, "snapshot_index": index, "rollback": schema("RollbackChange"), "traceparent": trace});
    let key = json!({
        "type": "object", "required": ["fqn", "key"], "description": "An LTM by its class and key.",
        "properties": {"fqn": {"type": "string"}, "key": {"type": "string"}},
    });
    let digits = json!({"type": "string", "pattern": "^[1-9][0-9]*$"});
    let any = json!({"oneOf": [id, digits, key]});
    let follow = json!({
        "follow": any,
        "after": {"type": ["string", "null"]},
        "init": {"enum": ["state", null]},
        "live": {"enum": [true, false, 0, 1]},
    });
    json!({
        "snapshot": of_one("A new snapshot", "snapshot", schema("Snapshot")),
        "rollback": message("A rollback", rollback, &["id", "cursor", "snapshot_index", "rollback"]),
        "error": of_one("A new or changed error", "error", schema("RecordedError")),
        "reset": of_one("Replace your state with this one", "reset", schema("Reset")),
        "deleted": of_one("The LTM was deleted", "deleted", yes.clone()),
        "live": of_one("You have caught up", "live", yes.clone()),
        "end": message("The subscription to one LTM has ended", json!({"id": {"type": ["integer", "null"]}, "follow": any, "end": schema("End")}), &["id", "end"]),
        "followed": message("The id of an LTM that you named by its key", json!({"id": id, "follow": key}), &["id", "follow"]),
        "listReset": of_list("Replace your rows with these", "reset", schema("ListReset")),
        "listChange": of_list("Rows that changed", "change", schema("ListChange")),
        "listLive": of_list("You have caught up", "live", yes),
        "follow": message("Follow an LTM", follow, &["follow"]),
        "unfollow": message("Stop following an LTM", json!({"unfollow": any}), &["unfollow"]),
        "aguiEvent": {
            "name": "aguiEvent", "title": "An event of AG-UI", "contentType": "application/json",
            // The members are those of AG-UI.
            "payload": {"required": ["type"], "properties": {"type": {"enum": [
                "RUN_STARTED", "RUN_FINISHED", "RUN_ERROR", "STEP_STARTED", "STEP_FINISHED", "STATE_SNAPSHOT", "STATE_DELTA",
                "MESSAGES_SNAPSHOT", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "TOOL_CALL_START",
                "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT", "REASONING_START", "REASONING_END",
                "REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT", "REASONING_MESSAGE_END",
                "REASONING_ENCRYPTED_VALUE", "ACTIVITY_SNAPSHOT", "ACTIVITY_DELTA", "SUBAGENT_STARTED",
                "SUBAGENT_FINISHED", "SUBAGENT_ERROR", "RAW", "CUSTOM",
            ]}}},
        },
        "token": {
            "name": "token", "title": "A new token or ticket, before the previous one expires",
            "payload": {"oneOf": [
                {"type": "object", "properties": {"token": {"type": "string"}}, "required": ["token"]},
                {"type": "object", "properties": {"ticket": {"type": "string"}}, "required": ["ticket"]},
            ]},
        },
    })
}

fn schemas() -> Value {
    let mut schemas = Map::new();
    let mut add = |name: std::borrow::Cow<'static, str>, schema: RefOr<Schema>| {
        // A schema always serializes.
        schemas.insert(name.into_owned(), json!(schema));
    };
    add(Operation::name(), Operation::schema());
    add(OperationName::name(), OperationName::schema());
    add(Snapshot::name(), Snapshot::schema());
    add(RollbackChange::name(), RollbackChange::schema());
    add(RecordedError::name(), RecordedError::schema());
    add(ResetReason::name(), ResetReason::schema());
    add(Reset::name(), Reset::schema());
    add(Row::name(), Row::schema());
    add(ListReset::name(), ListReset::schema());
    add(ListChange::name(), ListChange::schema());
    add(End::name(), End::schema());
    schemas.into()
}
