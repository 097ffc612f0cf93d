//! The list of messages in a state, as AG-UI spells it.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::{
    event::{Encoded, event, small},
    open::{Open, Opened},
};

/// The messages of a state as a client gets them.
pub(super) struct MessageList {
    /// The event with the complete ones.
    pub complete: Encoded,
    /// Those that are still written, opened again with what they have.
    pub open: Vec<(Open, Bytes)>,
    /// The complete messages and tool calls, as their first events would begin them.
    known: Vec<Open>,
}

/// The messages of a list that is read.
#[derive(Default)]
struct Reader {
    complete: Vec<Value>,
    open: Vec<(Open, Bytes)>,
}

/// The messages in the list of a state; `None` if it is not a list.
pub(super) fn read(list: &str) -> Option<MessageList> {
    let list: Vec<Value> = serde_json::from_str(list).ok()?;
    let mut messages = Reader::default();
    for (index, message) in list.into_iter().enumerate() {
        if let Value::Object(message) = message {
            messages.add(index, message);
        }
    }
    Some(messages.list())
}

impl MessageList {
    /// A message or tool call as its first event would begin it; `None` if the list does not have it.
    pub(super) fn find(&self, kind: Opened, id: &str) -> Option<Open> {
        let open = self.open.iter().map(|(open, _)| open);
        if let Some(open) = open
            .into_iter()
            .find(|open| open.kind == kind && open.id == id)
        {
            return Some(open.clone());
        }
        let is_call = |kind| kind == Opened::ToolCall;
        let mut known = self.known.iter();
        let open = known.find(|open| is_call(open.kind) == is_call(kind) && open.id == id)?;
        Some(open.clone().of_kind(kind))
    }
}

