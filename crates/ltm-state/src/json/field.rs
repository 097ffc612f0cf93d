//! A field of a request that is passed through to the log: checked, and without white space.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::text::{TextError, compact};

/// What a field of JSON must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any value.
    Any,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// Why a field cannot be passed through.
#[derive(Debug, thiserror::Error)]
#[error("`{field}` {kind}")]
pub struct FieldError {
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it.
    #[source]
    pub kind: FieldErrorKind,
}

/// What is wrong with a field.
#[derive(Debug, thiserror::Error)]
pub enum FieldErrorKind {
    /// It is of another type.
    #[error("must be {0}")]
    Shape(&'static str),
    /// It is nested too deep.
    #[error("is {0}")]
    TooDeep(TextError),
    /// A string in it is not Unicode.
    #[error("holds {0}")]
    NotUnicode(TextError),
    /// Its text is longer than allowed.
    #[error("is {bytes} bytes, and {max} are allowed")]
    TooLarge {
        /// Bytes of the field.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// It is not JSON.
    #[error("is not JSON: {0}")]
    Json(serde_json::Error),
}

/// The text of a field that the log carries as it is: checked, and without white space. `absent` stands
/// for a field that was left out or is null.
///
/// # Errors
///
/// [`FieldError`] if the field is not of this shape, deeper than `max_depth`, or not Unicode.
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
    let text = compact(given, max_depth).map_err(|e| {
        error(match e {
            TextError::TooDeep { .. } => FieldErrorKind::TooDeep(e),
            TextError::LoneSurrogate(..) => FieldErrorKind::NotUnicode(e),
        })
    })?;
    match (text, value) {
        // The parser has read this very text: it need not look at it again.
        (Cow::Borrowed(_), Some(value)) => Ok(value.to_owned()),
        (text, _) => {
            RawValue::from_string(text.into_owned()).map_err(|e| error(FieldErrorKind::Json(e)))
        }
    }
}
