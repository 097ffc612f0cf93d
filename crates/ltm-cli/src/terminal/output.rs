//! Standard output and standard error.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use console::{Term, truncate_str};

use crate::{
    error::{Error, said},
    text::{printable, printable_json, printable_lines, to_the_second},
};

/// Standard output, and notes on standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
    terminal: bool,
}

/// The colour of a word.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Accent {
    /// Less important.
    Faint,
    /// A heading or a kind.
    Kind,
    /// A problem or a warning.
    Alert,
}

impl Output {
    /// The output of a command; `json` if it is for programs.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            colour: !json && has_colour(&io::stdout()),
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Output for people, without colours.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self {
            json: false,
            colour: false,
            terminal: false,
        }
    }

    /// Whether the output is for programs.
    pub(crate) fn json(self) -> bool {
        self.json
    }

    /// Prints JSON from another program. On a terminal, the letters that steer it are escaped.
    pub(crate) fn json_line(self, json: &str) -> Result<(), Error> {
        if self.terminal {
            return self.line(&printable_json(json));
        }
        self.line(json)
    }

    /// Prints a line of the command itself. What it holds of other programs is printable.
    pub(crate) fn line(self, text: &str) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.flush())
            .map_err(Error::Output)
    }

    /// Prints a line, on a terminal as far as it fits.
    pub(crate) fn cut_line(self, text: &str) -> Result<(), Error> {
        match Term::stdout().size_checked().filter(|_| self.terminal) {
            Some((_, columns)) => self.line(&truncate_str(text, columns.into(), "…")),
            None => self.line(text),
        }
    }

    /// A time: to the second on a terminal, otherwise as it is.
    pub(crate) fn time(self, time: &str) -> String {
        match self.terminal {
            true => printable(&to_the_second(time)),
            false => printable(time),
        }
    }

    /// Whether a text can take the place of the one before: on a terminal, for people.
    pub(crate) fn redraws(self) -> bool {
        self.terminal && !self.json
    }

    /// Prints a line for people on standard error.
    pub(crate) fn note(self, text: &str) {
        // A note that cannot be written is lost. One write, so that lines of other processes stay out of it.
        let _ = io::stderr().write_all(format!("{}\n", printable_lines(text)).as_bytes());
    }

    /// Notes that a call failed and is repeated.
    pub(crate) fn note_retry(self, error: &ltm_client::Error) {
        self.note(&retry_note(error));
    }

    /// Notes the first retry of a call. `around` runs the note, for example while it hides a progress bar.
    pub(crate) fn notes_retry(
        self,
        around: impl Fn(&dyn Fn()) + Send + Sync,
    ) -> impl Fn(&ltm_client::Error, Duration) + Send + Sync {
        let noted = AtomicBool::new(false);
        move |error, _| {
            if !noted.swap(true, Ordering::Relaxed) {
                around(&|| self.note_retry(error));
            }
        }
    }

    /// A word with a colour, if standard output shows colours.
    pub(crate) fn accent(self, accent: Accent, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        paint(accent, text)
    }

    /// A cell of a table with a colour, if standard output shows colours. Its codes do not count as its width.
    pub(crate) fn accent_cell(self, accent: Accent, text: &str) -> Cell {
        let cell = Cell::new(text);
        match accent {
            _ if !self.colour => cell,
            Accent::Faint => cell.add_attribute(Attribute::Dim),
            Accent::Kind => cell.fg(Color::Cyan),
            Accent::Alert => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        }
    }

    /// An empty table.
    pub(crate) fn table(self, header: &[&str]) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            table.force_no_tty();
        }
        table.set_header(header.iter().map(|title| {
            let cell = Cell::new(title);
            if self.colour {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        table
    }

    /// A table as text. On a terminal each row is one line: `texts` are the columns that are cut if they do not fit.
    pub(crate) fn rows(self, mut table: Table, texts: &[usize]) -> String {
        if self.terminal {
            one_line_each(&mut table, texts);
        }
        table.trim_fmt()
    }
}

/// Cuts the columns `texts` of a table where they do not fit, and gives the other columns their whole width.
fn one_line_each(table: &mut Table, texts: &[usize]) {
    // A cell is cut at its edge. With a space as delimiter, it would be cut after a word.
    table.set_delimiter('\0').set_truncation_indicator("…");
    for (index, column) in table.column_iter_mut().enumerate() {
        if !texts.contains(&index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.row_iter_mut().for_each(|row| {
        row.max_height(1);
    });
}

/// What to say of a call that failed and is repeated.
pub(crate) fn retry_note(error: &ltm_client::Error) -> String {
    format!("{}; trying again ...", said(error))
}

/// Prints why the command failed.
pub(crate) fn report(error: &Error) {
    let word = if has_colour(&io::stderr()) {
        paint(Accent::Alert, "error:")
    } else {
        "error:".into()
    };
    // If standard error does not work, there is no other way to report it.
    let error = printable_lines(&error.to_string());
    let _ = writeln!(io::stderr().lock(), "{word} {error}");
}

fn paint(accent: Accent, text: &str) -> String {
    let style = match accent {
        Accent::Faint => Style::new().dimmed(),
        Accent::Kind => AnsiColor::Cyan.on_default(),
        Accent::Alert => AnsiColor::Red.on_default().bold(),
    };
    format!("{style}{text}{style:#}")
}

fn has_colour(stream: &impl IsTerminal) -> bool {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_a_terminal_is_plain_columns() {
        let mut table = Output::plain().table(&["id", "name"]);
        table.add_row(["1", "agent"]);
        assert_eq!(table.trim_fmt(), " id  name\n 1   agent");
    }

    #[test]
    fn a_row_on_a_narrow_terminal_is_one_line_that_cuts_only_texts() {
        let mut table = Output::plain().table(&["id", "name", "status"]);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(24);
        table.add_row(["1234567", "an agent with a long name", "active"]);
        table.add_row(["2", "short", "error"]);
        one_line_each(&mut table, &[1]);
        assert_eq!(
            table.trim_fmt(),
            " id       name   status\n 1234567  an a…  active\n 2        short  error"
        );
    }
}
