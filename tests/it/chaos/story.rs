//! What happened, in order.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// The events before a failure that are shown.
const LINES: usize = 40;

/// What happened, in order. Clones tell the same story.
#[derive(Clone)]
pub(crate) struct Story {
    began: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

struct Event {
    at: Duration,
    /// Who it is about; nobody where it is a fault.
    about: Option<String>,
    what: String,
}

/// What was to be proved and does not hold.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What does not hold.
    pub(crate) what: String,
    /// The events that have to do with it.
    pub(crate) story: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.story)
    }
}

impl Story {
    /// One that begins now.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Arc::default(),
        }
    }

    /// How long it goes on already.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A fault begins or ends.
    pub(crate) fn fault(&self, what: impl fmt::Display) {
        self.push(None, what);
    }

    /// Something happens to a producer or a subscriber.
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

    /// How many faults there were.
    pub(crate) fn faults(&self) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event.about.is_none()).count()
    }

    /// A failure, with what happened to `about` from its last event before `from` to `until`, every
    /// fault in that time, and what names `cursor`.
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
