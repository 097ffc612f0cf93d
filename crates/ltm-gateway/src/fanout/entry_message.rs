//! What is sent for an entry, and what is not.

use ltm_types::{Cursor, EncodedMessage, Entry, LtmId, passed_over};

/// The message for `entry`, which follows `previous`. One that is not what its kind says is reported
/// and passed over: nobody could read it, and what comes after it is read for what it is.
pub(crate) fn entry_message(id: LtmId, previous: Cursor, entry: &Entry) -> EncodedMessage {
    match entry.content() {
        Ok(_) => ltm_types::entry_message(id, previous, entry),
        Err(error) => unreadable(id, previous, entry.cursor, &error.to_string()),
    }
}

/// What is sent for an entry at `cursor` that cannot be read.
pub(crate) fn unreadable(
    id: LtmId,
    previous: Cursor,
    cursor: Cursor,
    detail: &str,
) -> EncodedMessage {
    tracing::error!(
        %id,
        %cursor,
        detail,
        "an entry cannot be read and is passed over; `ltm verify {id}` says what else is wrong"
    );
    passed_over(previous, cursor)
}

/// Whether an entry at `cursor` has the place right after `position`.
pub(crate) fn is_next(position: Cursor, cursor: Cursor) -> bool {
    position.seq.checked_add(1) == Some(cursor.seq)
}
