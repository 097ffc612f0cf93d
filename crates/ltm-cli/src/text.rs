//! Text for a terminal.

use std::fmt::{Display, Write};

/// A number and a noun: `1 snapshot`, `2 snapshots`, `3 entries`.
pub(crate) fn count_of(number: impl Display, one: &str) -> String {
    let number = number.to_string();
    match one.strip_suffix('y') {
        _ if number == "1" => format!("1 {one}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {one}s"),
    }
}

/// Text from another program, safe for a terminal: letters that steer it are escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if steers(letter) {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

/// As [`printable`], for text of several lines.
pub(crate) fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join("\n")
}

/// JSON text with the same value that is safe for a terminal. JSON itself allows most letters that steer one.
pub(crate) fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            // White space between the values; in a text they are escaped.
            '\n' | '\t' => out.push(letter),
            '\r' => out.push(' '),
            // None of them is beyond four digits.
            letter if steers(letter) => {
                // Writing to a text does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out
}

/// Whether a letter steers a terminal: it is a control character (also DEL, and those of ISO 6429 beyond ASCII), or it
/// changes the direction or the lines of the text around it.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(count_of(1, "entry"), "1 entry");
        assert_eq!(count_of(0, "entry"), "0 entries");
        assert_eq!(count_of(21, "snapshot"), "21 snapshots");
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(printable("é ok"), "é ok");
        assert_eq!(
            printable("a\u{1b}[2Jb\nc\u{9b}d"),
            "a\\u{1b}[2Jb\\nc\\u{9b}d"
        );
        assert_eq!(printable("\u{7f}\u{202e}x"), "\\u{7f}\\u{202e}x");
        assert_eq!(printable_lines("a\u{1b}\nb"), "a\\u{1b}\nb");
        let json = "{\"a\u{9d}\":\n \"\u{7f}\u{2066}é\"}";
        let safe = printable_json(json);
        assert_eq!(safe, "{\"a\\u009d\":\n \"\\u007f\\u2066é\"}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&safe), read(json));
    }
}
