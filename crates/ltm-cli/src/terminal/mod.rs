//! What `ltm` prints: for people on a terminal, for programs as JSON lines.

mod output;
mod progress;
mod render;

pub(crate) use output::{Accent, Output, report};
pub(crate) use progress::progress_bar;
pub(crate) use render::line;
