//! Retention: which entries of a log may be removed, and when an LTM is deleted.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::{SignedDuration, Timestamp};
use ltm_types::{Entry, Kind, Rollback};
use serde::{Deserialize, Deserializer, Serialize};

/// What the API keeps of each LTM. By default nothing is removed. An LTM can override these settings when it is created,
/// unless they are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// The number of latest entries that are kept of each log. The API removes older ones in batches, so a log holds some
    /// more. Not set: all entries are kept.
    ///
    /// Set it to bound the memory that one LTM uses in Redis.
    pub max_entries: Option<u64>,
    /// The bytes of the latest entries that are kept of each log: of their payloads together. The API removes older ones
    /// in batches, so a log holds some more. It always keeps the latest entry. Not set: entries of any size are kept.
    ///
    /// Set it to bound the memory that one LTM uses in Redis, if entries have very different sizes.
    pub max_bytes: Option<ByteSize>,
    /// The age after which an entry may be removed. Not set: entries do not age.
    ///
    /// Set it if old history has no value for you.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub max_age: Option<Duration>,
    /// The time without a write after which an LTM is deleted. Not set: LTMs stay until a caller deletes them.
    ///
    /// Set it if engines do not delete their LTMs.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub idle_ttl: Option<Duration>,
    /// Whether an LTM that is created with rules of its own can only keep less than these settings say. Then each rule of
    /// the LTM that would keep more has no effect. By default an LTM can keep more.
    ///
    /// Set it if callers who create LTMs must not decide how much of Redis they fill.
    pub enforced: bool,
}

/// The retention that an LTM was created with. A given field overrides the settings, and null turns the rule
/// off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionOverride {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    max_entries: Option<Option<u64>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    max_bytes: Option<Option<u64>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    max_age: Option<Option<Friendly>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    idle_ttl: Option<Option<Friendly>>,
}

/// A duration such as `90s`, `12h` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Friendly(
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")] pub Duration,
);

/// Reads a given field, so that null differs from a missing field.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl RetentionOverride {
    /// The retention of the LTM, if `general` is the retention of the settings.
    pub fn over(self, general: Retention) -> Retention {
        let friendly = |given: Option<Option<Friendly>>, general: Option<Duration>| {
            given.map_or(general, |given| given.map(|Friendly(duration)| duration))
        };
        let own = Retention {
            max_entries: self.max_entries.unwrap_or(general.max_entries),
            max_bytes: self
                .max_bytes
                .map_or(general.max_bytes, |given| given.map(ByteSize)),
            max_age: friendly(self.max_age, general.max_age),
            idle_ttl: friendly(self.idle_ttl, general.idle_ttl),
            enforced: general.enforced,
        };
        if !general.enforced {
            return own;
        }
        Retention {
            max_entries: least(own.max_entries, general.max_entries),
            max_age: least(own.max_age, general.max_age),
            idle_ttl: least(own.idle_ttl, general.idle_ttl),
            ..general
        }
    }

    /// As JSON text; `None` if no field is given.
    pub fn to_text(self) -> Option<String> {
        if self == Self::default() {
            return None;
        }
        serde_json::to_string(&self).ok()
    }
}

/// The stricter of two rules; `None` is no rule.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Which entries at the beginning of a log may be removed at a given time.
#[derive(Clone, Debug)]
pub struct TrimRule {
    head: u64,
    /// Entries up to this `seq` are more than the number to keep.
    excess: u64,
    /// The bytes at the beginning of the log that are more than the number to keep.
    excess_bytes: u64,
    /// Entries with an earlier time are too old.
    oldest: Option<String>,
}

impl Retention {
    /// The rule for a log at the time `now`. `head` is the `seq` of the log's head, `bytes` is the size of its payloads.
    pub fn trim_rule(&self, head: u64, bytes: u64, now: Timestamp) -> TrimRule {
        TrimRule {
            head,
            excess: self
                .max_entries
                .map_or(0, |most| head.saturating_sub(most.max(1))),
            excess_bytes: self
                .max_bytes
                .map_or(0, |most| bytes.saturating_sub(most.as_u64())),
            oldest: self.max_age.and_then(|age| before(now, age)),
        }
    }
}

impl TrimRule {
    /// Whether `entry` may be removed, after the entries before it with payloads of `removed` bytes. The head is always
    /// kept.
    pub fn removes(&self, entry: &Entry, removed: u64) -> bool {
        let is_old = || {
            self.oldest
                .as_deref()
                .is_some_and(|oldest| time_of(entry).is_some_and(|time| time.as_str() < oldest))
        };
        let is_excess = entry.cursor.seq <= self.excess || removed < self.excess_bytes;
        entry.cursor.seq < self.head && (is_excess || is_old())
    }
}

/// The time `age` before `now`, in the format of entries.
fn before(now: Timestamp, age: Duration) -> Option<String> {
    let age = SignedDuration::try_from(age).ok()?;
    Some(format!("{:.6}", now.checked_sub(age).ok()?))
}

/// The time in an entry's payload; `None` if it has none.
pub fn time_of(entry: &Entry) -> Option<String> {
    #[derive(Deserialize)]
    struct Timed {
        #[serde(alias = "updated_at")]
        time: String,
    }
    match entry.kind {
        Kind::Rollback => serde_json::from_str::<Rollback<'_>>(&entry.payload)
            .ok()
            .map(|back| back.rollback.time.into_owned()),
        _ => serde_json::from_str::<Timed>(&entry.payload)
            .ok()
            .map(|timed| timed.time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_retention_of_an_ltm_overrides_the_settings_and_null_turns_a_rule_off() {
        let general = Retention {
            max_entries: Some(100),
            max_bytes: Some(ByteSize::mib(1)),
            max_age: Some(Duration::from_secs(60)),
            idle_ttl: None,
            enforced: false,
        };
        let read = |text: &str| serde_json::from_str::<RetentionOverride>(text).unwrap();
        assert_eq!(read("{}").over(general), general);
        assert_eq!(read("{}").to_text(), None);
        let own = read(r#"{"max_entries":null,"max_bytes":1000001,"idle_ttl":"1h 30m"}"#);
        let expected = Retention {
            max_entries: None,
            max_bytes: Some(ByteSize(1_000_001)),
            idle_ttl: Some(Duration::from_secs(5400)),
            ..general
        };
        assert_eq!(own.over(general), expected);
        assert_eq!(read(&own.to_text().unwrap()), own);
        let enforced = Retention {
            enforced: true,
            ..general
        };
        let stricter = Retention {
            idle_ttl: expected.idle_ttl,
            ..enforced
        };
        assert_eq!(own.over(enforced), stricter);
        let less = read(r#"{"max_entries":10,"max_age":"2m"}"#).over(enforced);
        assert_eq!(
            (less.max_entries, less.max_age),
            (Some(10), enforced.max_age)
        );
        assert!(serde_json::from_str::<RetentionOverride>(r#"{"max_entires":1}"#).is_err());
    }
}
