//! What a page holds of a thread. A page that lost its connection sends old messages and an old state with its next run.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    Recorder,
    messages::{is_same, whole_message},
};

impl Recorder {
    /// Whether a page that sent this input holds the messages and the state of the thread, so that it needs only what comes
    /// after them.
    pub fn is_known_to(&self, input: &Map<String, Value>) -> bool {
        let empty = Value::Object(Map::new());
        let state = input.get("state").filter(|it| !it.is_null());
        state.unwrap_or(&empty) == self.own_state() && self.holds(input, |_| true)
    }

    /// Whether a page that sent this input lacks a message of the thread, or has another form of it. What else it sent is old,
    /// too. Clients send no activities, and older ones know no reasoning, so these do not count.
    pub fn is_behind(&self, input: &Map<String, Value>) -> bool {
        let counts =
            |message: &Value| message["role"] != "activity" && message["role"] != "reasoning";
        !self.holds(input, counts)
    }

    /// Replaces the messages and the state of a page that is behind by those of the thread, for the agent.
    pub fn bring_up_to_date(&self, input: &mut Map<String, Value>) {
        let sent = |message: &&Value| message["role"] != "activity";
        let messages = self.messages().0.iter().filter(sent);
        let messages: Vec<Value> = messages.map(whole_message).collect();
        input.insert("messages".into(), messages.into());
        input.insert("state".into(), self.own_state().clone());
    }

    /// Whether the input has these messages of the thread as they are.
    fn holds(&self, input: &Map<String, Value>, counts: impl Fn(&Value) -> bool) -> bool {
        let sent = input.get("messages").and_then(Value::as_array);
        let with_id = |message| Some((text(message, "id")?, message));
        let sent: HashMap<&str, &Value> = sent.into_iter().flatten().filter_map(with_id).collect();
        let is_held = |message: &Value| {
            let sent = text(message, "id").and_then(|id| sent.get(id));
            sent.is_some_and(|sent| is_same(message, sent))
        };
        let all = self.messages().0.iter();
        all.filter(|message| counts(message)).all(is_held)
    }
}

fn text<'a>(message: &'a Value, member: &str) -> Option<&'a str> {
    message[member].as_str()
}
