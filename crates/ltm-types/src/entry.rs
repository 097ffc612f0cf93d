//! Entries of a log.

use bytestring::ByteString;

use crate::{Cursor, Kind};

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its cursor.
    pub cursor: Cursor,
    /// Its kind.
    pub kind: Kind,
    /// Its JSON text, exactly as subscribers receive it.
    pub payload: ByteString,
}

impl Entry {
    /// The entry that follows `previous`.
    pub fn after(previous: Cursor, kind: Kind, payload: ByteString) -> Self {
        Self {
            cursor: previous.next(&kind, &payload),
            kind,
            payload,
        }
    }

    /// Whether this entry follows directly after `previous`; see [`Cursor::continues`].
    pub fn continues(&self, previous: Cursor) -> bool {
        self.cursor.continues(previous, &self.kind, &self.payload)
    }

    /// The text that is published to the channel of the LTM: `<cursor> <kind> <time> <payload>`. The time is that of Redis
    /// when it appended the entry, in microseconds since 1970.
    pub fn to_live(&self, appended: u64) -> String {
        format!("{} {} {appended} {}", self.cursor, self.kind, self.payload)
    }

    /// Reads a text of [`Entry::to_live`]: the entry and the time; `None` for any other text.
    pub fn from_live(text: &ByteString) -> Option<(Self, u64)> {
        let (cursor, rest) = text.split_once(' ')?;
        let (kind, rest) = rest.split_once(' ')?;
        let (appended, payload) = rest.split_once(' ')?;
        let entry = Self {
            cursor: cursor.parse().ok()?,
            kind: Kind::from_name(kind),
            payload: text.slice_ref(payload),
        };
        Some((entry, appended.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_live_message_gives_the_entry_back(seq in 1u64.., check: u64, kind in "[a-z]{1,9}", payload in ".*", appended: u64) {
            let entry = Entry { cursor: Cursor { seq, check }, kind: Kind::from_name(&kind), payload: payload.into() };
            let text = entry.to_live(appended).into();
            prop_assert_eq!(Entry::from_live(&text), Some((entry, appended)));
        }

        #[test]
        fn a_foreign_message_is_refused_without_a_panic(text in ".*") {
            let _ = Entry::from_live(&text.into());
        }
    }
}
