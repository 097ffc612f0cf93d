//! One followed LTM: where its log is, its latest entries, and the subscribers that wait for the next one.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use ltm_state::{Join, join};
use ltm_store::Window;
use ltm_types::{Cursor, Entry, LtmId};
use slab::Slab;

use crate::{
    fanout::{
        delivery_spans::DeliverySpans,
        entry_message::entry_message,
        fan_out::RunQueue,
        live_subscriber::{LiveSubscriber, Taken},
        message::{Batch, BatchBounds, FramedMessage},
    },
    metrics::GatewayMetrics,
};

/// Where a log is, as far as its topic knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicHead {
    /// The last entry; `None` until it is known, or where there is no such LTM.
    pub cursor: Option<Cursor>,
    /// Grows when the log turns out to have another history than the one followed so far.
    pub generation: u64,
}

/// One followed LTM. The subscribers of one thread share it.
pub(crate) struct Topic {
    pub id: LtmId,
    head: Cell<TopicHead>,
    recent: RefCell<Recent>,
    /// Who has all that is known here, and is sent what is new as it comes.
    subscribers: RefCell<Slab<Rc<LiveSubscriber>>>,
    /// How far they have been visited with it; `None`: all have been.
    round: Cell<Option<Round>>,
    run_queue: Rc<RunQueue>,
    spans: RefCell<DeliverySpans>,
    metrics: GatewayMetrics,
    max_bytes: usize,
    max_batch: usize,
    refresh_due: Cell<bool>,
}

/// The visits to all members.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// The number of the next one.
    next: usize,
    /// Whether there is news again for those before.
    again: bool,
}

/// A batch on its way to members.
struct Sent {
    /// Where they stand before it.
    from: Cursor,
    batch: Batch,
    /// How many took it so far.
    takers: usize,
}

/// The latest entries as messages, each continuing the one before, the last one at the head.
#[derive(Default)]
struct Recent {
    messages: VecDeque<FramedMessage>,
    bytes: usize,
    /// How many of the messages were there at the last sweep.
    old: usize,
}

