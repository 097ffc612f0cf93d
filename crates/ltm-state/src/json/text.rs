//! JSON text for the log: compacted, and checked for faults that a JSON parser accepts.

use std::borrow::Cow;

/// Why a valid JSON text is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Arrays and objects are nested too deeply.
    #[error("nested deeper than {max} levels; make it flatter")]
    TooDeep {
        /// The allowed number of levels.
        max: usize,
    },
    /// A `\u` escape is one half of a surrogate pair. Such a text is not Unicode, and many parsers reject it.
    #[error(
        "a lone surrogate (\\u{0:04x}) at byte {1}; write the character itself or the whole pair"
    )]
    LoneSurrogate(u16, usize),
}

/// The same JSON without white space between tokens.
///
/// `text` must be valid JSON. Every token keeps its spelling: numbers keep their digits, and strings keep
/// their escapes. A text without such white space is returned as it is.
///
/// # Errors
///
/// [`TextError`] if the text is nested deeper than `max_depth`, or a string contains a lone surrogate.
pub fn compact(text: &str, max_depth: usize) -> Result<Cow<'_, str>, TextError> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut at, mut depth, mut copied) = (0, 0usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > max_depth {
                    return Err(TextError::TooDeep { max: max_depth });
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\n' | b'\r' => {
                if out.is_empty() {
                    out.reserve(text.len());
                }
                out.push_str(&text[copied..at]);
                copied = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Ok(text.into());
    }
    out.push_str(&text[copied..]);
    Ok(out.into())
}

/// The byte after the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> Result<usize, TextError> {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let Some(unit) = unit_at(bytes, at) else {
            at += 2;
            continue;
        };
        at += match unit {
            0xD800..=0xDBFF if matches!(unit_at(bytes, at + 6), Some(0xDC00..=0xDFFF)) => 12,
            0xD800..=0xDFFF => return Err(TextError::LoneSurrogate(unit, at)),
            _ => 6,
        };
    }
    Ok(at + 1)
}

/// The UTF-16 unit that is escaped at `at`: `\u` and four hexadecimal digits.
fn unit_at(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn compacting_removes_only_white_space(value in values()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty, 10).unwrap(), value.to_string());
        }
    }

    #[test]
    fn tokens_keep_their_spelling() {
        let text =
            r#"{"a": [1.00, 1E5, -0.0, 9007199254740993],  "b\u00e9\\": "x \" \ud83d\ude00 y"}"#;
        assert_eq!(
            compact(text, 2).unwrap(),
            r#"{"a":[1.00,1E5,-0.0,9007199254740993],"b\u00e9\\":"x \" \ud83d\ude00 y"}"#
        );
    }

    #[test]
    fn depth_is_counted_outside_strings() {
        assert_eq!(compact("[[[]]]", 3), Ok("[[[]]]".into()));
        assert_eq!(compact("[[[]]]", 2), Err(TextError::TooDeep { max: 2 }));
        assert_eq!(compact(r#"["[[[[{"]"#, 1), Ok(r#"["[[[[{"]"#.into()));
        assert_eq!(compact("[[],[],[]]", 2), Ok("[[],[],[]]".into()));
    }

    #[test]
    fn half_a_surrogate_pair_is_rejected() {
        for lone in [
            r#""\ud800""#,
            r#""\ud83dx""#,
            r#""\ude00""#,
            r#""\ud800\ud800""#,
        ] {
            assert!(
                matches!(compact(lone, 9), Err(TextError::LoneSurrogate(..))),
                "{lone}"
            );
        }
        let escaped = json!(r"\ud800").to_string();
        assert_eq!(compact(&escaped, 9).as_deref(), Ok(&*escaped));
    }
}
