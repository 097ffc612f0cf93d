//! Compares JSON with a format.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor},
};
use serde_path_to_error::Track;

use super::{Format, Members};

/// Under this key, the parser hands out a number, whose digits it keeps.
const NUMBER: &str = "$serde_json::private::Number";

/// Why a value does not have its format.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct FormatError {
    /// The path of the wrong member: `structure.transitions[1].to`.
    pub(crate) path: String,
    /// What is wrong with it, and what would be right.
    detail: String,
}

impl Format {
    /// Compares a field with the format. `text` is JSON.
    pub(crate) fn check(&'static self, field: &str, text: &str) -> Result<(), FormatError> {
        let mut json = serde_json::Deserializer::from_str(text);
        if Check(self).deserialize(&mut json).is_ok() {
            return Ok(());
        }
        // Only a wrong value pays for tracking where it is.
        let mut track = Track::new();
        let mut json = serde_json::Deserializer::from_str(text);
        let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
        match Check(self).deserialize(tracked) {
            Ok(()) => Ok(()),
            Err(error) => Err(FormatError::new(field, &track.path().to_string(), &error)),
        }
    }
}

impl FormatError {
    fn new(field: &str, below: &str, error: &serde_json::Error) -> Self {
        let mut path = match below {
            "." => field.to_owned(),
            below if below.starts_with('[') => format!("{field}{below}"),
            below => format!("{field}.{below}"),
        };
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        let missing = said
            .strip_prefix("missing field `")
            .and_then(|name| name.strip_suffix('`'));
        let wrong = said
            .strip_prefix("invalid type: ")
            .and_then(|it| it.rsplit_once(", expected "));
        let detail = match (missing, wrong) {
            (Some(name), _) => {
                path = format!("{path}.{name}");
                format!("`{path}` is missing; send a text (docs/formats.md)")
            }
            (None, Some((found, right))) => {
                format!("`{path}` must be {right}, not {found} (docs/formats.md)")
            }
            (None, None) => format!("`{path}`: {said}"),
        };
        Self { path, detail }
    }
}

/// Compares one value.
struct Check(&'static Format);

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            Format::Any => deserializer.deserialize_ignored_any(self),
            Format::Text => deserializer.deserialize_str(self),
            Format::Bool => deserializer.deserialize_bool(self),
            Format::List(_) => deserializer.deserialize_seq(self),
            Format::Object | Format::Each(_) | Format::Members(_) => {
                deserializer.deserialize_map(self)
            }
            Format::Params | Format::Loose(_) => deserializer.deserialize_any(self),
        }
    }
}

impl Check {
    /// Accepts a value that is none of the expected ones, if the format takes any.
    fn other<E: serde::de::Error>(self, found: Unexpected<'_>) -> Result<(), E> {
        match self.0 {
            Format::Any | Format::Loose(_) => Ok(()),
            _ => Err(E::invalid_type(found, &self)),
        }
    }

    /// The format of a member.
    fn member(&self, name: &str) -> Option<&'static Format> {
        match self.0 {
            Format::Each(format) => Some(format),
            Format::Members(Members { known, .. }) | Format::Loose(Members { known, .. }) => {
                let member = known.iter().find(|(known, _)| *known == name);
                member.map(|(_, format)| *format)
            }
            _ => None,
        }
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Format::Text => "a text",
            Format::Bool => "true or false",
            Format::List(_) => "an array",
            Format::Params => "an array, an object, a boolean or null",
            Format::Object | Format::Each(_) | Format::Members(_) => "an object",
            Format::Any | Format::Loose(_) => "a value",
        })
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self.0 {
            Format::Text => Ok(()),
            _ => self.other(Unexpected::Str(text)),
        }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        match self.0 {
            Format::Bool | Format::Params => Ok(()),
            _ => self.other(Unexpected::Bool(value)),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.other(Unexpected::Unsigned(number))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.other(Unexpected::Signed(number))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.other(Unexpected::Float(number))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        match self.0 {
            Format::Params => Ok(()),
            _ => self.other(Unexpected::Other("null")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let format = match self.0 {
            Format::List(format) => format,
            _ => &Format::Any,
        };
        while items.next_element_seed(Check(format))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let required = match self.0 {
            Format::Members(members) => members.required,
            _ => &[],
        };
        let mut found = 0_u32;
        while let Some(name) = members.next_key::<String>()? {
            if name == NUMBER {
                members.next_value::<IgnoredAny>()?;
                return self.other(Unexpected::Other("a number"));
            }
            let place = required.iter().position(|required| *required == name);
            found |= place.map_or(0, |place| 1 << place);
            let format = self.member(&name).unwrap_or(&Format::Any);
            members.next_value_seed(Check(format))?;
        }
        let mut missing = required.iter().enumerate();
        match missing.find(|(place, _)| found & (1 << place) == 0) {
            Some((_, name)) => Err(A::Error::missing_field(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{ITEM, QUEUE, RETRIES, STRUCTURE};

    fn fault(format: &'static Format, text: &str) -> String {
        let error = format.check("x", text).unwrap_err();
        assert!(
            error.detail.starts_with(&format!("`{}` ", error.path)),
            "{error}"
        );
        error.to_string()
    }

    #[test]
    fn a_wrong_member_is_named_with_what_would_be_right() {
        for (format, text, detail) in [
            (&STRUCTURE, "[]", "`x` must be an object, not sequence"),
            (
                &STRUCTURE,
                r#"{"name": 7}"#,
                "`x.name` must be a text, not integer `7`",
            ),
            (
                &STRUCTURE,
                r#"{"name": null}"#,
                "`x.name` must be a text, not null",
            ),
            (
                &STRUCTURE,
                r#"{"ltms": [{}, {"init": ["a", {}]}]}"#,
                "`x.ltms[1].init[1]` must be a text, not map",
            ),
            (
                &STRUCTURE,
                r#"{"transitions": [{"from": "a", "label": "b"}]}"#,
                "`x.transitions[0].to` is missing",
            ),
            (
                &ITEM,
                r#"{"params": 1.50}"#,
                "`x.params` must be an array, an object, a boolean or null, not a number",
            ),
            (
                &ITEM,
                r#"{"playground": "no"}"#,
                "`x.playground` must be true or false, not string \"no\"",
            ),
            (
                &QUEUE,
                r#"[{}, {"label": false}]"#,
                "`x[1].label` must be a text, not boolean `false`",
            ),
            (
                &RETRIES,
                r#"["failed"]"#,
                "`x[0]` must be an object, not string \"failed\"",
            ),
        ] {
            let said = fault(format, text);
            assert!(said.starts_with(detail), "{said}");
        }
    }

    #[test]
    fn anything_else_is_allowed() {
        for (format, text) in [
            (
                &STRUCTURE,
                r#"{"name": "a", "colour": [1], "ltms": [{"n": {}}]}"#,
            ),
            (&ITEM, "7.0"),
            (&ITEM, "0"),
            (&ITEM, "-7"),
            (&ITEM, "true"),
            (&ITEM, "[]"),
            (&ITEM, "123456789012345678901234567890"),
            (&QUEUE, "[7, null, {\"payload\": -1}]"),
            (&ITEM, "\"plan\""),
            (&ITEM, "null"),
            (&ITEM, "[1, {\"label\": 7}]"),
            (
                &ITEM,
                r#"{"fqn": "a", "params": null, "payload": 1e99, "more": {"fqn": 1}}"#,
            ),
            (&RETRIES, r#"[{}, {"details": {"line": 7}}]"#),
        ] {
            assert!(format.check("x", text).is_ok(), "{text}");
        }
    }
}
