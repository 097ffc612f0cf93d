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
/// entry with a higher `seq` than `after`.
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
mod tests {
    use ltm_types::Kind;
    use proptest::prelude::*;

    use super::*;

    fn history(payloads: &[String]) -> Vec<Entry> {
        let mut position = Cursor::ORIGIN;
        let next = |payload: &String| {
            let entry = Entry::after(position, Kind::Snapshot, payload.as_str().into());
            position = entry.cursor;
            entry
        };
        payloads.iter().map(next).collect()
    }

    proptest! {
        /// Entries arrive doubled, swapped and with holes; every gap is filled from the log.
        #[test]
        fn whatever_arrives_live_the_merge_gives_the_log(
            payloads in prop::collection::vec("[a-z]{0,3}", 1..20),
            arrivals in prop::collection::vec(0usize..20, 0..60),
        ) {
            let log = history(&payloads);
            let (mut position, mut seen) = (Cursor::ORIGIN, Vec::new());
            for arrival in arrivals.into_iter().filter(|&i| i < log.len()) {
                match join(position, &log[arrival]) {
                    Join::Deliver => {
                        seen.push(log[arrival].clone());
                        position = log[arrival].cursor;
                    }
                    Join::Duplicate => {}
                    Join::Forked | Join::Gap => {
                        let from = usize::try_from(position.seq).unwrap();
                        for entry in log.iter().skip(from).take_while(|e| e.cursor.seq <= log[arrival].cursor.seq) {
                            prop_assert_eq!(join(position, entry), Join::Deliver);
                            seen.push(entry.clone());
                            position = entry.cursor;
                        }
                    }
                }
            }
            prop_assert_eq!(&seen[..], &log[..seen.len()]);
        }

        #[test]
        fn an_entry_of_another_history_is_never_delivered(
            shared in prop::collection::vec("[a-z]{0,3}", 0..6),
            ours in prop::collection::vec("[a-z]{0,3}", 1..6),
            theirs in prop::collection::vec("[A-Z]{1,3}", 1..6),
        ) {
            let ours = history(&[shared.clone(), ours].concat());
            let theirs = history(&[shared.clone(), theirs].concat());
            let position = ours.last().unwrap().cursor;
            for entry in &theirs[shared.len()..] {
                prop_assert!(matches!(join(position, entry), Join::Forked | Join::Gap));
            }
        }

        #[test]
        fn a_log_is_trimmed_forked_or_goes_on(
            payloads in prop::collection::vec("[a-z]{0,3}", 1..10), position in 0usize..10, kept in 0usize..10, other: u64,
        ) {
            let log = history(&payloads);
            let position = position.min(log.len());
            let after = if position == 0 { Cursor::ORIGIN } else { log[position - 1].cursor };
            let head = log.last().unwrap().cursor;
            let kept_entries = &log[kept.min(log.len() - 1)..];
            let first = kept_entries.iter().find(|e| e.cursor > after);
            let trimmed = first.is_some_and(|e| e.cursor.seq > after.seq + 1);
            prop_assert_eq!(matches!(judge(after, head, first), Continuation::Trimmed), trimmed);
            prop_assert_eq!(matches!(judge(after, head, first), Continuation::Continues), !trimmed);
            if after.seq > 0 && other != after.check {
                let foreign = Cursor { check: other, ..after };
                let first = log.iter().find(|e| e.cursor > foreign);
                prop_assert!(matches!(judge(foreign, head, first), Continuation::Forked));
            }
        }
    }
}
