//! The messages of a thread: which operations on `_messages` an event means. A text that grows has the form of
//! `docs/formats.md`: `{"chunks": [...]}` until it is complete.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use json_patch::{AddOperation, PatchOperation, ReplaceOperation};
use jsonptr::PointerBuf;
use ltm_types::member::MESSAGES;
use serde_json::{Map, Value, json};

use super::event::Event;

/// The messages of a thread.
#[derive(Clone, Copy)]
pub(super) struct Messages<'a>(pub(super) &'a [Value]);

/// A place in the messages.
type Place = Vec<String>;

impl<'a> Messages<'a> {
    /// Where the message with this id is.
    pub(super) fn position(self, id: &str) -> Option<usize> {
        let with_id = |message: &Value| message["id"].as_str() == Some(id);
        self.0.iter().position(with_id)
    }

    /// The ids of the messages.
    pub(super) fn ids(self) -> HashSet<&'a str> {
        let ids = self.0.iter().filter_map(|message| message["id"].as_str());
        ids.collect()
    }

    fn role(self, at: usize) -> &'a str {
        self.0[at]["role"].as_str().unwrap_or_default()
    }

    /// Whether the message with this id is an activity, which has no text.
    pub(super) fn is_activity(self, id: &str) -> bool {
        self.position(id)
            .is_some_and(|at| self.role(at) == "activity")
    }

    /// Where the tool call with this id is: its message, and its place in the message.
    pub(super) fn tool_call(self, id: &str) -> Option<(usize, usize)> {
        self.0.iter().enumerate().find_map(|(at, message)| {
            let calls = message["toolCalls"].as_array()?;
            let with_id = |call: &Value| call["id"].as_str() == Some(id);
            Some((at, calls.iter().position(with_id)?))
        })
    }

    /// The messages whose text has not ended, and whether each is one of reasoning; and the tool calls whose arguments
    /// have not ended.
    pub(super) fn unfinished(self) -> (Vec<(String, bool)>, Vec<String>) {
        let id = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
        let (mut texts, mut calls) = (Vec::new(), Vec::new());
        for message in self.0 {
            if chunks(&message["content"]).is_some() {
                texts.push((id(message), message["role"] == "reasoning"));
            }
            let all = message["toolCalls"].as_array();
            let open = |call: &&Value| chunks(&call["function"]["arguments"]).is_some();
            calls.extend(all.into_iter().flatten().filter(open).map(id));
        }
        (texts, calls)
    }

    /// A text begins.
    pub(super) fn start_text(self, event: &Event, role: &str) -> Vec<PatchOperation> {
        let id = event.id("messageId");
        let Some(at) = self.position(id) else {
            let mut message = json!({"id": id, "role": role, "content": {"chunks": []}});
            for member in ["name", "subagentRunId", "metadata"] {
                if let Some(value) = event.get(member) {
                    message[member] = value.clone();
                }
            }
            return vec![add(place(self.0.len()), message)];
        };
        let mut operations = self.piece(&within(at, "content"), &self.0[at]["content"], "");
        operations.extend(merged(&place(at), &self.0[at], event));
        operations
    }

    /// A piece of the text of a message comes.
    pub(super) fn text(self, event: &Event) -> Vec<PatchOperation> {
        let Some(at) = self.position(event.id("messageId")) else {
            return Vec::new();
        };
        let content = &self.0[at]["content"];
        let mut operations = self.piece(&within(at, "content"), content, event.id("delta"));
        operations.extend(merged(&place(at), &self.0[at], event));
        operations
    }

    /// The text of a message ends.
    pub(super) fn end_text(self, event: &Event) -> Vec<PatchOperation> {
        let Some(at) = self.position(event.id("messageId")) else {
            return Vec::new();
        };
        let mut operations = whole(within(at, "content"), &self.0[at]["content"]);
        operations.extend(merged(&place(at), &self.0[at], event));
        operations
    }

    /// A tool call begins.
    pub(super) fn start_call(self, event: &Event) -> Vec<PatchOperation> {
        let id = event.id("toolCallId");
        if let Some((at, nth)) = self.tool_call(id) {
            let call = &self.0[at]["toolCalls"][nth];
            let arguments = &call["function"]["arguments"];
            let at = call_place(at, nth);
            let mut operations = vec![replace(
                below(&at, &["function", "name"]),
                event.id("toolCallName").into(),
            )];
            operations.extend(self.piece(&below(&at, &["function", "arguments"]), arguments, ""));
            operations.extend(merged(&at, call, event));
            return operations;
        }
        let function = json!({"name": event.id("toolCallName"), "arguments": {"chunks": []}});
        let mut call = json!({"id": id, "type": "function", "function": function});
        if let Some(metadata) = event.metadata() {
            call["metadata"] = metadata.clone().into();
        }
        let parent = event.text("parentMessageId");
        let known = parent.and_then(|id| self.position(id));
        if let Some(at) = known.filter(|at| self.role(*at) == "assistant") {
            let calls = within(at, "toolCalls");
            return vec![match self.0[at]["toolCalls"].as_array() {
                Some(all) => add(below(&calls, &[&all.len().to_string()]), call),
                None => add(calls, json!([call])),
            }];
        }
        let id = parent.filter(|_| known.is_none()).unwrap_or(id);
        let mut message = json!({"id": id, "role": "assistant", "toolCalls": [call]});
        if let Some(owner) = event.get("subagentRunId") {
            message["subagentRunId"] = owner.clone();
        }
        vec![add(place(self.0.len()), message)]
    }

    /// A piece of the arguments of a tool call comes.
    pub(super) fn arguments(self, event: &Event) -> Vec<PatchOperation> {
        let Some((at, nth)) = self.tool_call(event.id("toolCallId")) else {
            return Vec::new();
        };
        let call = &self.0[at]["toolCalls"][nth];
        let (place, arguments) = (call_place(at, nth), &call["function"]["arguments"]);
        let path = below(&place, &["function", "arguments"]);
        let mut operations = self.piece(&path, arguments, event.id("delta"));
        operations.extend(merged(&place, call, event));
        operations
    }

    /// The arguments of a tool call end.
    pub(super) fn end_call(self, event: &Event) -> Vec<PatchOperation> {
        let Some((at, nth)) = self.tool_call(event.id("toolCallId")) else {
            return Vec::new();
        };
        let call = &self.0[at]["toolCalls"][nth];
        let place = call_place(at, nth);
        let path = below(&place, &["function", "arguments"]);
        let mut operations = whole(path, &call["function"]["arguments"]);
        operations.extend(merged(&place, call, event));
        operations
    }

    /// A tool has answered: its message comes after that of the call, and after the other answers to that.
    pub(super) fn result(self, event: &Event) -> Vec<PatchOperation> {
        let call = event.id("toolCallId");
        let mut message = json!({
            "id": event.id("messageId"),
            "role": event.text("role").unwrap_or("tool"),
            "toolCallId": call,
            "content": event.get("content"),
        });
        for member in ["subagentRunId", "metadata"] {
            if let Some(value) = event.get(member) {
                message[member] = value.clone();
            }
        }
        let owner = self
            .tool_call(call)
            .filter(|(at, _)| self.role(*at) == "assistant");
        let at = owner.map_or(self.0.len(), |(owner, _)| {
            let after = owner + 1;
            after
                + (after..self.0.len())
                    .take_while(|at| self.role(*at) == "tool")
                    .count()
        });
        vec![add(place(at), message)]
    }

    /// The content of an activity comes.
    pub(super) fn activity(self, event: &Event) -> Vec<PatchOperation> {
        let mut message = json!({
            "id": event.id("messageId"),
            "role": "activity",
            "activityType": event.id("activityType"),
            "content": event.get("content"),
        });
        if let Some(owner) = event.get("subagentRunId") {
            message["subagentRunId"] = owner.clone();
        }
        let Some(at) = self.position(event.id("messageId")) else {
            if let Some(metadata) = event.get("metadata") {
                message["metadata"] = metadata.clone();
            }
            return vec![add(place(self.0.len()), message)];
        };
        let replaces = event
            .get("replace")
            .and_then(Value::as_bool)
            .unwrap_or(true);
        let mut operations = Vec::new();
        if replaces {
            if self.role(at) == "activity"
                && let Some(metadata) = self.0[at].get("metadata")
            {
                message["metadata"] = metadata.clone();
            }
            operations.push(replace(place(at), message.clone()));
        } else if self.role(at) == "activity" {
            message = self.0[at].clone();
        } else {
            return operations;
        }
        operations.extend(merged(&place(at), &message, event));
        operations
    }

    /// The content of an activity changes; the patch is read by the caller. `None` if there is no such activity.
    pub(super) fn activity_place(self, event: &Event) -> Option<String> {
        let at = self.position(event.id("messageId"))?;
        (self.role(at) == "activity").then(|| format!("/{MESSAGES}/{at}"))
    }

    /// The encrypted form of a message or of a tool call comes.
    pub(super) fn encrypted(self, event: &Event) -> Vec<PatchOperation> {
        let id = event.id("entityId");
        let place = match event.id("subtype") {
            "tool-call" => self.tool_call(id).map(|(at, nth)| call_place(at, nth)),
            _ => self.position(id).map(place),
        };
        let value = || event.id("encryptedValue").into();
        let set = |place: Place| add(below(&place, &["encryptedValue"]), value());
        place.map(set).into_iter().collect()
    }

    /// The messages that are not here yet, by id.
    pub(super) fn missing(self, all: &'a [Value]) -> Vec<Value> {
        let mut known = self.ids();
        let mut missing = Vec::new();
        for message in all {
            if message["id"].as_str().is_some_and(|id| known.insert(id)) {
                missing.push(message.clone());
            }
        }
        missing
    }

    /// Appends messages.
    pub(super) fn append(self, messages: &[Value]) -> Vec<PatchOperation> {
        let from = self.0.len();
        let append = |(nth, message): (usize, &Value)| add(place(from + nth), message.clone());
        messages.iter().enumerate().map(append).collect()
    }

    /// The messages after a `MESSAGES_SNAPSHOT`, as a client has them: in the order that it knows, with activities and
    /// reasoning kept if the agent sends none.
    pub(super) fn replaced(self, all: &[Value]) -> Vec<Value> {
        let (mut new, mut known) = (HashMap::new(), HashSet::new());
        for message in all {
            if let Some(id) = message["id"].as_str() {
                new.entry(id).or_insert(message);
            }
        }
        let none_of = |role: &str| !all.iter().any(|message| message["role"] == role);
        let (no_activity, no_reasoning) = (none_of("activity"), none_of("reasoning"));
        let mut messages: Vec<Value> = Vec::new();
        for message in self.0 {
            let id = message["id"].as_str();
            let kept = match id.and_then(|id| new.get(id).copied()) {
                Some(sent) => sent,
                None if no_activity && message["role"] == "activity" => message,
                None if no_reasoning && message["role"] == "reasoning" => message,
                None => continue,
            };
            known.extend(id);
            messages.push(kept.clone());
        }
        for message in all {
            if message["id"].as_str().is_none_or(|id| known.insert(id)) {
                messages.push(message.clone());
            }
        }
        messages
    }

    /// Adds a piece to the text at `path`, which is `text` so far.
    fn piece(self, path: &[String], text: &Value, piece: &str) -> Vec<PatchOperation> {
        if chunks(text).is_some() {
            return match piece {
                "" => Vec::new(),
                piece => vec![add(below(path, &["chunks", "-"]), piece.into())],
            };
        }
        let pieces = [text.as_str().unwrap_or_default(), piece];
        let chunks: Vec<&str> = pieces.into_iter().filter(|it| !it.is_empty()).collect();
        // It may be missing: an assistant's message of tool calls has no text.
        vec![add(path.to_vec(), json!({"chunks": chunks}))]
    }
}

