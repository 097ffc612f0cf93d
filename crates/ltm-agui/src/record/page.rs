//! What a page holds of a thread. A page that lost its connection sends old messages and an old state with its next run.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{
    Recorder,
    messages::{is_beginning, is_same, whole_message},
};

impl Recorder {
    /// Whether a page that sent this input holds the messages and the state of the thread, so that it needs only what comes
    /// after them.
    pub fn is_known_to(&self, input: &Map<String, Value>) -> bool {
        let empty = Value::Object(Map::new());
        let state = input.get("state").filter(|it| !it.is_null());
        state.unwrap_or(&empty) == self.own_state() && self.holds(input)
    }

    /// Whether a page that sent this input has lost its connection in an earlier run, so that its state is old, too: it lacks
    /// what the agent said between two of its messages, or has only the beginning of a message.
    ///
    /// A page that leaves out its own message, changes one, or ends before the agent's answer means to: it edits, or runs the
    /// agent again. Clients send no activities, and older ones know no reasoning, so these do not count.
    pub(super) fn is_behind(&self, input: &Map<String, Value>) -> bool {
        let sent = by_id(input);
        let all = self.messages().0;
        let held = |message: &Value| text(message, "id").and_then(|id| sent.get(id).copied());
        let as_it_is = |message: &Value| held(message).is_some_and(|it| is_same(message, it));
        let mut all_that_count = all.iter().filter(|it| counts(it));
        let Some(missing) = all_that_count.find(|it| !as_it_is(it)) else {
            return false;
        };
        match held(missing) {
            Some(beginning) => is_beginning(beginning, missing),
            None if missing["role"] == "user" => false,
            None => {
                let known: HashSet<&str> = all.iter().filter_map(|it| text(it, "id")).collect();
                sent.keys().any(|id| !known.contains(id))
            }
        }
    }

    /// Whether the page that began the run is behind the thread.
    pub fn page_is_behind(&self) -> bool {
        self.page_is_behind
    }

    /// Replaces the messages and the state of a page that is behind by those of the thread, for the agent.
    pub fn bring_up_to_date(&self, input: &mut Map<String, Value>) {
        let sent = input.get("messages").and_then(Value::as_array);
        let sent = sent.map_or(&[][..], Vec::as_slice);
        // An agent that knows no reasoning may reject it.
        let reasons = sent.iter().any(|it| it["role"] == "reasoning");
        let is_sent =
            |it: &&Value| it["role"] != "activity" && (reasons || it["role"] != "reasoning");
        let of_thread = self.messages().0.iter().filter(is_sent).map(whole_message);
        let without_id = sent.iter().filter(|it| text(it, "id").is_none()).cloned();
        let messages: Vec<Value> = of_thread.chain(without_id).collect();
        input.insert("messages".into(), messages.into());
        input.insert("state".into(), self.own_state().clone());
    }

    /// Whether the input has all messages of the thread as they are.
    fn holds(&self, input: &Map<String, Value>) -> bool {
        let sent = by_id(input);
        let is_held = |message: &Value| {
            let sent = text(message, "id").and_then(|id| sent.get(id));
            sent.is_some_and(|sent| is_same(message, sent))
        };
        self.messages().0.iter().all(is_held)
    }
}

/// The messages of an input, by their ids.
fn by_id(input: &Map<String, Value>) -> HashMap<&str, &Value> {
    let sent = input.get("messages").and_then(Value::as_array);
    let with_id = |message| Some((text(message, "id")?, message));
    sent.into_iter().flatten().filter_map(with_id).collect()
}

fn counts(message: &Value) -> bool {
    message["role"] != "activity" && message["role"] != "reasoning"
}

fn text<'a>(message: &'a Value, member: &str) -> Option<&'a str> {
    message[member].as_str()
}
