//! What `@ag-ui/client` makes of events, as far as messages and state go.

use ltm_types::member::MESSAGES;
use serde_json::{Value, json};

/// A page.
#[derive(Default)]
pub(super) struct Client {
    messages: Vec<Value>,
    pub(super) state: Value,
    /// The message that a chunk without an id continues.
    chunk: String,
}

/// Messages to compare: a text that has not begun is as good as an empty one.
pub(super) fn plain(messages: &Value) -> Value {
    let mut messages = messages.clone();
    for message in messages.as_array_mut().into_iter().flatten() {
        let members = message.as_object_mut().unwrap();
        if members
            .get("content")
            .is_none_or(|it| it == &json!({"chunks": []}))
        {
            members.insert("content".into(), "".into());
        }
        let open = |text: &Value| {
            text["chunks"]
                .as_array()
                .map(|it| it.iter().map(|it| it.as_str().unwrap()).collect::<String>())
        };
        if let Some(text) = open(&members["content"]) {
            members.insert("content".into(), text.into());
        }
        for call in members
            .get_mut("toolCalls")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(text) = open(&call["function"]["arguments"]) {
                call["function"]["arguments"] = text.into();
            }
        }
    }
    messages
}

impl Client {
    pub(super) fn messages(&self) -> Value {
        self.messages.clone().into()
    }

    fn message(&mut self, id: &str) -> Option<&mut Value> {
        self.messages.iter_mut().find(|it| it["id"] == id)
    }

    fn call(&mut self, id: &str) -> Option<&mut Value> {
        let calls = self
            .messages
            .iter_mut()
            .filter_map(|it| it.get_mut("toolCalls")?.as_array_mut());
        calls.flatten().find(|it| it["id"] == id)
    }

    /// Applies a recorded item. Items that have only a type take the rest from the state after them.
    pub(super) fn apply_recorded(&mut self, item: &Value, state: &Value) {
        match item["type"].as_str().unwrap() {
            "STATE_SNAPSHOT" | "STATE_DELTA" => self.state = state.clone(),
            "MESSAGES_SNAPSHOT" => {
                self.apply(
                    &json!({"type": "MESSAGES_SNAPSHOT", "messages": plain(&state[MESSAGES])}),
                );
            }
            _ => self.apply(item),
        }
    }

