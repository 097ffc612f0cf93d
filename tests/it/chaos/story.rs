//! The events of a run, in order.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// How many events before a failure are shown.
const LINES: usize = 120;

/// The events of a run, in order. Clones share them.
#[derive(Clone)]
pub(crate) struct Story {
    began: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

struct Event {
    at: Duration,
    /// The producer or follower; `None` if it is a fault.
    about: Option<String>,
    what: String,
}

/// A promise that does not hold.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How it is broken.
    pub(crate) what: String,
    /// The events that led to it.
    pub(crate) story: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.story)
    }
}

impl Story {
    /// A story that begins now.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Arc::default(),
        }
    }

    /// The time since its beginning.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Records that a fault begins or ends.
    pub(crate) fn fault(&self, what: impl fmt::Display) {
        self.push(None, what);
    }

    /// Records an event of a producer or a follower.
    pub(crate) fn tell(&self, about: &str, what: impl fmt::Display) {
        self.push(Some(about.to_owned()), what);
    }

    fn push(&self, about: Option<String>, what: impl fmt::Display) {
        let event = Event {
            at: self.now(),
            about,
            what: what.to_string(),
        };
        self.events.lock().unwrap().push(event);
    }

    /// How many faults there were: each begins and ends.
    pub(crate) fn faults(&self) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event.about.is_none()).count() / 2
    }

    /// A failure with its events: those of `about` from the last one before `from` to `until`, every fault
    /// in that time, and each event that names `cursor`.
    pub(crate) fn failure(
        &self,
        what: impl Into<String>,
        about: &str,
        (from, until): (Duration, Duration),
        cursor: &str,
    ) -> Failure {
        let events = self.events.lock().unwrap();
        let last = |of: Option<&str>| {
            let before = events.iter().filter(|event| event.at <= from);
            let mine = before.filter(|event| event.about.as_deref() == of);
            mine.map(|event| event.at).next_back()
        };
        let since = |of: Option<&str>| last(of).unwrap_or(from);
        let (mine, fault) = (since(Some(about)), since(None));
        let concerns = |event: &&Event| {
            let names = !cursor.is_empty() && event.what.contains(cursor);
            let after = match &event.about {
                None => event.at >= fault,
                Some(who) => who == about && event.at >= mine,
            };
            names || (after && event.at <= until)
        };
        let told: Vec<String> = events
            .iter()
            .filter(concerns)
            .map(|event| {
                let who = event.about.as_deref().unwrap_or("FAULT");
                format!("{:8.3} {who}: {}", event.at.as_secs_f64(), event.what)
            })
            .collect();
        Failure {
            what: what.into(),
            story: told[told.len().saturating_sub(LINES)..].join("\n"),
        }
    }
}
