//! Progress bars, on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts. `what` names what is counted: `snapshots`.
pub(crate) fn progress_bar(count: u64, what: &str) -> ProgressBar {
    bar(count, &format!("{{pos}}/{{len}} {what}"))
}

/// A bar for the bytes of a file.
pub(crate) fn bytes_bar(length: u64) -> ProgressBar {
    bar(length, "{bytes}/{total_bytes}")
}

/// Shows a text behind the numbers of a bar.
pub(crate) fn bar_text(bar: &ProgressBar, text: &str) {
    bar.set_message(format!(", {text}"));
}

fn bar(length: u64, numbers: &str) -> ProgressBar {
    let style = format!("{{wide_bar}} {numbers}{{msg}}, {{elapsed}}");
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(&style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
