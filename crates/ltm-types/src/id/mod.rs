//! Ids of LTMs, and their keys.

pub(crate) mod class;
pub(crate) mod key;
pub(crate) mod reference;

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Number;

/// The id of an LTM: an integer from 1 to 2^64-1. An id is never used twice.
///
/// Its text is the decimal number without sign, spaces or leading zeros, so an LTM has one spelling in paths, keys and
/// channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct LtmId(u64);

/// Why a text or number is not the id of an LTM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an LTM id: {0:?}; an id is a decimal number from 1 to 18446744073709551615")]
pub struct LtmIdError(String);

impl LtmId {
    /// The id `number`; 0 is not an id.
    pub fn new(number: u64) -> Result<Self, LtmIdError> {
        if number == 0 {
            return Err(LtmIdError("0".into()));
        }
        Ok(Self(number))
    }

    /// The id as a number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LtmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LtmId {
    type Err = LtmIdError;

    fn from_str(text: &str) -> Result<Self, LtmIdError> {
        let refused = || LtmIdError(text.chars().take(40).collect());
        if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused());
        }
        text.parse().map(Self).map_err(|_| refused())
    }
}

/// Reads a number, or its text: JavaScript counts exactly only up to 2^53.
impl<'de> Deserialize<'de> for LtmId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText)
    }
}

struct NumberOrText;

impl<'de> Visitor<'de> for NumberOrText {
    type Value = LtmId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an LTM id: a whole number from 1 to 18446744073709551615, or its text")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<LtmId, E> {
        LtmId::new(number).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LtmId, E> {
        text.parse().map_err(E::custom)
    }

    /// A number with all its digits, as `serde_json` hands it over.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LtmId, A::Error> {
        let number = Number::deserialize(MapAccessDeserializer::new(map))
            .map_err(|_| A::Error::invalid_type(serde::de::Unexpected::Map, &self))?;
        number.to_string().parse().map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_and_number_are_one_to_one(number in 1u64..) {
            let id = LtmId::new(number).unwrap();
            prop_assert_eq!(id.to_string().parse::<LtmId>().unwrap(), id);
        }

        #[test]
        fn any_text_is_parsed_or_refused_and_never_respelled(text in ".*") {
            if let Ok(id) = text.parse::<LtmId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn json_holds_an_id_as_a_number_or_as_its_text() {
        let read = |json: &str| serde_json::from_str::<LtmId>(json);
        for json in [
            "7",
            r#""7""#,
            "18446744073709551615",
            r#""18446744073709551615""#,
        ] {
            let id = read(json).unwrap();
            assert_eq!(id.to_string(), json.trim_matches('"'));
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::from_value::<LtmId>(value).unwrap(), id);
        }
        for json in [
            "0",
            "-1",
            "1.0",
            "1e3",
            "18446744073709551616",
            r#""07""#,
            r#"" 7""#,
            "true",
            "{}",
            r#"{"a":1}"#,
            "[7]",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn zero_signs_and_overflow_are_refused() {
        for text in [
            "",
            "0",
            "007",
            "+7",
            "-7",
            " 7",
            "7.0",
            "18446744073709551616",
            "٣",
        ] {
            assert!(text.parse::<LtmId>().is_err(), "{text:?}");
        }
    }
}
