//! How fast a recorded history is played.

use std::str::FromStr;

/// How fast a history is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// A multiple of the recorded speed.
    Times(f64),
    /// Without waiting.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.strip_suffix('x').unwrap_or(text).parse() {
            Ok(times) if times > 0.0 && f64::is_finite(times) => Ok(Self::Times(times)),
            _ => Err("give a number above 0, such as 1, 10x or 0.5, or `max`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_factor_or_max() {
        for (text, speed) in [
            ("1", Speed::Times(1.0)),
            ("10x", Speed::Times(10.0)),
            ("0.2", Speed::Times(0.2)),
            ("max", Speed::Max),
        ] {
            assert_eq!(text.parse(), Ok(speed));
        }
        for text in ["", "x", "0", "-1", "inf", "nan", "fast"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}
