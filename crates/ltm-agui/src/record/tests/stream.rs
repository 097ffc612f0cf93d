//! Streams of events that a client accepts, from random choices.

use serde_json::{Value, json};

/// What is open in a stream that is being made.
#[derive(Default)]
struct Maker {
    events: Vec<Value>,
    texts: Vec<String>,
    calls: Vec<String>,
    answered: usize,
    state: Vec<String>,
    /// Whether a short form may continue the last message.
    in_chunk: bool,
}

/// The events that these choices make, with `RUN_FINISHED` at the end.
pub(super) fn stream(choices: &[(u8, u8, u8)]) -> Vec<Value> {
    let mut maker = Maker::default();
    for (kind, which, text) in choices {
        maker.make(kind % 16, which % 4, *text);
    }
    for id in maker.texts {
        maker
            .events
            .push(json!({"type": "TEXT_MESSAGE_END", "messageId": id}));
    }
    for id in maker.calls {
        maker
            .events
            .push(json!({"type": "TOOL_CALL_END", "toolCallId": id}));
    }
    maker
        .events
        .push(json!({"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}));
    maker.events
}

impl Maker {
    fn make(&mut self, kind: u8, which: u8, text: u8) {
        let (message, call) = (format!("m{which}"), format!("c{which}"));
        let delta = format!("{text:x} \"é\" ");
        let event = match kind {
            0 if self.texts.len() < 3 => {
                if self.texts.contains(&message) {
                    return;
                }
                self.texts.push(message.clone());
                json!({"type": "TEXT_MESSAGE_START", "messageId": message, "role": "assistant"})
            }
            1..=4 => match self.texts.get(usize::from(which)) {
                Some(id) => {
                    json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": id, "delta": delta})
                }
                None => return,
            },
            5 => match self.texts.pop() {
                Some(id) => {
                    json!({"type": "TEXT_MESSAGE_END", "messageId": id, "metadata": {"n": text}})
                }
                None => return,
            },
            6 if !self.calls.contains(&call) => {
                self.calls.push(call.clone());
                let start = json!({"type": "TOOL_CALL_START", "toolCallId": call, "toolCallName": format!("f{}", text % 2)});
                with_parent(start, &message, text)
            }
            7 | 8 => match self.calls.last() {
                Some(id) => json!({"type": "TOOL_CALL_ARGS", "toolCallId": id, "delta": delta}),
                None => return,
            },
            9 => match self.calls.pop() {
                Some(id) => json!({"type": "TOOL_CALL_END", "toolCallId": id}),
                None => return,
            },
            10 => {
                self.answered += 1;
                json!({"type": "TOOL_CALL_RESULT", "messageId": format!("a{}", self.answered), "toolCallId": call, "content": delta})
            }
            11 => {
                self.state = vec![format!("k{which}")];
                json!({"type": "STATE_SNAPSHOT", "snapshot": {format!("k{which}"): [text, {"a/~b": delta}]}})
            }
            12 => {
                let path = format!("/k{which}");
                json!({"type": "STATE_DELTA", "delta": [{"op": "add", "path": path, "value": {"n": text}}]})
            }
            13 => {
                json!({"type": "ACTIVITY_SNAPSHOT", "messageId": format!("act{which}"), "activityType": "PLAN", "content": {"n": text}, "replace": text.is_multiple_of(2)})
            }
            14 => {
                json!({"type": "ACTIVITY_DELTA", "messageId": format!("act{which}"), "activityType": "PLAN", "patch": [{"op": "add", "path": "/m", "value": text}]})
            }
            15 if self.texts.is_empty() && self.calls.is_empty() => {
                return self.between_messages(which, text, &delta);
            }
            _ => return,
        };
        self.in_chunk = false;
        self.events.push(event);
    }

    /// Events that need all messages to have ended.
    fn between_messages(&mut self, which: u8, text: u8, delta: &str) {
        let event = match text % 3 {
            0 => {
                let message =
                    json!({"id": format!("m{which}"), "role": "assistant", "content": delta});
                json!({"type": "MESSAGES_SNAPSHOT", "messages": [message]})
            }
            1 if self.in_chunk => json!({"type": "TEXT_MESSAGE_CHUNK", "delta": delta}),
            _ => {
                json!({"type": "TEXT_MESSAGE_CHUNK", "messageId": format!("m{which}"), "delta": delta})
            }
        };
        self.in_chunk = !text.is_multiple_of(3);
        self.events.push(event);
    }
}

fn with_parent(mut start: Value, message: &str, text: u8) -> Value {
    if !text.is_multiple_of(3) {
        start["parentMessageId"] = message.into();
    }
    start
}
