//! JSON as the services write it: numbers keep their digits, and it may be nested deep.

use std::fmt;

use serde::Deserialize;

/// The most levels that are read. A state has at most 512, and stands in a document or a message; each level takes
/// room on the stack.
pub(crate) const DEEPEST: usize = 600;

/// Why a text cannot be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is nested too deep.
    TooDeep,
    /// It is something else.
    Json(serde_json::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => write!(f, "it is nested deeper than {DEEPEST} levels"),
            Self::Json(error) => error.fmt(f),
        }
    }
}

/// Reads JSON of at most [`DEEPEST`] levels.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    if depth(text) > DEEPEST {
        return Err(Fault::TooDeep);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.disable_recursion_limit();
    let value = T::deserialize(&mut deserializer).map_err(Fault::Json)?;
    deserializer.end().map_err(Fault::Json)?;
    Ok(value)
}

/// How many levels of arrays and objects a text of JSON has.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn levels_are_counted_outside_strings() {
        for (text, levels) in [
            ("1", 0),
            ("[{}]", 2),
            (r#"["[[[", "\"[[", {"\\": []}]"#, 3),
            ("[[],[]]", 2),
        ] {
            assert_eq!(depth(text), levels, "{text}");
        }
    }

    #[test]
    fn what_the_services_allow_is_read_and_more_than_that_is_refused_before_it_is() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read::<Value>(&nested(DEEPEST)).is_ok());
        for levels in [DEEPEST + 1, 1_000_000] {
            let refused = read::<Value>(&nested(levels)).unwrap_err();
            assert!(matches!(refused, Fault::TooDeep), "{refused}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"a":0.10,"b":9007199254740993,"c":123456789012345678901234567890}"#;
        let value: Value = read(text).unwrap();
        assert_eq!(value.to_string(), text);
    }
}
