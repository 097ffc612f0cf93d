//! What `ltm` prints: for people on a terminal, for programs as JSON lines.

mod output;
mod progress;
mod reader;
mod render;
mod screen;

pub(crate) use output::{Accent, Output, report, retry_note};
pub(crate) use progress::{bar_text, bytes_bar, progress_bar};
pub(crate) use reader::reader_gone;
pub(crate) use render::line;
pub(crate) use screen::Screen;
