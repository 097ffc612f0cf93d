//! Times as snapshots, documents and rows write them.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Why a text is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time; use RFC 3339, such as 2026-01-31T12:00:00Z, or the same without an offset for UTC"
)]
pub struct TimeError(String);

/// The current time: RFC 3339, UTC, six digits of a second.
pub fn now() -> String {
    spelled(Timestamp::now())
}

/// A time in the spelling of [`now`], from RFC 3339 or the same without an offset, which means UTC.
///
/// # Errors
///
/// [`TimeError`] for any other text.
pub fn canonical_time(text: &str) -> Result<String, TimeError> {
    parse_time(text).map(spelled)
}

/// Reads a time in RFC 3339, or one without an offset, which is taken as UTC.
///
/// # Errors
///
/// [`TimeError`] for any other text.
pub fn parse_time(text: &str) -> Result<Timestamp, TimeError> {
    let refused = || TimeError(text.chars().take(60).collect());
    // Not in RFC 3339: a year with a sign, and the name of a time zone, which would be ignored without an offset.
    if text.starts_with(['-', '+']) || text.contains('[') {
        return Err(refused());
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let local: DateTime = text.parse().map_err(|_| refused())?;
    TimeZone::UTC.to_timestamp(local).map_err(|_| refused())
}

fn spelled(time: Timestamp) -> String {
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_moment_becomes_one() {
        for text in [
            "2026-11-23T18:02:01.481297Z",
            "2026-11-23T18:02:01.481297+00:00",
            "2026-11-23 18:02:01.481297+00:00",
            "2026-11-23 18:02:01.481297",
            "2026-11-23T19:02:01.481297+01:00",
        ] {
            assert_eq!(canonical_time(text).unwrap(), "2026-11-23T18:02:01.481297Z");
        }
        assert_eq!(
            canonical_time("2026-11-23 18:02:01").unwrap(),
            "2026-11-23T18:02:01.000000Z"
        );
        let now = now();
        assert_eq!(canonical_time(&now).unwrap(), now);
        for text in [
            "",
            "yesterday",
            "1700000000",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00[America/New_York]",
            "2026-01-01T00:00:00Z[America/New_York]",
            "2026-01-01T00:00:00[u-ca=hebrew]",
            "-000001-01-01T00:00:00Z",
            "-000001-01-01T00:00:00",
            "+002026-01-01T00:00:00Z",
        ] {
            assert!(canonical_time(text).is_err(), "{text}");
        }
    }
}
