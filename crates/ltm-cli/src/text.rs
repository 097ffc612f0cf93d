//! Text for a terminal.

use std::fmt::Display;

/// A number and a noun: `1 snapshot`, `2 snapshots`, `3 entries`.
pub(crate) fn count_of(number: impl Display, one: &str) -> String {
    let number = number.to_string();
    match one.strip_suffix('y') {
        _ if number == "1" => format!("1 {one}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {one}s"),
    }
}

/// Text from another program, safe for a terminal: control characters are escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
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
    }
}
