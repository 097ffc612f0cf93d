//! The WebSockets and the Server-Sent Events, as AsyncAPI 3.0.

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

/// The description, as `/docs/asyncapi.json` has it. Schemas are those of the HTTP API where it is the same that is sent.
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
            "description": "LTMs as they live: each snapshot once, in order, across reconnects. A message is one JSON object in a text frame, or in the data of an event whose id is its cursor. Remember `cursor`, and connect with `after=` it: nothing is missed and nothing comes twice. Where the log cannot go on from there, `reset` has the whole state.",
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
    let many = [&OF_ONE[..], &["end", "follow", "unfollow", "token"]].concat();
    let events = [&OF_ONE[..], &["end"]].concat();
    let id = json!({"description": "The id of the LTM: a whole number from 1 to 2^64-1."});
    json!({
        "ltm": {
            "address": "/ws/{id}", "title": "One LTM", "messages": refs(&one),
            "parameters": {"id": id},
            "description": "A WebSocket.",
            "x-close-codes": CLOSES,
            "bindings": {"ws": {"method": "GET", "query": query(&[AFTER, INIT, LIVE, TICKET])}},
        },
        "many": {
            "address": "/ws", "title": "Many LTMs", "messages": refs(&many),
            "description": "A WebSocket for many LTMs, each with its own cursor: `follow` and `unfollow` say which. What would close a socket of its own is an `end` here.",
            "x-close-codes": CLOSES,
            "bindings": {"ws": {"method": "GET", "query": query(&[TICKET])}},
        },
        "list": {
            "address": "/ws/ltms", "title": "The list", "messages": refs(&["listReset", "listChange", "listLive", "token"]),
            "description": "A WebSocket for one page of the list.",
            "x-close-codes": CLOSES,
            "bindings": {"ws": {"method": "GET", "query": query(&[PLAYGROUND, FQN, LIMIT, BEFORE, AFTER, LIVE, TICKET])}},
        },
        "events": {
            "address": "/sse/{id}", "title": "One LTM, as Server-Sent Events", "messages": refs(&events),
            "parameters": {"id": id},
            "description": "The same as `/ws/{id}`; `Last-Event-ID` stands for `after`. What would be a close is an event named `end`. What is not there answers 404, what was deleted 410, and 204 to who has been told.",
            "x-close-codes": CLOSES,
            "bindings": {"http": {}},
        },
    })
}

/// A parameter: its name, its schema as JSON, what it does.
type Parameter = (&'static str, &'static str, &'static str);

const AFTER: Parameter = (
    "after",
    r#"{"type":"string"}"#,
    "a cursor: everything after it; 0: everything",
);
const INIT: Parameter = (
    "init",
    r#"{"type":"string","enum":["state"]}"#,
    "first a reset with the state",
);
const LIVE: Parameter = (
    "live",
    r#"{"type":"string","enum":["0","1","true","false"]}"#,
    "whether to say when everything that was there has been sent",
);
const TICKET: Parameter = (
    "ticket",
    r#"{"type":"string"}"#,
    "from POST /api/v0/ws-ticket, where tokens are asked for and no header can be set",
);
const PLAYGROUND: Parameter = (
    "playground",
    r#"{"type":"boolean"}"#,
    "the LTMs of the playground, or the others",
);
const FQN: Parameter = ("fqn", r#"{"type":"string"}"#, "only those of this class");
const LIMIT: Parameter = (
    "limit",
    r#"{"type":"integer","minimum":1,"maximum":1000}"#,
    "rows on the page",
);
const BEFORE: Parameter = (
    "before",
    r#"{"type":"integer","minimum":1}"#,
    "only those with lower ids",
);

fn query(parameters: &[Parameter]) -> Value {
    let property = |(name, schema, description): &Parameter| {
        // They stand above, and a test reads all of them.
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
    json!({
        "tellOfOne": operation("send", "ltm", &OF_ONE, "What happens to one LTM"),
        "renewOne": operation("receive", "ltm", &["token"], "A new token on the open socket"),
        "tellOfMany": operation("send", "many", &with_end, "What happens to each LTM that is followed"),
        "follow": operation("receive", "many", &["follow", "unfollow", "token"], "Which LTMs to follow"),
        "tellOfTheList": operation("send", "list", &["listReset", "listChange", "listLive"], "What the list shows"),
        "renewList": operation("receive", "list", &["token"], "A new token on the open socket"),
        "tellByEvents": operation("send", "events", &with_end, "What happens to one LTM, as events"),
    })
}

/// A message: its payload has these members beside others that are named.
fn message(title: &str, members: Value, required: &[&str]) -> Value {
    json!({
        "name": title, "title": title, "contentType": "application/json",
        "payload": {"type": "object", "properties": members, "required": required},
    })
}

fn messages() -> Value {
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let id = json!({"type": "integer", "minimum": 1});
    let cursor = json!({"type": "string", "description": "Where the subscriber is once it has this message; opaque."});
    let of_one = |title: &str, name: &str, what: Value| {
        let members = json!({"id": id, "cursor": cursor, name: what});
        message(title, members, &["id", "cursor", name])
    };
    let of_list = |title: &str, name: &str, what: Value| {
        let members = json!({"cursor": cursor, name: what});
        message(title, members, &["cursor", name])
    };
    let yes = json!({"const": true});
    let index = json!({"type": ["integer", "null"], "description": "The last snapshot that is kept; -1 where none is, null where a rollback was undone."});
    let trace = json!({"type": "string", "description": "The trace that it belongs to (W3C Trace Context), where it does."});
    let rollback = json!({"id": id, "cursor": cursor, "snapshot_index": index, "rollback": schema("RollbackChange"), "traceparent": trace});
    let followed = json!({
        "follow": id,
        "after": {"type": ["string", "null"]},
        "init": {"enum": ["state", null]},
        "live": {"enum": [true, false, 0, 1]},
    });
    json!({
        "snapshot": of_one("A snapshot was taken", "snapshot", schema("Snapshot")),
        "rollback": message("Rolled back", rollback, &["id", "cursor", "snapshot_index", "rollback"]),
        "error": of_one("An error was recorded or changed", "error", schema("RecordedError")),
        "reset": of_one("Replace your state with this one", "reset", schema("Reset")),
        "deleted": of_one("The LTM was deleted", "deleted", yes.clone()),
        "live": of_one("Everything that was there has been sent", "live", yes.clone()),
        "end": message("What would be a close", json!({"id": {"type": ["integer", "null"]}, "end": schema("End")}), &["id", "end"]),
        "listReset": of_list("Replace your rows with these", "reset", schema("ListReset")),
        "listChange": of_list("Rows that changed", "change", schema("ListChange")),
        "listLive": of_list("Everything that was there has been sent", "live", yes),
        "follow": message("Follow an LTM", followed, &["follow"]),
        "unfollow": message("Follow it no longer", json!({"unfollow": id}), &["unfollow"]),
        "token": {
            "name": "token", "title": "Another token or ticket, to go on for longer",
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
        // A schema is plain data, which always serializes.
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