/// Whether two messages with the same id have the same role, content and tool calls. Clients leave out what is empty.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    let calls = |message: &Value| {
        let calls = message["toolCalls"].as_array();
        calls.is_some_and(|calls| !calls.is_empty())
    };
    let call = |(one, other): (&Value, &Value)| {
        let (of_one, of_other) = (&one["function"], &other["function"]);
        one["id"] == other["id"]
            && of_one["name"] == of_other["name"]
            && whole_text(&of_one["arguments"]) == whole_text(&of_other["arguments"])
    };
    let same_calls = match (&one["toolCalls"], &other["toolCalls"]) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(call)
        }
        _ => !calls(one) && !calls(other),
    };
    let same_content = whole_text(&one["content"]) == whole_text(&other["content"]);
    one["role"] == other["role"] && same_content && same_calls
}

/// Whether a message that is not the same has the beginnings of the content and the tool calls of `other`.
pub(super) fn is_beginning(one: &Value, other: &Value) -> bool {
    let begins = |one: &Value, other: &Value| match (&*whole_text(one), &*whole_text(other)) {
        (Value::String(one), Value::String(other)) => other.starts_with(one.as_str()),
        (one, other) => one == other,
    };
    let calls = |message: &Value| message["toolCalls"].as_array().cloned().unwrap_or_default();
    let (calls, of_other) = (calls(one), calls(other));
    let call = |(one, other): (&Value, &Value)| {
        let (of_one, of_other) = (&one["function"], &other["function"]);
        one["id"] == other["id"] && begins(&of_one["arguments"], &of_other["arguments"])
    };
    one["role"] == other["role"]
        && begins(&one["content"], &other["content"])
        && calls.len() <= of_other.len()
        && calls.iter().zip(&of_other).all(call)
}

