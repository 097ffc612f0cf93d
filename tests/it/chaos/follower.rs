//! Followers, and the record of the messages that they receive.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ltm_tests::{Heard, Subscriber, apply};
use ltm_types::Cursor;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, story::Story};

/// A message, and the follower's state after it.
pub(crate) struct Seen {
    pub(crate) at: Duration,
    pub(crate) cursor: Cursor,
    /// The reason, if it is a reset.
    pub(crate) reset: Option<String>,
    /// Why its patch does not apply.
    pub(crate) error: Option<String>,
    pub(crate) state: Value,
}

/// Follows one LTM. After each disconnect it resumes with its cursor at the next gateway.
pub(crate) struct Follower {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) urls: Vec<String>,
    pub(crate) story: Story,
}

impl Follower {
    /// Follows until its cursor is `end`, which is known once the producers have stopped, and adds every
    /// message to `seen`.
    pub(crate) async fn run(self, end: Arc<Mutex<Option<Cursor>>>, seen: Arc<Mutex<Vec<Seen>>>) {
        let mut cursor = Cursor::ORIGIN;
        let mut state = json!({});
        for url in self.urls.iter().cycle() {
            if *end.lock().unwrap() == Some(cursor) {
                return;
            }
            let url = format!("{url}/ws/{}?after={cursor}", self.id);
            let Ok(Ok(mut subscriber)) = timeout(PATIENCE, Subscriber::connect(&url)).await else {
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            self.tell(format_args!("connects after {cursor}"));
            loop {
                match timeout(PATIENCE, subscriber.hear()).await {
                    Ok(Heard::Message(message)) => {
                        let next = self.take(&message, &mut state);
                        cursor = next.cursor;
                        seen.lock().unwrap().push(next);
                    }
                    other => {
                        self.tell(format_args!("is at {cursor} and receives {other:?}"));
                        break;
                    }
                }
                if *end.lock().unwrap() == Some(cursor) {
                    return;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn take(&self, message: &Value, state: &mut Value) -> Seen {
        let mut error = None;
        let reset = message.get("reset");
        if let Some(reset) = reset {
            self.tell(format_args!("is reset: {message}"));
            *state = reset["state"].clone();
        } else {
            let change = message.get("snapshot").or(message.get("rollback"));
            let patch = &change.unwrap_or(&Value::Null)["patch"];
            error = apply(state, patch)
                .map_err(|e| format!("{e} in {message}"))
                .err();
        }
        Seen {
            at: self.story.now(),
            cursor: message["cursor"].as_str().unwrap().parse().unwrap(),
            reset: reset.map(|reset| reset["reason"].as_str().unwrap().to_owned()),
            error,
            state: state.clone(),
        }
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        self.story.tell(&self.name, what);
    }
}
