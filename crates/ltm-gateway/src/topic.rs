//! One followed LTM: where its log is, and its latest entries.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ltm_store::{Join, Window, join};
use ltm_types::{Cursor, Entry, LtmId};
use tokio::sync::watch;

use crate::{frame::entry_frame, message::Message};

/// Where a log is, as far as its topic knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last entry; `None` until it is known, or where there is no such LTM.
    pub cursor: Option<Cursor>,
    /// Grows when the log turns out to have another history than the one followed so far.
    pub generation: u64,
}

/// One followed LTM. Subscribers share it.
pub(crate) struct Topic {
    pub id: LtmId,
    head: watch::Sender<Head>,
    recent: Mutex<Recent>,
    max_bytes: usize,
    refresh_due: AtomicBool,
}

/// The latest entries as messages, each continuing the one before, the last one at the head.
#[derive(Default)]
struct Recent {
    messages: VecDeque<Message>,
    bytes: usize,
    /// How many of the messages were there at the last sweep.
    old: usize,
}

impl Recent {
    fn push(&mut self, message: Message, max_bytes: usize) {
        self.bytes += message.weight();
        self.messages.push_back(message);
        while self.bytes > max_bytes {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= message.weight();
            self.old = self.old.saturating_sub(1);
        }
    }

    fn after(&self, position: Cursor) -> Option<&Message> {
        let first = self.messages.front()?.cursor.seq;
        let index = position.seq.checked_add(1)?.checked_sub(first)?;
        let message = self.messages.get(usize::try_from(index).ok()?)?;
        (message.previous == position).then_some(message)
    }

    fn holds(&self, cursor: Cursor) -> bool {
        self.messages
            .iter()
            .rev()
            .any(|message| message.cursor == cursor)
    }
}

impl Topic {
    /// A topic that keeps up to `max_bytes` of the latest entries.
    pub(crate) fn new(id: LtmId, max_bytes: usize) -> Self {
        Self {
            id,
            head: watch::Sender::default(),
            recent: Mutex::default(),
            max_bytes,
            refresh_due: AtomicBool::new(false),
        }
    }

