//! A progress bar.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error, if that is a terminal. `what` names what is counted: `snapshots`.
pub(crate) fn progress_bar(count: u64, what: &str) -> ProgressBar {
    let style = format!("{{wide_bar}} {{pos}}/{{len}} {what}, {{elapsed}}");
    let bar = ProgressBar::new(count);
    match ProgressStyle::with_template(&style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