impl Recent {
    fn push(&mut self, message: FramedMessage, max_bytes: usize) {
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

    fn after(&self, position: Cursor) -> impl Iterator<Item = &FramedMessage> + Clone {
        let first = self.messages.front().map_or(u64::MAX, |m| m.cursor.seq);
        let index = position.seq.saturating_add(1).checked_sub(first);
        let index = index.and_then(|index| usize::try_from(index).ok());
        self.messages.iter().skip(index.unwrap_or(usize::MAX))
    }

    fn holds(&self, cursor: Cursor) -> bool {
        self.messages
            .iter()
            .rev()
            .any(|message| message.cursor == cursor)
    }
}

impl Topic {
    /// A topic that keeps up to `max_bytes` of the latest entries, and sends up to `max_batch` at
    /// once. It tells `run_queue` when its members are to be visited.
    pub(crate) fn new(
        id: LtmId,
        max_bytes: usize,
        max_batch: usize,
        run_queue: Rc<RunQueue>,
        metrics: GatewayMetrics,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            head: Cell::default(),
            recent: RefCell::default(),
            subscribers: RefCell::default(),
            round: Cell::default(),
            run_queue,
            spans: RefCell::default(),
            metrics,
            max_bytes,
            max_batch,
            refresh_due: Cell::new(false),
        })
    }

    /// What is measured.
    pub(crate) fn metrics(&self) -> &GatewayMetrics {
        &self.metrics
    }

    /// Where the log is.
    pub(crate) fn head(&self) -> TopicHead {
        self.head.get()
    }

    /// How much goes into one batch.
    pub(crate) fn bounds(&self) -> BatchBounds {
        BatchBounds {
            bytes: self.max_batch,
            last: u64::MAX,
        }
    }

    /// The messages that come after `position`, if they are of the latest.
    pub(crate) fn after(&self, position: Cursor, bounds: BatchBounds) -> Option<Batch> {
        Batch::of(position, self.recent.borrow().after(position), bounds)
    }

    /// Takes an entry that came live and was appended at that time; false where only the log can tell what
    /// it is.
    pub(crate) fn offer(self: &Rc<Self>, entry: &Entry, appended: u64) -> bool {
        let Some(position) = self.head.get().cursor else {
            return false;
        };
        match join(position, entry) {
            Join::Deliver => {
                self.advance(position, entry, Some(appended));
                true
            }
            Join::Duplicate => true,
            Join::Forked | Join::Gap => self.recent.borrow().holds(entry.cursor),
        }
    }

    /// Takes what the log holds after `from`, unless the topic has moved on from there meanwhile.
    pub(crate) fn extend(self: &Rc<Self>, from: Cursor, window: &Window) {
        if self.head.get().cursor != Some(from) {
            return;
        }
        let last = window.entries.last().map_or(from, |entry| entry.cursor);
        if last != window.head {
            // Too far behind: whoever needs what is between reads the log.
            self.recent.take();
            self.move_to(Some(window.head));
            return;
        }
        let mut position = from;
        for entry in &window.entries {
            self.advance(position, entry, None);
            position = entry.cursor;
        }
    }

    /// Begins anew at `to` (`None`: there is no such LTM), unless the topic has moved on from
    /// `from` meanwhile. `forked` says that what it followed so far is not part of the log.
    pub(crate) fn restart(self: &Rc<Self>, from: Option<Cursor>, to: Option<Cursor>, forked: bool) {
        let mut head = self.head.get();
        if head.cursor != from {
            return;
        }
        head.generation += u64::from(forked);
        self.head.set(head);
        self.recent.take();
        self.move_to(to);
    }

    /// Lets go of the entries that were there at the last call.
    pub(crate) fn age(&self) {
        let mut recent = self.recent.borrow_mut();
        for _ in 0..recent.old {
            recent.pop();
        }
        recent.old = recent.messages.len();
    }

    /// Notes that the log must be read; false where that is noted already.
    pub(crate) fn note_refresh(&self) -> bool {
        !self.refresh_due.replace(true)
    }

    /// To be called before the log is read.
    pub(crate) fn begin_refresh(&self) {
        self.refresh_due.set(false);
    }

    /// Sends `member` what comes from now on, until it is [released](LiveSubscriber::is_released) or leaves.
    pub(crate) fn join(&self, subscriber: &Rc<LiveSubscriber>) {
        let number = self.subscribers.borrow_mut().insert(subscriber.clone());
        subscriber.joined(number);
    }

    /// Sends `member` nothing more.
    pub(crate) fn leave(&self, subscriber: &LiveSubscriber) {
        if let Some(number) = subscriber.left() {
            self.subscribers.borrow_mut().try_remove(number);
        }
    }

    /// Sends what is new to the next members, and takes their number off `most`; false once all have it.
    /// A member that cannot take it, or that only the log can tell what it lacks, is released.
    pub(crate) fn visit(&self, most: &mut usize) -> bool {
        let Some(round) = self.round.get() else {
            return false;
        };
        let mut subscribers = self.subscribers.borrow_mut();
        let end = round.next.saturating_add(*most).min(subscribers.capacity());
        *most -= end - round.next;
        let mut batches = Vec::new();
        for number in round.next..end {
            let subscriber = subscribers.get(number);
            if subscriber.is_some_and(|subscriber| !self.bring(subscriber, &mut batches)) {
                subscribers.remove(number).release();
            }
        }
        for sent in &batches {
            self.metrics.delivered(&sent.batch, sent.takers);
            let mut spans = self.spans.borrow_mut();
            spans.written(sent.from.seq, sent.batch.to.seq, sent.takers);
        }
        self.round.set(match round {
            _ if end < subscribers.capacity() => Some(Round { next: end, ..round }),
            Round { again: true, .. } => Some(Round {
                next: 0,
                again: false,
            }),
            Round { again: false, .. } => None,
        });
        if self.round.get().is_none() {
            self.spans.borrow_mut().end();
        }
        self.round.get().is_some()
    }

    /// Sends one member what is new; false where it cannot take it. `batches` are those made so far.
    fn bring(&self, subscriber: &LiveSubscriber, batches: &mut Vec<Sent>) -> bool {
        while self.head.get().cursor != Some(subscriber.position()) {
            let position = subscriber.position();
            let made = batches.iter().position(|sent| sent.from == position);
            let Some(made) = made.or_else(|| {
                let batch = self.after(position, self.bounds())?;
                batches.push(Sent {
                    from: position,
                    batch,
                    takers: 0,
                });
                Some(batches.len() - 1)
            }) else {
                return false;
            };
            let sent = &mut batches[made];
            let taken = subscriber.take(&sent.batch);
            sent.takers += usize::from(taken != Taken::Nothing);
            if taken != Taken::All {
                if !sent.batch.last {
                    self.metrics.slow();
                }
                return false;
            }
        }
        true
    }

    fn advance(self: &Rc<Self>, position: Cursor, entry: &Entry, appended: Option<u64>) {
        let message = FramedMessage {
            appended,
            ..entry_message(self.id, position, entry).into()
        };
        if appended.is_some() && !self.subscribers.borrow().is_empty() {
            let bytes = message.frames.len();
            self.spans.borrow_mut().begin(self.id, entry, bytes);
        }
        self.recent.borrow_mut().push(message, self.max_bytes);
        self.move_to(Some(entry.cursor));
    }

    /// The log is at `cursor` now: the members must hear of it.
    fn move_to(self: &Rc<Self>, cursor: Option<Cursor>) {
        let mut head = self.head.get();
        head.cursor = cursor;
        self.head.set(head);
        if self.subscribers.borrow().is_empty() {
            return;
        }
        match self.round.get() {
            Some(round) => self.round.set(Some(Round {
                again: true,
                ..round
            })),
            None => {
                self.round.set(Some(Round {
                    next: 0,
                    again: false,
                }));
                self.run_queue.push(self.clone());
            }
        }
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

    fn topic_at(cursor: Cursor, max_bytes: usize) -> Rc<Topic> {
        let id = LtmId::new(1).unwrap();
        let topic = Topic::new(id, max_bytes, 0, Rc::default(), GatewayMetrics::new());
        topic.restart(None, Some(cursor), false);
        topic
    }

    /// Where the message leads that comes after `position`, if it is one of the latest.
    fn next(topic: &Topic, position: Cursor) -> Option<Cursor> {
        let bounds = BatchBounds {
            bytes: 0,
            last: position.seq + 1,
        };
        topic.after(position, bounds).map(|batch| batch.to)
    }

    proptest! {
        #[test]
        fn the_latest_entries_stay_within_their_bytes_and_in_order(sizes in prop::collection::vec(0usize..400, 1..40)) {
            let payloads: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let log = history(Cursor::ORIGIN, &payloads.iter().map(String::as_str).collect::<Vec<_>>());
            let topic = topic_at(Cursor::ORIGIN, 1000);
            for entry in &log {
                prop_assert!(topic.offer(entry, 0));
                let recent = topic.recent.borrow();
                prop_assert!(recent.bytes <= 1000);
                let held: usize = recent.messages.iter().map(FramedMessage::weight).sum();
                prop_assert_eq!(recent.bytes, held);
            }
            for pair in log.windows(2) {
                let to = next(&topic, pair[0].cursor);
                prop_assert!(to.is_none_or(|to| to == pair[1].cursor));
            }
        }
    }

    #[test]
    fn an_entry_after_a_gap_waits_for_the_log() {
        let log = history(Cursor::ORIGIN, &["a", "b", "c"]);
        let topic = topic_at(log[0].cursor, 1000);
        assert!(!topic.offer(&log[2], 0));
        let head = log[2].cursor;
        topic.extend(
            log[0].cursor,
            &Window {
                entries: log[1..].to_vec(),
                head,
            },
        );
        assert!(topic.offer(&log[1], 0) && topic.offer(&log[2], 0));
        assert_eq!(next(&topic, log[0].cursor), Some(log[1].cursor));
        assert_eq!(topic.head().cursor, Some(head));
    }

    #[test]
    fn an_entry_of_another_history_is_not_taken() {
        let log = history(Cursor::ORIGIN, &["a", "b"]);
        let other = history(log[0].cursor, &["B", "C"]);
        let topic = topic_at(log[1].cursor, 1000);
        assert!(!topic.offer(&other[0], 0) && !topic.offer(&other[1], 0));
        topic.restart(Some(log[1].cursor), Some(other[1].cursor), true);
        assert_eq!(topic.head().generation, 1);
        assert!(next(&topic, log[0].cursor).is_none());
    }

    #[test]
    fn what_a_late_read_brings_does_not_turn_the_topic_back() {
        let log = history(Cursor::ORIGIN, &["a", "b", "c"]);
        let topic = topic_at(log[0].cursor, 1000);
        assert!(topic.offer(&log[1], 0));
        topic.restart(Some(log[0].cursor), Some(log[0].cursor), true);
        topic.extend(
            log[0].cursor,
            &Window {
                entries: vec![log[1].clone()],
                head: log[1].cursor,
            },
        );
        assert_eq!(
            topic.head(),
            TopicHead {
                cursor: Some(log[1].cursor),
                generation: 0
            }
        );
    }

    #[test]
    fn entries_that_nobody_needs_any_more_age_out() {
        let log = history(Cursor::ORIGIN, &["a", "b"]);
        let topic = topic_at(Cursor::ORIGIN, 1000);
        topic.offer(&log[0], 0);
        topic.age();
        topic.offer(&log[1], 0);
        topic.age();
        assert!(next(&topic, Cursor::ORIGIN).is_none());
        assert!(next(&topic, log[0].cursor).is_some());
        topic.age();
        assert_eq!(topic.recent.borrow().bytes, 0);
    }
}
