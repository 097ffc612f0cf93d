//! Fields of a request that go to the log unchanged, except that white space is removed.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    number,
    position::path_at,
    text::{TextError, compact_new},
};

/// The most digits of a number that an error shows.
const SHOWN_DIGITS: usize = 20;

/// The JSON type that a field must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any value.
    Any,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// Why a field is rejected.
#[derive(Debug, thiserror::Error)]
#[error("`{field}` {kind}")]
pub struct FieldError {
    /// The field's name.
    pub field: &'static str,
    /// What is wrong with it.
    #[source]
    pub kind: FieldErrorKind,
}

/// What is wrong with a field.
#[derive(Debug, thiserror::Error)]
pub enum FieldErrorKind {
    /// It has another type.
    #[error("must be {0}")]
    Shape(&'static str),
    /// It is nested too deeply.
    #[error("is {0}")]
    TooDeep(TextError),
    /// A string in it is not Unicode.
    #[error("contains {0}")]
    NotUnicode(TextError),
    /// A member in it has a reserved name.
    #[error("contains {0}")]
    Reserved(TextError),
    /// It has a member whose path clients in JavaScript reject.
    #[error(
        "has a member `__proto__`, and clients in JavaScript reject its path; rename it, or put it into an object"
    )]
    Prototype,
    /// Its text is longer than allowed.
    #[error("is {bytes} bytes long, and {max} are allowed")]
    TooLarge {
        /// The length of the field in bytes.
        bytes: usize,
        /// The allowed length in bytes.
        max: usize,
    },
    /// It would take more memory than allowed.
    #[error("takes about {bytes} bytes of memory, and {max} are allowed")]
    TooMuchMemory {
        /// The memory of the field in bytes, about.
        bytes: usize,
        /// The allowed memory in bytes.
        max: usize,
    },
    /// It is not valid JSON.
    #[error("is not valid JSON: {0}")]
    Json(serde_json::Error),
    /// A number in it is too large for a double.
    #[error(
        "contains {number} at `{path}`, which JavaScript and Python read as Infinity; send a number below 1.8e308, or a string"
    )]
    Infinite {
        /// The path to the number from the field.
        path: String,
        /// The begin of the number.
        number: String,
    },
}

/// The text of a field for the log: checked, and without white space. `absent` is the text for a field that
/// is missing or null.
///
/// # Errors
///
/// [`FieldError`] if the field does not have this shape, is nested deeper than `max_depth`, or is not Unicode.
pub fn passthrough(
    field: &'static str,
    value: Option<&RawValue>,
    absent: &str,
    shape: Shape,
    max_depth: usize,
) -> Result<Box<RawValue>, FieldError> {
    let error = |kind| FieldError { field, kind };
    let given = value.map_or(absent, RawValue::get);
    match shape {
        Shape::Object if !given.starts_with('{') && given != absent => {
            return Err(error(FieldErrorKind::Shape("an object")));
        }
        Shape::Array if !given.starts_with('[') => {
            return Err(error(FieldErrorKind::Shape("an array")));
        }
        _ => {}
    }
    let text = compact_new(given, max_depth).map_err(|e| {
        error(match e {
            TextError::TooDeep { .. } => FieldErrorKind::TooDeep(e),
            TextError::LoneSurrogate(..) => FieldErrorKind::NotUnicode(e),
            TextError::Reserved(..) => FieldErrorKind::Reserved(e),
        })
    })?;
    if let Some((at, number)) = number::too_large(given) {
        return Err(error(FieldErrorKind::Infinite {
            path: path_at(field, given, at),
            number: number.chars().take(SHOWN_DIGITS).collect(),
        }));
    }
    match (text, value) {
        // The parser has already checked this text.
        (Cow::Borrowed(_), Some(value)) => Ok(value.to_owned()),
        (text, _) => {
            RawValue::from_string(text.into_owned()).map_err(|e| error(FieldErrorKind::Json(e)))
        }
    }
}
