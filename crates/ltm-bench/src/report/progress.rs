//! A line that says how far it is.

use indicatif::{ProgressBar, ProgressStyle};

/// How far something is. It disappears with the value.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(what: String, until: u64) -> Self {
        let bar = ProgressBar::new(until).with_message(what);
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}");
        Self(match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    pub(crate) fn at(&self, count: u64) {
        self.0.set_position(count);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
