//! Cursors: the position of an entry, which also identifies the whole history before it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use xxhash_rust::xxh3::Xxh3Default;

use crate::Kind;

/// A cursor: the id `<seq>-<check>` of an entry in its stream.
///
/// `seq` counts the entries of the log from 1 without gaps. `check` is a 64-bit hash of the previous entry's check, the
/// kind and the payload. So two logs that hold an entry of the same cursor hold the same history up to it. For clients the
/// text is opaque.
///
/// Cursors are ordered by `seq`. Within one `seq` the order by `check` has no meaning; it makes the order total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// The number of the entry, from 1; 0 is before the first entry.
    pub seq: u64,
    /// The hash that chains the entry to all entries before it.
    pub check: u64,
}

/// Why a text is not a cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: {0:?}; send a cursor exactly as you received it, or 0 for the beginning")]
pub struct CursorError(String);

impl Cursor {
    /// The position before the first entry of any log. Its text is `0-0`; `0` means the same.
    pub const ORIGIN: Self = Self { seq: 0, check: 0 };

    /// The cursor of the entry that follows this one with `kind` and `payload`.
    ///
    /// The hash is XXH3-64 with seed 0 of: this cursor's check as 8 bytes little-endian, the name of the kind, a zero byte,
    /// the payload. This layout is part of the stored format.
    pub fn next(self, kind: &Kind, payload: &str) -> Self {
        self.next_of_bytes(kind.as_str().as_bytes(), payload.as_bytes())
    }

    /// As [`Cursor::next`], for an entry that may not be UTF-8.
    pub fn next_of_bytes(self, kind: &[u8], payload: &[u8]) -> Self {
        let mut hash = Xxh3Default::new();
        hash.update(&self.check.to_le_bytes());
        hash.update(kind);
        hash.update(&[0]);
        hash.update(payload);
        Self {
            seq: self.seq.wrapping_add(1),
            check: hash.digest(),
        }
    }

    /// Whether an entry with this cursor, `kind` and `payload` follows directly after `previous` in the history that
    /// `previous` identifies.
    pub fn continues(self, previous: Self, kind: &Kind, payload: &str) -> bool {
        previous.seq.checked_add(1) == Some(self.seq) && previous.next(kind, payload) == self
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.check)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text == "0" {
            return Ok(Self::ORIGIN);
        }
        let refused = || CursorError(text.chars().take(60).collect());
        let (seq, check) = text.split_once('-').ok_or_else(refused)?;
        let cursor = Self {
            seq: decimal(seq).ok_or_else(refused)?,
            check: decimal(check).ok_or_else(refused)?,
        };
        if cursor.seq == 0 && cursor.check != 0 {
            return Err(refused());
        }
        Ok(cursor)
    }
}

/// A decimal number in its canonical spelling.
fn decimal(text: &str) -> Option<u64> {
    if text != "0" && text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Snapshot),
            Just(Kind::Rollback),
            Just(Kind::Error),
            "[a-z]{1,8}".prop_map(|name| Kind::from_name(&name)),
        ]
    }

    proptest! {
        #[test]
        fn text_and_cursor_are_one_to_one(seq in 1u64.., check: u64) {
            let cursor = Cursor { seq, check };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }

        #[test]
        fn any_text_is_parsed_or_refused_and_never_respelled(text in "[0-9-]{0,24}|.*") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert!(cursor.to_string() == text || text == "0");
            }
        }

        #[test]
        fn an_entry_continues_only_the_history_it_was_made_for(
            seq in 0u64..u64::MAX, check: u64, other: u64, kind in kinds(), payload in ".*", tail in ".+",
        ) {
            let previous = Cursor { seq, check };
            let next = previous.next(&kind, &payload);
            let longer = format!("{payload}{tail}");
            prop_assert!(next.continues(previous, &kind, &payload));
            prop_assert!(next > previous);
            prop_assert!(!next.continues(previous, &kind, &longer));
            prop_assert!(!next.continues(next, &kind, &payload));
            if other != check {
                let foreign = Cursor { seq, check: other };
                prop_assert!(!next.continues(foreign, &kind, &payload));
            }
        }
    }

    #[test]
    fn the_hash_is_fixed_for_ever() {
        let first = Cursor::ORIGIN.next(&Kind::Snapshot, r#"{"reason":"start"}"#);
        let second = first.next(&Kind::Rollback, "{}");
        assert_eq!(first.to_string(), "1-8125746572956811509");
        assert_eq!(second.to_string(), "2-17225825084623810798");
    }

    #[test]
    fn the_last_possible_entry_has_no_next() {
        let last = Cursor {
            seq: u64::MAX,
            check: 1,
        };
        let wrapped = last.next(&Kind::Snapshot, "{}");
        assert!(!wrapped.continues(last, &Kind::Snapshot, "{}"));
    }

    #[test]
    fn respelled_cursors_are_refused() {
        for text in [
            "",
            "1",
            "00",
            "01-2",
            "1-02",
            "+1-2",
            "1-",
            "-1",
            "0-1",
            "1-2-3",
            "1-18446744073709551616",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
        assert_eq!("0".parse::<Cursor>().unwrap(), Cursor::ORIGIN);
        assert_eq!("0-0".parse::<Cursor>().unwrap(), Cursor::ORIGIN);
    }
}