    pub(super) fn apply(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        if !self.state.is_object() {
            self.state = json!({});
        }
        match text("type").as_str() {
            "TEXT_MESSAGE_START" => self.start(
                &text("messageId"),
                event["role"].as_str().unwrap_or("assistant"),
                event,
            ),
            "REASONING_MESSAGE_START" => self.start(&text("messageId"), "reasoning", event),
            "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT" => {
                self.content(&text("messageId"), event)
            }
            "TEXT_MESSAGE_CHUNK" => {
                if let Some(id) = event["messageId"].as_str() {
                    self.chunk = id.into();
                    if self.message(id).is_none() {
                        self.start(id, "assistant", &json!({}));
                    }
                }
                let id = self.chunk.clone();
                self.content(&id, event);
            }
            "TEXT_MESSAGE_END" | "REASONING_MESSAGE_END" => {
                if let Some(message) = self.message(&text("messageId")) {
                    merge(message, event);
                }
            }
            "TOOL_CALL_START" => self.start_call(event),
            "TOOL_CALL_ARGS" => {
                let call = self.call(&text("toolCallId")).unwrap();
                append(&mut call["function"]["arguments"], &text("delta"));
                merge(call, event);
            }
            "TOOL_CALL_RESULT" => self.result(event),
            "STATE_SNAPSHOT" => self.state = event["snapshot"].clone(),
            "STATE_DELTA" => {
                ltm_state::patch::replay(&mut self.state, &event["delta"].to_string()).unwrap();
            }
            "MESSAGES_SNAPSHOT" => self.snapshot(event["messages"].as_array().unwrap()),
            "ACTIVITY_SNAPSHOT" => self.activity(event),
            "ACTIVITY_DELTA" => {
                if let Some(message) = self
                    .message(&text("messageId"))
                    .filter(|it| it["role"] == "activity")
                {
                    ltm_state::patch::replay(&mut message["content"], &event["patch"].to_string())
                        .unwrap();
                    message["activityType"] = event["activityType"].clone();
                }
            }
            "REASONING_ENCRYPTED_VALUE" => {
                let id = text("entityId");
                let target = match text("subtype").as_str() {
                    "tool-call" => self.call(&id),
                    _ => self.message(&id),
                };
                if let Some(target) = target {
                    target["encryptedValue"] = event["encryptedValue"].clone();
                }
            }
            "RUN_STARTED" => {
                for message in event["input"]["messages"].as_array().into_iter().flatten() {
                    if self.message(message["id"].as_str().unwrap()).is_none() {
                        self.messages.push(message.clone());
                    }
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, id: &str, role: &str, event: &Value) {
        if let Some(message) = self.message(id) {
            if message["role"] != "activity" {
                merge(message, event);
            }
            return;
        }
        let mut message = json!({"id": id, "role": role, "content": ""});
        merge(&mut message, event);
        self.messages.push(message);
    }

    fn content(&mut self, id: &str, event: &Value) {
        if let Some(message) = self.message(id).filter(|it| it["role"] != "activity") {
            append(
                &mut message["content"],
                event["delta"].as_str().unwrap_or_default(),
            );
            merge(message, event);
        }
    }

    fn start_call(&mut self, event: &Value) {
        let id = event["toolCallId"].as_str().unwrap();
        if let Some(call) = self.call(id) {
            call["function"]["name"] = event["toolCallName"].clone();
            return merge(call, event);
        }
        let mut call = json!({"id": id, "type": "function", "function": {"name": event["toolCallName"], "arguments": ""}});
        merge(&mut call, event);
        let parent = event["parentMessageId"].as_str();
        let known = parent.and_then(|id| self.message(id));
        let is_known = known.is_some();
        if let Some(message) = known.filter(|it| it["role"] == "assistant") {
            if !message["toolCalls"].is_array() {
                message["toolCalls"] = json!([]);
            }
            return message["toolCalls"].as_array_mut().unwrap().push(call);
        }
        let id = parent.filter(|_| !is_known).unwrap_or(id);
        self.messages
            .push(json!({"id": id, "role": "assistant", "toolCalls": [call]}));
    }

    fn result(&mut self, event: &Value) {
        let call = &event["toolCallId"];
        let mut message = json!({"id": event["messageId"], "role": "tool", "toolCallId": call, "content": event["content"]});
        merge(&mut message, event);
        let owns = |it: &Value| {
            it["role"] == "assistant"
                && it["toolCalls"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|it| &it["id"] == call))
        };
        let mut at = match self.messages.iter().position(owns) {
            Some(owner) => owner + 1,
            None => return self.messages.push(message),
        };
        while self.messages.get(at).is_some_and(|it| it["role"] == "tool") {
            at += 1;
        }
        self.messages.insert(at, message);
    }

    fn snapshot(&mut self, new: &[Value]) {
        let of = |id: &Value| new.iter().find(|it| &it["id"] == id);
        let none_of = |role: &str| !new.iter().any(|it| it["role"] == role);
        let kept = |it: &Value| {
            (it["role"] == "activity" && none_of("activity"))
                || (it["role"] == "reasoning" && none_of("reasoning"))
        };
        self.messages
            .retain(|it| of(&it["id"]).is_some() || kept(it));
        for message in &mut self.messages {
            if let Some(new) = of(&message["id"]) {
                *message = new.clone();
            }
        }
        for message in new {
            if !self.messages.iter().any(|it| it["id"] == message["id"]) {
                self.messages.push(message.clone());
            }
        }
    }

    fn activity(&mut self, event: &Value) {
        let new = json!({"id": event["messageId"], "role": "activity", "activityType": event["activityType"], "content": event["content"]});
        let replaces = event["replace"].as_bool().unwrap_or(true);
        match self
            .messages
            .iter()
            .position(|it| it["id"] == event["messageId"])
        {
            None => self.messages.push(new),
            Some(at) if replaces => self.messages[at] = new,
            Some(_) => {}
        }
    }
}

fn append(text: &mut Value, more: &str) {
    *text = format!("{}{more}", text.as_str().unwrap_or_default()).into();
}

fn merge(target: &mut Value, event: &Value) {
    for (name, value) in event["metadata"].as_object().into_iter().flatten() {
        target["metadata"][name] = value.clone();
    }
}
