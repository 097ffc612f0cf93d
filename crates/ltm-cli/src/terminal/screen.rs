//! A terminal that shows a text in place of the one before.

use std::io::{self, Write};

use console::{Term, truncate_str};
use tokio::signal::unix::{SignalKind, signal};

use crate::{error::Error, text::printable};

/// Switches to the other screen of the terminal, and hides the caret.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
/// Undoes that.
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// The terminal shows what is between these two at once, if it can.
const BEGIN: &str = "\u{1b}[?2026h\u{1b}[H";
/// Also clears what is below the text.
const END: &str = "\u{1b}[J\u{1b}[?2026l";
/// Clears what is behind a line.
const LINE_END: &str = "\u{1b}[K";
/// The size of a terminal that does not tell it.
const SIZE: (u16, u16) = (24, 80);

/// The whole terminal. When it is dropped, the terminal is as it was before, and shows the last text below that.
pub(crate) struct Screen {
    text: String,
}

impl Screen {
    /// Runs `work` with a screen until it fails or somebody presses Ctrl-C.
    pub(crate) async fn run(
        work: impl AsyncFnOnce(&mut Screen) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Setup)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Setup)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(Error::Setup)?;
        write(ENTER)?;
        let mut screen = Self {
            text: String::new(),
        };
        tokio::select! {
            outcome = work(&mut screen) => outcome,
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            _ = hang_up.recv() => Ok(()),
        }
    }

    /// Shows a text. What it holds of other programs is printable.
    pub(crate) fn show(&mut self, text: String) -> Result<(), Error> {
        self.text = text;
        self.draw(None)
    }

    /// Shows a line below the text until the next one.
    pub(crate) fn note(&mut self, note: &str) -> Result<(), Error> {
        self.draw(Some(note))
    }

    fn draw(&self, note: Option<&str>) -> Result<(), Error> {
        let size = Term::stdout().size_checked().unwrap_or(SIZE);
        write(&picture(&self.text, note, size))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal has gone, there is nothing to restore.
        let _ = write(&format!("{LEAVE}{}\n", self.text));
    }
}

/// What draws a text on a terminal of this size. Nothing is cleared before it is written anew, so nothing flickers.
fn picture(text: &str, note: Option<&str>, (rows, columns): (u16, u16)) -> String {
    // Behind a letter in the last column, LINE_END would clear that letter.
    let (rows, width) = (usize::from(rows).max(2), usize::from(columns).max(2) - 1);
    let mut lines: Vec<&str> = text.lines().collect();
    let more = format!("… {} more lines", (lines.len() + 2).saturating_sub(rows));
    // The last row stays empty for the note.
    if lines.len() >= rows {
        lines.truncate(rows - 2);
        lines.push(&more);
    }
    let note = note.map(printable);
    lines.extend(note.as_deref());
    let mut drawn = String::from(BEGIN);
    for (row, line) in lines.iter().enumerate() {
        if row > 0 {
            drawn.push_str("\r\n");
        }
        drawn.push_str(&truncate_str(line, width, "…"));
        drawn.push_str(LINE_END);
    }
    // The rest of the last line is cleared with what is below.
    drawn.push_str(END);
    drawn
}

fn write(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes());
    written.and_then(|()| out.flush()).map_err(Error::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fits_the_terminal_and_says_what_it_leaves_out() {
        let lines = |text: &str, note, size| {
            let drawn = picture(text, note, size);
            let inner = drawn
                .strip_prefix(BEGIN)
                .unwrap()
                .strip_suffix(END)
                .unwrap();
            let lines = inner.split("\r\n").map(|line| line.replace(LINE_END, ""));
            lines.collect::<Vec<_>>()
        };
        // The last column stays empty.
        let cut = lines("a\nbcd\nefgh\nijklm", None, (6, 4));
        assert_eq!(cut, ["a", "bcd", "ef…", "ij…"]);
        assert_eq!(
            lines("a", Some("b\u{1b}[2J\nc"), (5, 80)),
            ["a", "b\\u{1b}[2J\\nc"]
        );
        assert_eq!(lines("1\n2\n3", Some("n"), (4, 80)), ["1", "2", "3", "n"]);
        let six = "1\n2\n3\n4\n5\n6";
        assert_eq!(
            lines(six, Some("n"), (5, 80)),
            ["1", "2", "3", "… 3 more lines", "n"]
        );
    }
}
