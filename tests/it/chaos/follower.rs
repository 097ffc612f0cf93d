//! Followers, and the record of the messages that they receive.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ltm_tests::apply;
use ltm_types::Cursor;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    connection::{Delivery, Tokens, Wire},
    story::Story,
};

/// The pause of a slow follower after each message.
const SLOW: Duration = Duration::from_millis(15);

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

/// The end of a log, which is known once the producers have stopped.
pub(crate) type End = Arc<Mutex<Option<Cursor>>>;

/// What a follower of one LTM has received.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<Mutex<Vec<Seen>>>);

/// Follows one LTM. After each disconnect it resumes with its cursor at the next gateway.
pub(crate) struct Follower {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) wire: Wire,
    pub(crate) urls: Vec<String>,
    pub(crate) tokens: Tokens,
    pub(crate) story: Story,
    /// Whether the producers have stopped, so that a slow follower hurries.
    pub(crate) stop: Arc<AtomicBool>,
}

impl Received {
    /// Takes what it holds.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The cursor of the last message.
    pub(crate) fn cursor(&self) -> Cursor {
        let seen = self.0.lock().unwrap();
        seen.last().map_or(Cursor::ORIGIN, |seen| seen.cursor)
    }

    /// Applies a message and records it.
    pub(crate) fn push(&self, who: &str, message: &Value, story: &Story) {
        let mut seen = self.0.lock().unwrap();
        let mut state = seen.last().map_or(json!({}), |seen| seen.state.clone());
        let mut error = None;
        let reset = message.get("reset");
        if let Some(reset) = reset {
            story.tell(who, format_args!("is reset: {message}"));
            state = reset["state"].clone();
        } else if let Some(change) = message.get("snapshot").or(message.get("rollback")) {
            error = apply(&mut state, &change["patch"])
                .map_err(|e| format!("{e} in {message}"))
                .err();
        }
        seen.push(Seen {
            at: story.now(),
            cursor: message["cursor"].as_str().unwrap().parse().unwrap(),
            reset: reset.map(|reset| reset["reason"].as_str().unwrap().to_owned()),
            error,
            state,
        });
    }

    /// Records what a client shows.
    pub(crate) fn push_shown(&self, shown: &Value, story: &Story) {
        self.0.lock().unwrap().push(Seen {
            at: story.now(),
            cursor: shown["cursor"].as_str().unwrap().parse().unwrap(),
            reset: shown["reset"].as_str().map(str::to_owned),
            error: None,
            state: shown["state"].clone(),
        });
    }
}

impl Follower {
    /// Follows until it is at `end`.
    pub(crate) async fn run(self, end: End, received: Received) {
        let mut urls = self.urls.iter().cycle();
        let mut connection = None;
        while *end.lock().unwrap() != Some(received.cursor()) {
            let Some(open) = &mut connection else {
                let cursor = received.cursor();
                let url = urls.next().unwrap();
                connection = self.wire.connect(url, &self.tokens, self.id, cursor).await;
                match connection {
                    Some(_) => self.tell(format_args!("connects after {cursor}")),
                    None => sleep(Duration::from_millis(50)).await,
                }
                continue;
            };
            let Some(delivery) = open.receive().await else {
                self.tell(format_args!("is disconnected at {}", received.cursor()));
                connection = None;
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            match delivery {
                Delivery::Nothing => continue,
                Delivery::Message(message) => received.push(&self.name, &message, &self.story),
                Delivery::Shown(shown) => received.push_shown(&shown, &self.story),
            }
            if self.wire == Wire::SlowSocket && !self.stop.load(Ordering::SeqCst) {
                sleep(SLOW).await;
            }
        }
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        self.story.tell(&self.name, what);
    }
}
