//! JSON in an argument. The text is passed on unchanged, so that numbers keep their digits.

use std::{fs, str::FromStr};

use serde::Serialize;
use serde_json::value::RawValue;

/// An argument: JSON, or the name of a file that holds JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct JsonArgument(Box<RawValue>);

impl FromStr for JsonArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = match serde_json::from_str(text) {
            Ok(json) => return Ok(Self(json)),
            Err(error) => error,
        };
        if text.trim_start().starts_with(['{', '[', '"']) {
            return Err(format!("not JSON: {wrong}"));
        }
        let content = fs::read_to_string(text)
            .map_err(|e| format!("neither JSON nor a file that can be read: {e}"))?;
        serde_json::from_str(&content)
            .map(Self)
            .map_err(|e| format!("the file is not JSON: {e}"))
    }
}

impl JsonArgument {
    /// The JSON.
    pub(crate) fn raw(&self) -> &RawValue {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_argument_is_json_or_a_file_and_keeps_its_digits() {
        let digits = r#"{"n": 0.10, "big": 123456789012345678901234567890}"#;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{digits}").unwrap();
        for text in [digits, file.path().to_str().unwrap()] {
            let argument: JsonArgument = text.parse().unwrap();
            assert_eq!(argument.0.get(), digits);
        }
        assert_eq!("7".parse::<JsonArgument>().unwrap().0.get(), "7");
    }

    #[test]
    fn what_is_neither_says_so() {
        for (text, said) in [
            ("{oops", "not JSON: "),
            ("no/such/file", "neither JSON nor a file"),
        ] {
            let error = text.parse::<JsonArgument>().unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