/// A message whose texts have no pieces.
pub(super) fn whole_message(message: &Value) -> Value {
    let mut message = message.clone();
    let whole = |text: &mut Value| {
        if chunks(text).is_some() {
            *text = whole_text(text).into_owned();
        }
    };
    if let Some(content) = message.get_mut("content") {
        whole(content);
    }
    let calls = message.get_mut("toolCalls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        if let Some(arguments) = call.pointer_mut("/function/arguments") {
            whole(arguments);
        }
    }
    message
}

/// A text without pieces; an empty one for none.
fn whole_text(text: &Value) -> Cow<'_, Value> {
    match (chunks(text), text) {
        (Some(pieces), _) => {
            let text: String = pieces.iter().filter_map(Value::as_str).collect();
            Cow::Owned(text.into())
        }
        (None, Value::Null) => Cow::Owned("".into()),
        (None, text) => Cow::Borrowed(text),
    }
}

/// The pieces of a text that has not ended.
fn chunks(text: &Value) -> Option<&Vec<Value>> {
    text.as_object()?.get("chunks")?.as_array()
}

/// Replaces the pieces of a text by the text.
fn whole(path: Place, text: &Value) -> Vec<PatchOperation> {
    let pieces = chunks(text).into_iter().flatten();
    match chunks(text) {
        Some(_) => {
            let text: String = pieces.filter_map(Value::as_str).collect();
            vec![replace(path, text.into())]
        }
        None => Vec::new(),
    }
}