impl Reader {
    fn list(self) -> MessageList {
        // The event is made once, for all subscribers: it may be as large as the state.
        let messages = Value::from(self.complete);
        let data = format!(r#"{{"type":"MESSAGES_SNAPSHOT","messages":{messages}}}"#);
        let mut known = Vec::new();
        for message in messages.as_array().into_iter().flatten() {
            let text = |name: &str| {
                message
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            known.push(Open::message(Opened::Text, text("id"), text("role")));
            let calls = message.get("toolCalls").and_then(Value::as_array);
            let calls = calls.into_iter().flatten();
            known.extend(calls.map(|call| tool_call(call, text("id"))));
        }
        MessageList {
            complete: event(None, &data),
            open: self.open,
            known,
        }
    }

    fn add(&mut self, index: usize, mut message: Map<String, Value>) {
        let Some(role) = normalize(index, &mut message) else {
            return;
        };
        let text = message.get("content").and_then(chunks);
        if let Some(text) = &text {
            message.insert("content".into(), text.as_str().into());
        }
        let id = message
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let calls = message
            .get("toolCalls")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let unfinished = |call: &Value| call.pointer("/function/arguments").and_then(chunks);
        let (open, complete): (Vec<_>, Vec<_>) = calls
            .into_iter()
            .partition(|call| unfinished(call).is_some());
        if text.is_none() {
            if !open.is_empty() {
                message.insert("toolCalls".into(), complete.into());
            }
            self.complete.push(message.into());
        } else {
            let kind = if role == "reasoning" {
                Opened::Reasoning
            } else {
                Opened::Text
            };
            let open = Open::message(kind, &id, &role);
            // One buffer for all calls: a message may have as many as a state has room for.
            let mut events = BytesMut::new();
            events.extend_from_slice(&open.start());
            events.extend_from_slice(&content(&open, text.as_deref()));
            for call in complete {
                let arguments = call.pointer("/function/arguments").and_then(Value::as_str);
                let call = tool_call(&call, &id);
                events.extend_from_slice(&call.start());
                events.extend_from_slice(&content(&call, arguments));
                events.extend_from_slice(&call.end());
            }
            self.open.push((open, events.freeze()));
        }
        for call in open {
            let arguments = unfinished(&call);
            let open = tool_call(&call, &id);
            let events = [open.start(), content(&open, arguments.as_deref())];
            self.open.push((open, events.concat().into()));
        }
    }
}

/// The events of a complete message that was added to a list; `None` if only a new list can tell it.
pub(super) fn added(message: &str) -> Option<Bytes> {
    let mut message: Map<String, Value> = serde_json::from_str(message).ok()?;
    if !message.get("id").is_some_and(Value::is_string) {
        return None;
    }
    let role = normalize(0, &mut message)?;
    let is_text = matches!(&*role, "user" | "assistant" | "system" | "developer");
    let members = message
        .keys()
        .all(|name| matches!(&**name, "id" | "role" | "content"));
    let text = message.get("content").and_then(Value::as_str);
    if !is_text || !members {
        return None;
    }
    let id = message.get("id").and_then(Value::as_str)?;
    let open = Open::message(Opened::Text, id, &role);
    Some(
        [open.start(), content(&open, Some(text?)), open.end()]
            .concat()
            .into(),
    )
}

fn tool_call(call: &Value, message: &str) -> Open {
    let text = |pointer: &str| {
        call.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    Open::tool_call(text("/id"), text("/function/name"), message)
}

/// The event with the text of something open so far; none if it is empty.
fn content(open: &Open, text: Option<&str>) -> Bytes {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Bytes::new();
    };
    small(&open.content(text))
}

/// The text of `{"chunks": […]}`, which is still written (docs/formats.md).
fn chunks(value: &Value) -> Option<String> {
    let chunks = value.get("chunks")?.as_array()?;
    Some(chunks.iter().filter_map(Value::as_str).collect())
}

/// Gives a message the form that clients accept; they end the run at another one. Returns its role; `None` if it has no
/// role of AG-UI.
fn normalize(index: usize, message: &mut Map<String, Value>) -> Option<String> {
    let role = message.get("role")?.as_str()?.to_owned();
    if !message.get("id").is_some_and(Value::is_string) {
        let id = match message.get("id") {
            Some(id) if !id.is_null() => id.to_string(),
            _ => format!("message-{index}"),
        };
        message.insert("id".into(), id.into());
    }
    // The spelling of the OpenAI API, which many engines keep.
    for (from, to) in [("tool_calls", "toolCalls"), ("tool_call_id", "toolCallId")] {
        if let Some(value) = message.remove(from) {
            message.entry(to).or_insert(value);
        }
    }
    if message
        .get("toolCalls")
        .is_some_and(|calls| !is_calls(calls))
    {
        message.remove("toolCalls");
    }
    let content = message.get("content").unwrap_or(&Value::Null);
    let fits = match &*role {
        "user" => content.is_string() || content.is_array(),
        "assistant" if content.is_null() => {
            message.remove("content");
            return Some(role);
        }
        "assistant" | "system" | "developer" | "reasoning" => content.is_string(),
        "tool" => {
            if !message.get("toolCallId").is_some_and(Value::is_string) {
                return None;
            }
            content.is_string()
        }
        "activity" => {
            return message
                .get("activityType")
                .is_some_and(Value::is_string)
                .then_some(role);
        }
        _ => return None,
    };
    if !fits && chunks(content).is_none() {
        let text = content.to_string();
        message.insert("content".into(), text.into());
    }
    Some(role)
}

fn is_calls(calls: &Value) -> bool {
    calls.as_array().is_some_and(|calls| {
        calls.iter().all(|call| {
            let arguments = call.pointer("/function/arguments");
            let fits = arguments.is_some_and(|it| it.is_string() || chunks(it).is_some());
            let named = ["/id", "/function/name"]
                .iter()
                .all(|at| call.pointer(at).is_some_and(Value::is_string));
            fits && named
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(events: &Bytes) -> Vec<Value> {
        let text = std::str::from_utf8(events).unwrap();
        let data =
            |event: &str| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        text.split_terminator("\n\n").map(data).collect()
    }

    #[test]
    fn complete_messages_are_listed_and_unfinished_ones_opened_again() {
        let call = |id: &str, arguments: Value| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
        let list = json!([
            {"role": "user", "content": "hi"},
            {"id": "a", "role": "assistant", "tool_calls": [call("1", json!("{}")), call("2", json!({"chunks": ["{", "1"]}))]},
            {"id": "b", "role": "assistant", "content": {"chunks": ["x", "y"]}, "toolCalls": [call("3", json!("{}"))]},
            {"id": "c", "role": "narrator", "content": "?"},
            {"id": 7, "role": "system", "content": {"a": 1}},
        ]);
        let messages = read(&list.to_string()).unwrap();
        let snapshot = lines(messages.complete.as_ref().unwrap()).remove(0);
        let expected = json!([
            {"id": "message-0", "role": "user", "content": "hi"},
            {"id": "a", "role": "assistant", "toolCalls": [call("1", json!("{}"))]},
            {"id": "7", "role": "system", "content": r#"{"a":1}"#},
        ]);
        assert_eq!(snapshot["messages"], expected);
        let open: Vec<Value> = messages
            .open
            .iter()
            .flat_map(|(_, events)| lines(events))
            .collect();
        let types: Vec<&str> = open
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        let expected = [
            "TOOL_CALL_START",
            "TOOL_CALL_ARGS",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TOOL_CALL_START",
            "TOOL_CALL_ARGS",
            "TOOL_CALL_END",
        ];
        assert_eq!(types, expected);
        assert_eq!(open[0]["parentMessageId"], "a");
        assert_eq!(
            (&open[1]["delta"], &open[3]["delta"]),
            (&json!("{1"), &json!("xy"))
        );
        assert_eq!(messages.open.len(), 2, "the third call is complete");
        assert!(read("{}").is_none());
    }

    #[test]
    fn a_message_with_many_tool_calls_is_opened_at_the_cost_of_its_events() {
        let open = |calls: usize| {
            let call = r#"{"id":"1","function":{"name":"f","arguments":"{}"}}"#;
            let calls = vec![call; calls].join(",");
            let message = r#"{"id":"a","role":"assistant","content":{"chunks":["x"]}"#;
            let list = read(&format!(r#"[{message},"toolCalls":[{calls}]}}]"#)).unwrap();
            list.open[0].1.clone()
        };
        let (none, one) = (open(0), open(1));
        let call = one.strip_prefix(&none[..]).unwrap();
        // A copy of all events for each call would be half a minute here, and hours for the largest state.
        let expected = [&none[..], &call.repeat(20_000)].concat();
        assert!(open(20_000) == expected);
    }

    #[test]
    fn an_added_text_is_three_events_and_anything_else_a_new_list() {
        let text = json!({"id": "1", "role": "user", "content": "hi"});
        let events = lines(&added(&text.to_string()).unwrap());
        assert_eq!(
            events[1],
            json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "1", "delta": "hi"})
        );
        for other in [
            json!({"role": "user", "content": "hi"}),
            json!({"id": "1", "role": "tool", "toolCallId": "2", "content": "hi"}),
            json!({"id": "1", "role": "user", "content": [{"type": "text", "text": "hi"}]}),
            json!({"id": "1", "role": "user", "content": "hi", "name": "me"}),
            json!("hi"),
        ] {
            assert!(added(&other.to_string()).is_none(), "{other}");
        }
    }
}
