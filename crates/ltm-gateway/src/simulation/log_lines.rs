//! The warnings and errors that the gateway logs during a story.

use std::{
    fmt::{self, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

/// The lines of this thread, while the value lives.
pub(super) struct LogLines {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

struct Text(String);

impl LogLines {
    pub(super) fn listen() -> Self {
        let lines = Lines::default();
        let guard = tracing::subscriber::set_default(lines.clone());
        Self {
            lines,
            _guard: guard,
        }
    }

    /// Checks that there is none, except about limits, and warnings if Redis has failed.
    pub(super) fn check(&self, redis_has_failed: bool) -> Result<(), String> {
        let lines = self.lines.0.lock().unwrap();
        let unexpected = |(level, line): &&(Level, String)| {
            let is_about_a_limit = line.contains("a limit was reached");
            *level < Level::WARN || !redis_has_failed && !is_about_a_limit
        };
        match lines.iter().find(unexpected) {
            Some((level, line)) => Err(format!("{level} {line}")),
            None => Ok(()),
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let line = (*event.metadata().level(), text.0);
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}
