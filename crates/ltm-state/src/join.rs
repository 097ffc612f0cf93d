//! Decides whether an entry, or a log, continues from a cursor.
//!
//! The invariant: a subscriber only ever gets the entry that comes right after its cursor in the history that
//! the cursor names. [`Entry::continues`] checks that with one hash. Everything else is read from the log, or
//! ends in a `reset`.

use ltm_types::{Cursor, Entry};

/// How a log relates to a subscriber's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// The log continues from the cursor.
    Continues,
    /// Retention has removed the entries right after the cursor.
    Trimmed,
    /// The log contains another history than the one that the cursor names.
    Forked,
}

/// Decides whether a log continues from the cursor `after`. `head` is the log's head, and `first` is its first
/// entry with a higher cursor than `after`.
pub fn judge(after: Cursor, head: Cursor, first: Option<&Entry>) -> Continuation {
    match first {
        Some(first) if first.continues(after) => Continuation::Continues,
        Some(first)
            if after
                .seq
                .checked_add(1)
                .is_some_and(|next| first.cursor.seq > next) =>
        {
            Continuation::Trimmed
        }
        None if head == after => Continuation::Continues,
        None if head.seq > after.seq => Continuation::Trimmed,
        _ => Continuation::Forked,
    }
}

/// How a live entry relates to the cursor of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// It is the next entry.
    Deliver,
    /// It is the entry at the cursor: the subscriber has it.
    Duplicate,
    /// It belongs to another history.
    Forked,
    /// It is further ahead or further back. Only the log shows whether its history is the same.
    Gap,
}

/// Decides what to do with the live entry `entry` of a subscriber at `cursor`.
///
/// After [`Join::Gap`] and [`Join::Forked`] the caller reads the log from `cursor`, and the log decides.
pub fn join(cursor: Cursor, entry: &Entry) -> Join {
    if entry.cursor == cursor {
        Join::Duplicate
    } else if entry.continues(cursor) {
        Join::Deliver
    } else if entry.cursor.seq == cursor.seq || cursor.seq.checked_add(1) == Some(entry.cursor.seq)
    {
        Join::Forked
    } else {
        Join::Gap
    }
}

#[cfg(test)]
#[path = "join/tests.rs"]
mod tests;
