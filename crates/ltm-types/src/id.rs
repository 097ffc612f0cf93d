//! Ids of LTMs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

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

impl<'de> Deserialize<'de> for LtmId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(deserializer)?).map_err(D::Error::custom)
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
