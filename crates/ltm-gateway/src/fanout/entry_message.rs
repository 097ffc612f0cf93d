//! The message for an entry, also for one that cannot be read.

use ltm_types::{Cursor, EncodedMessage, Entry, LtmId, skipped_message};

/// The message for `entry`, which follows `previous`. If the content of the entry is not valid, the gateway
/// logs that and skips the entry: no client could read it, and the entries after it are still good.
pub(crate) fn entry_message(id: LtmId, previous: Cursor, entry: &Entry) -> EncodedMessage {
    match entry.content() {
        Ok(_) => ltm_types::entry_message(id, previous, entry),
        Err(error) => unreadable(id, previous, entry.cursor, &error.to_string()),
    }
}

/// The empty message for an entry at `cursor` that cannot be read.
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
        "cannot read an entry; skipping it. Run `ltm verify {id}` to check the whole log"
    );
    skipped_message(previous, cursor)
}

/// Whether an entry at `cursor` comes right after `position`.
pub(crate) fn is_next(position: Cursor, cursor: Cursor) -> bool {
    position.seq.checked_add(1) == Some(cursor.seq)
}
