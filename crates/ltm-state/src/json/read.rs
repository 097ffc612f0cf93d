//! Reads JSON that may be nested deeper than serde_json's default limit.

use serde::Deserialize;

use super::text::{TextError, compact};

/// The most levels that [`read`] accepts. A state has at most 512 levels; documents and messages add a few
/// around it. Each level uses space on the stack.
pub const MAX_DEPTH: usize = 600;

/// Why a text cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The text is nested too deeply, or a string in it is not Unicode.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The text is not valid JSON, or does not have the expected type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Reads JSON of at most [`MAX_DEPTH`] levels.
///
/// # Errors
///
/// [`JsonError`] if the text is nested too deeply, is not Unicode, is not valid JSON, or is not a `T`.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, JsonError> {
    // This call only checks: the original text is read below, so that a `T` can borrow from it.
    compact(text, MAX_DEPTH)?;
    Ok(read_checked(text)?)
}

/// Reads JSON of any depth. The caller must have checked the depth, for example with [`compact`].
///
/// # Errors
///
/// The parser's error if the text is not valid JSON or not a `T`.
pub fn read_checked<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.disable_recursion_limit();
    let value = T::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_text_of_the_maximum_depth_is_read_and_a_deeper_one_is_rejected_unparsed() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read::<Value>(&nested(MAX_DEPTH)).is_ok());
        for levels in [MAX_DEPTH + 1, 1_000_000] {
            let error = read::<Value>(&nested(levels)).unwrap_err();
            let too_deep = JsonError::Text(TextError::TooDeep { max: MAX_DEPTH });
            assert_eq!(error.to_string(), too_deep.to_string());
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"a":0.10,"b":9007199254740993,"c":123456789012345678901234567890}"#;
        let value: Value = read(text).unwrap();
        assert_eq!(value.to_string(), text);
    }
}