/// Merges the metadata of an event into that of its target, member by member.
fn merged(place: &[String], target: &Value, event: &Event) -> Vec<PatchOperation> {
    let Some(metadata) = event.metadata() else {
        return Vec::new();
    };
    if !target["metadata"].is_object() {
        return vec![add(below(place, &["metadata"]), metadata.clone().into())];
    }
    let set =
        |(name, value): (&String, &Value)| add(below(place, &["metadata", name]), value.clone());
    metadata.iter().map(set).collect()
}

fn place(at: usize) -> Place {
    vec![MESSAGES.into(), at.to_string()]
}

fn within(at: usize, member: &str) -> Place {
    below(&place(at), &[member])
}

fn call_place(at: usize, nth: usize) -> Place {
    below(&place(at), &["toolCalls", &nth.to_string()])
}

fn below(place: &[String], members: &[&str]) -> Place {
    let members = members.iter().map(|it| (*it).to_owned());
    place.iter().cloned().chain(members).collect()
}

/// The operation that adds a value, or sets a member.
pub(super) fn add(place: Place, value: Value) -> PatchOperation {
    let path = PointerBuf::from_tokens(place);
    PatchOperation::Add(AddOperation { path, value })
}

fn replace(place: Place, value: Value) -> PatchOperation {
    let path = PointerBuf::from_tokens(place);
    PatchOperation::Replace(ReplaceOperation { path, value })
}

/// The messages in a state.
pub(super) fn of_state(state: &Map<String, Value>) -> Vec<Value> {
    let messages = state.get(MESSAGES).and_then(Value::as_array);
    messages.cloned().unwrap_or_default()
}