    /// Where the log is, and word of each change.
    pub(crate) fn head(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// The message that comes after `position`, if it is one of the latest.
    pub(crate) fn message_after(&self, position: Cursor) -> Option<Message> {
        self.recent().after(position).cloned()
    }

    /// Takes an entry that came live; false where only the log can tell what it is.
    pub(crate) fn offer(&self, entry: &Entry) -> bool {
        let mut recent = self.recent();
        let Some(position) = self.head.borrow().cursor else {
            return false;
        };
        match join(position, entry) {
            Join::Deliver => {
                self.advance(&mut recent, position, entry);
                true
            }
            Join::Duplicate => true,
            Join::Forked | Join::Gap => recent.holds(entry.cursor),
        }
    }

    /// Takes what the log holds after `from`, unless the topic has moved on from there meanwhile.
    pub(crate) fn extend(&self, from: Cursor, window: &Window) {
        let mut recent = self.recent();
        if self.head.borrow().cursor != Some(from) {
            return;
        }
        let last = window.entries.last().map_or(from, |entry| entry.cursor);
        if last != window.head {
            // Too far behind: whoever needs what is between reads the log.
            *recent = Recent::default();
            self.head
                .send_modify(|head| head.cursor = Some(window.head));
            return;
        }
        let mut position = from;
        for entry in &window.entries {
            self.advance(&mut recent, position, entry);
            position = entry.cursor;
        }
    }

    /// Begins anew at `to` (`None`: there is no such LTM), unless the topic has moved on from
    /// `from` meanwhile. `forked` says that what it followed so far is not part of the log.
    pub(crate) fn restart(&self, from: Option<Cursor>, to: Option<Cursor>, forked: bool) {
        let mut recent = self.recent();
        self.head.send_if_modified(|head| {
            if head.cursor != from {
                return false;
            }
            *recent = Recent::default();
            head.cursor = to;
            head.generation += u64::from(forked);
            true
        });
    }

    /// Lets go of the entries that were there at the last call.
    pub(crate) fn age(&self) {
        let mut recent = self.recent();
        for _ in 0..recent.old {
            recent.pop();
        }
        recent.old = recent.messages.len();
    }

    /// Notes that the log must be read; false where that is noted already.
    pub(crate) fn note_refresh(&self) -> bool {
        !self.refresh_due.swap(true, Ordering::SeqCst)
    }

    /// To be called before the log is read.
    pub(crate) fn begin_refresh(&self) {
        self.refresh_due.store(false, Ordering::SeqCst);
    }

    fn advance(&self, recent: &mut Recent, position: Cursor, entry: &Entry) {
        recent.push(entry_frame(self.id, position, entry).into(), self.max_bytes);
        self.head
            .send_modify(|head| head.cursor = Some(entry.cursor));
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ltm_types::Kind;
    use proptest::prelude::*;

    use super::*;

    fn history(from: Cursor, payloads: &[&str]) -> Vec<Entry> {
        let mut position = from;
        let next = |payload: &&str| {
            let entry = Entry::after(position, Kind::Snapshot, (*payload).into());
            position = entry.cursor;
            entry
        };
        payloads.iter().map(next).collect()
    }

    fn topic_at(cursor: Cursor, max_bytes: usize) -> Topic {
        let topic = Topic::new(LtmId::new(1).unwrap(), max_bytes);
        topic.restart(None, Some(cursor), false);
        topic
    }

    proptest! {
        #[test]
        fn the_latest_entries_stay_within_their_bytes_and_in_order(sizes in prop::collection::vec(0usize..400, 1..40)) {
            let payloads: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let log = history(Cursor::ORIGIN, &payloads.iter().map(String::as_str).collect::<Vec<_>>());
            let topic = topic_at(Cursor::ORIGIN, 1000);
            for entry in &log {
                prop_assert!(topic.offer(entry));
                prop_assert!(topic.recent().bytes <= 1000);
                let held: usize = topic.recent().messages.iter().map(Message::weight).sum();
                prop_assert_eq!(topic.recent().bytes, held);
            }
            for pair in log.windows(2) {
                let message = topic.message_after(pair[0].cursor);
                prop_assert!(message.is_none_or(|message| message.cursor == pair[1].cursor));
            }
        }
    }

    #[test]
    fn an_entry_after_a_gap_waits_for_the_log() {
        let log = history(Cursor::ORIGIN, &["a", "b", "c"]);
        let topic = topic_at(log[0].cursor, 1000);
        assert!(!topic.offer(&log[2]));
        let head = log[2].cursor;
        topic.extend(
            log[0].cursor,
            &Window {
                entries: log[1..].to_vec(),
                head,
            },
        );
        assert!(topic.offer(&log[1]) && topic.offer(&log[2]));
        assert_eq!(
            topic.message_after(log[0].cursor).unwrap().cursor,
            log[1].cursor
        );
        assert_eq!(topic.head().borrow().cursor, Some(head));
    }

    #[test]
    fn an_entry_of_another_history_is_not_taken() {
        let log = history(Cursor::ORIGIN, &["a", "b"]);
        let other = history(log[0].cursor, &["B", "C"]);
        let topic = topic_at(log[1].cursor, 1000);
        assert!(!topic.offer(&other[0]) && !topic.offer(&other[1]));
        topic.restart(Some(log[1].cursor), Some(other[1].cursor), true);
        assert_eq!(topic.head().borrow().generation, 1);
        assert!(topic.message_after(log[0].cursor).is_none());
    }

    #[test]
    fn what_a_late_read_brings_does_not_turn_the_topic_back() {
        let log = history(Cursor::ORIGIN, &["a", "b", "c"]);
        let topic = topic_at(log[0].cursor, 1000);
        assert!(topic.offer(&log[1]));
        topic.restart(Some(log[0].cursor), Some(log[0].cursor), true);
        topic.extend(
            log[0].cursor,
            &Window {
                entries: vec![log[1].clone()],
                head: log[1].cursor,
            },
        );
        assert_eq!(
            *topic.head().borrow(),
            Head {
                cursor: Some(log[1].cursor),
                generation: 0
            }
        );
    }

    #[test]
    fn entries_that_nobody_needs_any_more_age_out() {
        let log = history(Cursor::ORIGIN, &["a", "b"]);
        let topic = topic_at(Cursor::ORIGIN, 1000);
        topic.offer(&log[0]);
        topic.age();
        topic.offer(&log[1]);
        topic.age();
        assert!(topic.message_after(Cursor::ORIGIN).is_none());
        assert!(topic.message_after(log[0].cursor).is_some());
        topic.age();
        assert_eq!(topic.recent().bytes, 0);
    }
}
