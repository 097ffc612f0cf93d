//! The list of messages in a state, as AG-UI spells it.

use std::{collections::HashMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::{
    event::{Encoded, OWNER, event, small},
    open::{MAX_OPEN, Open, Opened},
};

/// The messages of a state as a client gets them.
pub(super) struct MessageList {
    /// The event with the complete ones.
    pub complete: Encoded,
    /// Those that are still written, opened again with what they have.
    pub open: Vec<(Arc<Open>, Bytes)>,
    /// Whether more were open than a run keeps. The first of them are in the list, with what they have.
    pub is_partial: bool,
    /// All messages and tool calls.
    pub known: Arc<KnownMessages>,
}

/// The messages and tool calls of a state by their ids, as their first events would begin them.
#[derive(Default)]
pub(super) struct KnownMessages {
    messages: HashMap<Box<str>, Arc<Open>>,
    calls: HashMap<Box<str>, Arc<Open>>,
    bytes: usize,
}

/// The tool calls of a message: the complete ones, and those that are still written with what they have.
#[derive(Default)]
struct Calls {
    complete: Vec<(Value, Arc<Open>)>,
    unfinished: Vec<(Arc<Open>, String)>,
}

/// The messages of a list that is read.
struct Reader {
    complete: Vec<Value>,
    open: Vec<(Arc<Open>, Bytes)>,
    /// How many of those that are still written are not opened again.
    closed: usize,
    known: KnownMessages,
}

/// The messages in the list of a state; `None` if it is not a list.
pub(super) fn read(list: &str) -> Option<MessageList> {
    let list: Vec<Value> = serde_json::from_str(list).ok()?;
    let open: usize = list.iter().map(unfinished).sum();
    let closed = open.saturating_sub(MAX_OPEN);
    let mut messages = Reader {
        complete: Vec::new(),
        open: Vec::new(),
        closed,
        known: KnownMessages::default(),
    };
    for (index, message) in list.into_iter().enumerate() {
        if let Value::Object(message) = message {
            messages.add(index, message);
        }
    }
    // The event is made once, for all subscribers: it may be as large as the state.
    let complete = Value::from(messages.complete);
    let data = format!(r#"{{"type":"MESSAGES_SNAPSHOT","messages":{complete}}}"#);
    Some(MessageList {
        complete: event(None, &data),
        open: messages.open,
        is_partial: closed > 0,
        known: Arc::new(messages.known),
    })
}

/// How many texts of a message are still written: its own, and those of its tool calls.
fn unfinished(message: &Value) -> usize {
    let calls = ["toolCalls", "tool_calls"].map(|name| message.get(name));
    let calls = calls.into_iter().flatten().filter_map(Value::as_array);
    let arguments = calls.flatten().map(|it| it.pointer("/function/arguments"));
    let texts = arguments.chain([message.get("content")]).flatten();
    texts.filter(|text| is_chunks(text)).count()
}

impl MessageList {
    /// The bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        let open = self.open.iter().map(|(_, events)| events.len() + 64);
        let complete = self.complete.as_ref().map_or(0, Bytes::len);
        complete + open.sum::<usize>() + self.known.bytes
    }
}

impl KnownMessages {
    /// A message or tool call as its first event would begin it; `None` if the list does not have it.
    pub(super) fn find(&self, kind: Opened, id: &str) -> Option<Arc<Open>> {
        let open = match kind {
            Opened::ToolCall => self.calls.get(id),
            Opened::Text | Opened::Reasoning | Opened::Span => self.messages.get(id),
            Opened::Step | Opened::Subagent => None,
        }?;
        Some(match open.kind == kind {
            true => open.clone(),
            false => Arc::new(Open::clone(open).of_kind(kind)),
        })
    }

    fn add(&mut self, open: Open) -> Arc<Open> {
        let of_kind = match open.kind {
            Opened::ToolCall => &mut self.calls,
            _ => &mut self.messages,
        };
        self.bytes += open.bytes() + open.id.len() + 64;
        let open = Arc::new(open);
        // The first one counts: the clients add what comes to it.
        let known = of_kind.entry(open.id.clone());
        known.or_insert_with(|| open.clone());
        open
    }
}

impl Reader {
    fn add(&mut self, index: usize, mut message: Map<String, Value>) {
        let Some(role) = normalize(index, &mut message) else {
            return;
        };
        let text = message.get("content").and_then(chunks);
        if let Some(text) = &text {
            message.insert("content".into(), text.as_str().into());
        }
        let is_open = text.is_some() && self.reopens();
        let member = |name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
        let (id, owner) = (member("id").unwrap_or_default(), member(OWNER));
        let kind = match &*role {
            "reasoning" => Opened::Reasoning,
            _ => Opened::Text,
        };
        let open = Open::message(kind, &id, &role, owner.as_deref());
        let open = self.known.add(open);
        let calls = message.get_mut("toolCalls").and_then(Value::as_array_mut);
        let calls = calls.map(std::mem::take).unwrap_or_default();
        let calls = self.calls(calls, &id, owner.as_deref());
        if is_open {
            // One buffer for all calls: a message may have as many as a state has room for.
            let mut events = BytesMut::new();
            events.extend_from_slice(&open.start());
            events.extend_from_slice(&content(&open, text.as_deref()));
            for (call, open) in calls.complete {
                let arguments = call.pointer("/function/arguments").and_then(Value::as_str);
                events.extend_from_slice(&open.start());
                events.extend_from_slice(&content(&open, arguments));
                events.extend_from_slice(&open.end());
            }
            self.open.push((open, events.freeze()));
        } else {
            if let Some(complete) = message.get_mut("toolCalls") {
                *complete = calls.complete.into_iter().map(|(call, _)| call).collect();
            }
            self.complete.push(message.into());
        }
        for (open, arguments) in calls.unfinished {
            let events = [open.start(), content(&open, Some(&arguments))];
            self.open.push((open, events.concat().into()));
        }
    }

    fn calls(&mut self, calls: Vec<Value>, message: &str, owner: Option<&str>) -> Calls {
        let mut read = Calls::default();
        for mut call in calls {
            let open = self.known.add(tool_call(&call, message, owner));
            let arguments = call.pointer_mut("/function/arguments");
            match arguments.and_then(|it| Some((chunks(it)?, it))) {
                Some((text, _)) if self.reopens() => read.unfinished.push((open, text)),
                Some((text, arguments)) => {
                    *arguments = text.into();
                    read.complete.push((call, open));
                }
                None => read.complete.push((call, open)),
            }
        }
        read
    }

    /// Whether the next text that is still written is opened again: a run keeps only the last ones open.
    fn reopens(&mut self) -> bool {
        let is_closed = self.closed > 0;
        self.closed -= usize::from(is_closed);
        !is_closed
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
    let open = Open::message(Opened::Text, id, &role, None);
    Some(
        [open.start(), content(&open, Some(text?)), open.end()]
            .concat()
            .into(),
    )
}

fn tool_call(call: &Value, message: &str, owner: Option<&str>) -> Open {
    let text = |pointer: &str| {
        call.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    Open::tool_call(text("/id"), text("/function/name"), message, owner)
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

fn is_chunks(value: &Value) -> bool {
    value.get("chunks").is_some_and(Value::is_array)
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
    if !message.get(OWNER).is_some_and(Value::is_string) {
        message.remove(OWNER);
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
    if !fits && !is_chunks(content) {
        let text = content.to_string();
        message.insert("content".into(), text.into());
    }
    Some(role)
}

fn is_calls(calls: &Value) -> bool {
    calls.as_array().is_some_and(|calls| {
        calls.iter().all(|call| {
            let arguments = call.pointer("/function/arguments");
            let fits = arguments.is_some_and(|it| it.is_string() || is_chunks(it));
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
    fn a_message_of_a_long_list_is_found_at_once() {
        let text = |id: usize| json!({"id": id.to_string(), "role": "user", "content": ""});
        let list: Vec<Value> = (0..50_000).map(text).collect();
        let messages = read(&Value::from(list).to_string()).unwrap();
        // A search in the list would take a minute.
        let found = |id: usize| messages.known.find(Opened::Text, &id.to_string()).is_some();
        assert!((0..50_000).all(found) && !found(50_000));
    }

    #[test]
    fn of_too_many_open_texts_the_last_are_opened_again_and_the_others_are_listed() {
        let text = |id: usize| json!({"id": id.to_string(), "role": "assistant", "subagentRunId": "s", "content": {"chunks": ["a", "b"]}});
        let list: Vec<Value> = (0..MAX_OPEN + 2).map(text).collect();
        let messages = read(&Value::from(list).to_string()).unwrap();
        assert!(messages.is_partial);
        let snapshot = lines(messages.complete.as_ref().unwrap()).remove(0);
        let listed = |id: &str| json!({"id": id, "role": "assistant", "subagentRunId": "s", "content": "ab"});
        assert_eq!(snapshot["messages"], json!([listed("0"), listed("1")]));
        assert_eq!(messages.open.len(), MAX_OPEN);
        assert_eq!(&*messages.open[0].0.id, "2");
        let known = messages.known.find(Opened::Text, "0").unwrap();
        assert_eq!(lines(&known.start())[0]["subagentRunId"], "s");
        assert!(messages.known.find(Opened::ToolCall, "0").is_none());
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
