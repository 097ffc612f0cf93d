//! JSON text for the log: compacted, and checked for faults that a JSON parser accepts.

use std::{borrow::Cow, ops::Range};

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
    /// A member has a name that the JSON parser of the services takes for something else.
    #[error("a member named `{0}` at byte {1}, a name that ltm-live uses itself; rename it")]
    Reserved(&'static str, usize),
}

/// The names of members that `serde_json` uses for numbers and for JSON text. It reads an object with such a member
/// as what the member holds.
const RESERVED: [&str; 2] = [
    "$serde_json::private::Number",
    "$serde_json::private::RawValue",
];

/// The same JSON without white space between tokens.
///
/// `text` must be valid JSON. Every token keeps its spelling: numbers keep their digits, and strings keep
/// their escapes. A text without such white space is returned as it is.
///
/// # Errors
///
/// [`TextError`] if the text is nested deeper than `max_depth`, or a string contains a lone surrogate.
pub fn compact(text: &str, max_depth: usize) -> Result<Cow<'_, str>, TextError> {
    compacted(text, max_depth, |_| Ok(()))
}

/// As [`compact`], for a text that is new to the log. Texts that are in the log already may have reserved names.
///
/// # Errors
///
/// As [`compact`], and if a member has a name that the services' JSON parser reserves.
pub(crate) fn compact_new(text: &str, max_depth: usize) -> Result<Cow<'_, str>, TextError> {
    compacted(text, max_depth, |string| check_name(text, string))
}

/// Rejects a string that is the reserved name of a member.
fn check_name(text: &str, string: Range<usize>) -> Result<(), TextError> {
    let spelled = text.get(string.clone()).unwrap_or_default();
    // No other string can be such a name, and hardly any passes.
    if !spelled.starts_with("\"$") && !spelled.starts_with("\"\\u0024") {
        return Ok(());
    }
    let after = text.get(string.end..).unwrap_or_default();
    if !after.trim_ascii_start().starts_with(':') {
        return Ok(());
    }
    let name: String = serde_json::from_str(spelled).unwrap_or_default();
    match RESERVED.into_iter().find(|reserved| *reserved == name) {
        Some(reserved) => Err(TextError::Reserved(reserved, string.start)),
        None => Ok(()),
    }
}

fn compacted(
    text: &str,
    max_depth: usize,
    check: impl Fn(Range<usize>) -> Result<(), TextError>,
) -> Result<Cow<'_, str>, TextError> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut at, mut depth, mut copied) = (0, 0usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let start = at;
                at = string_end(bytes, at)?;
                check(start..at)?;
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
    fn a_member_with_a_name_of_the_parser_is_rejected_however_it_is_spelled() {
        for text in [
            r#"{"$serde_json::private::Number":"5"}"#,
            r#"[{"a":1,"$serde_json::private::RawValue" : "5"}]"#,
            r#"{"\u0024serde_json::private::Number":"5"}"#,
            r#"{"$serde_json::priv\u0061te::Number":"5"}"#,
        ] {
            let error = compact_new(text, 9).unwrap_err();
            assert!(matches!(error, TextError::Reserved(..)), "{text}");
            assert!(
                error.to_string().contains("$serde_json::private::"),
                "{error}"
            );
            assert!(compact(text, 9).is_ok(), "{text}");
        }
        for text in [
            r#"["$serde_json::private::Number"]"#,
            r#"{"$serde_json::private::Numbers":"5"}"#,
            r#"{"$":"$serde_json::private::Number"}"#,
        ] {
            assert!(compact_new(text, 9).is_ok(), "{text}");
        }
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
