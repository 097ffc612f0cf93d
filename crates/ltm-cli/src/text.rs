//! Text for a terminal.

use std::{
    borrow::Cow,
    fmt::{Display, Write},
};

use serde::Deserialize;
use serde_json::value::RawValue;

/// A number and a noun: `1 snapshot`, `2 snapshots`, `3 entries`.
pub(crate) fn count_of(number: impl Display, one: &str) -> String {
    let number = number.to_string();
    match one.strip_suffix('y') {
        _ if number == "1" => format!("1 {one}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {one}s"),
    }
}

/// A time without its fraction of a second: `2026-11-24T02:45:14.123456Z` becomes `2026-11-24T02:45:14Z`.
pub(crate) fn to_the_second(time: &str) -> Cow<'_, str> {
    match time.split_once('.') {
        Some((second, _)) => format!("{second}Z").into(),
        None => time.into(),
    }
}

/// The name of what a step executed: the item's `label`, or else the last word of its `fqn`, or the item itself if it is a
/// text (`docs/formats.md`).
pub(crate) fn item_name(item: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Item {
        Text(String),
        Label { label: String },
        Class { fqn: String },
    }
    match serde_json::from_str(item.get()).ok()? {
        Item::Text(name) | Item::Label { label: name } => Some(name),
        Item::Class { fqn } => fqn.rsplit('.').next().map(Into::into),
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
    fn a_step_has_the_name_of_its_item() {
        let name = |json: &str| item_name(&RawValue::from_string(json.into()).unwrap());
        assert_eq!(
            name(r#"{"label": "a", "fqn": "b.c"}"#).as_deref(),
            Some("a")
        );
        assert_eq!(
            name(r#"{"fqn": "b.c", "payload": {}}"#).as_deref(),
            Some("c")
        );
        assert_eq!(name(r#""plan""#).as_deref(), Some("plan"));
        for nameless in ["null", "{}", r#"{"label": 7}"#, "[1]"] {
            assert_eq!(name(nameless), None, "{nameless}");
        }
    }

    #[test]
    fn a_time_is_shown_to_the_second() {
        assert_eq!(
            to_the_second("2026-11-24T02:45:14.123456Z"),
            "2026-11-24T02:45:14Z"
        );
        assert_eq!(
            to_the_second("2026-11-24T02:45:14Z"),
            "2026-11-24T02:45:14Z"
        );
    }

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
