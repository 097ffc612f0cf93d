//! One followed LTM: the head of its log, its latest entries, and its live subscribers.
//!
//! A topic schedules nothing: its methods return whether it has news, and the caller pushes it onto the run
//! queue.

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
        live_subscriber::{LiveSubscriber, Taken},
        message::{Batch, BatchBounds, FramedMessage},
    },
    metrics::GatewayMetrics,
};

/// The head of a log, as far as its topic knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicHead {
    /// The cursor of the last entry; `None` until it is known, or if there is no such LTM.
    pub cursor: Option<Cursor>,
    /// Grows when the log no longer contains what the topic followed so far.
    pub generation: u64,
    /// How often the log was compared with Redis.
    pub comparisons: u64,
}

impl TopicHead {
    /// Whether neither a fork nor a comparison came between the two heads, so that the topic only lacks entries.
    pub(crate) fn only_follows(self, earlier: Self) -> bool {
        (self.generation, self.comparisons) == (earlier.generation, earlier.comparisons)
    }
}

/// One followed LTM. The subscribers of one thread share it.
pub(crate) struct Topic {
    pub id: LtmId,
    head: Cell<TopicHead>,
    recent: RefCell<Recent>,
    /// The live subscribers: those that have everything the topic has.
    subscribers: RefCell<Slab<Rc<LiveSubscriber>>>,
    /// Whether a subscriber has joined since the last comparison that has more than the topic.
    ahead: Cell<bool>,
    /// The current round of visits to them; `None` if each has everything.
    round: Cell<Option<Round>>,
    spans: RefCell<DeliverySpans>,
    metrics: GatewayMetrics,
    max_bytes: usize,
    max_batch: usize,
    refresh_due: Cell<bool>,
}

/// What a topic makes of a live entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Offered {
    /// The topic has news for its subscribers and is not scheduled yet: the caller pushes it onto the run
    /// queue, where it stays until [`Topic::visit`] returns false.
    News,
    /// Nothing is to be done.
    Nothing,
    /// Only the log can tell what the entry is: the caller has it read.
    Gap,
}

/// A round of visits to all live subscribers.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// The index of the next subscriber.
    next: usize,
    /// Whether another round has to follow: there is news for subscribers that were visited already.
    again: bool,
}

/// A batch on its way to subscribers.
struct Sent {
    /// The cursor of these subscribers before the batch.
    from: Cursor,
    batch: Batch,
    /// How many of them have taken it.
    takers: usize,
}

/// The latest entries as consecutive messages, up to the head.
#[derive(Default)]
struct Recent {
    messages: VecDeque<FramedMessage>,
    bytes: usize,
    /// How many of the messages were here at the last sweep.
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
    /// A topic that keeps up to `max_bytes` of the latest entries, and sends up to `max_batch` bytes at
    /// once.
    pub(crate) fn new(
        id: LtmId,
        max_bytes: usize,
        max_batch: usize,
        metrics: GatewayMetrics,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            head: Cell::default(),
            recent: RefCell::default(),
            subscribers: RefCell::default(),
            ahead: Cell::new(false),
            round: Cell::default(),
            spans: RefCell::default(),
            metrics,
            max_bytes,
            max_batch,
            refresh_due: Cell::new(false),
        })
    }

    pub(crate) fn metrics(&self) -> &GatewayMetrics {
        &self.metrics
    }

    /// The head of the log.
    pub(crate) fn head(&self) -> TopicHead {
        self.head.get()
    }

    /// The limits of one batch.
    pub(crate) fn bounds(&self) -> BatchBounds {
        BatchBounds {
            bytes: self.max_batch,
            last: u64::MAX,
        }
    }

    /// A batch of the messages after `position`, if the topic still has them.
    pub(crate) fn after(&self, position: Cursor, bounds: BatchBounds) -> Option<Batch> {
        Batch::of(position, self.recent.borrow().after(position), bounds)
    }

    /// Takes a live entry that was appended at that time (microseconds since 1970).
    pub(crate) fn offer(&self, entry: &Entry, appended: u64) -> Offered {
        let Some(position) = self.head.get().cursor else {
            return Offered::Gap;
        };
        match join(position, entry) {
            Join::Deliver if self.advance(position, entry, Some(appended)) => Offered::News,
            Join::Deliver | Join::Duplicate => Offered::Nothing,
            Join::Forked | Join::Gap if self.recent.borrow().holds(entry.cursor) => {
                Offered::Nothing
            }
            Join::Forked | Join::Gap => Offered::Gap,
        }
    }

    /// Takes what the log holds after `from`, unless the topic has moved on from there in the meantime. If
    /// this returns true, the topic has news, as with [`Offered::News`].
    #[must_use]
    pub(crate) fn extend(&self, from: Cursor, window: &Window) -> bool {
        if self.head.get().cursor != Some(from) {
            return false;
        }
        let last = window.entries.last().map_or(from, |entry| entry.cursor);
        if last != window.head {
            // The topic is too far behind: a subscriber that needs the entries between reads the log.
            self.recent.take();
            return self.move_to(Some(window.head));
        }
        let (mut position, mut news) = (from, false);
        for entry in &window.entries {
            news |= self.advance(position, entry, None);
            position = entry.cursor;
        }
        news
    }

    /// Starts again at `to` (`None`: there is no such LTM), unless the topic has moved on from `from` in
    /// the meantime. `forked` says that the log no longer contains what the topic followed so far. If this
    /// returns true, the topic has news, as with [`Offered::News`].
    #[must_use]
    pub(crate) fn restart(&self, from: Option<Cursor>, to: Option<Cursor>, forked: bool) -> bool {
        let mut head = self.head.get();
        if head.cursor != from {
            return false;
        }
        head.generation += u64::from(forked);
        self.head.set(head);
        self.recent.take();
        self.move_to(to)
    }

    /// Notes that the log was compared with Redis. Releases the subscribers that have read more from the log than
    /// the topic has: the log may have lost exactly that, and nothing else would tell them. Each reads the log once.
    pub(crate) fn compared(&self) {
        let mut head = self.head.get();
        head.comparisons += 1;
        self.head.set(head);
        if self.ahead.take() {
            self.subscribers.borrow_mut().retain(|_, subscriber| {
                let has_the_head = head.cursor == Some(subscriber.position());
                if !has_the_head {
                    subscriber.release();
                }
                has_the_head
            });
        }
    }

    /// Drops the entries that were here at the previous call.
    pub(crate) fn age(&self) {
        let mut recent = self.recent.borrow_mut();
        for _ in 0..recent.old {
            recent.pop();
        }
        recent.old = recent.messages.len();
    }

    /// Notes that the log has to be compared with Redis; false if that is noted already.
    pub(crate) fn note_refresh(&self) -> bool {
        !self.refresh_due.replace(true)
    }

    /// Notes that the comparison begins.
    pub(crate) fn begin_refresh(&self) {
        self.refresh_due.set(false);
    }

    /// Sends the subscriber new entries from now on, until the topic releases it or it leaves.
    pub(crate) fn join(&self, subscriber: &Rc<LiveSubscriber>) {
        if self.head.get().cursor != Some(subscriber.position()) {
            self.ahead.set(true);
        }
        let index = self.subscribers.borrow_mut().insert(subscriber.clone());
        subscriber.joined(index);
    }

    /// Sends the subscriber nothing more.
    pub(crate) fn leave(&self, subscriber: &LiveSubscriber) {
        if let Some(index) = subscriber.left() {
            self.subscribers.borrow_mut().try_remove(index);
        }
    }

    /// Releases every subscriber.
    pub(crate) fn release_all(&self) {
        for subscriber in self.subscribers.borrow_mut().drain() {
            subscriber.release();
        }
    }

    /// Sends the news to the next subscribers, and takes their number off `budget`; false once all have
    /// it. A subscriber that cannot take it, or that only the log can tell what it lacks, is released.
    pub(crate) fn visit(&self, budget: &mut usize) -> bool {
        let Some(round) = self.round.get() else {
            return false;
        };
        // This borrow lasts while sockets are written to. That is sound because nothing below joins or
        // leaves a topic, or moves its head: a `LiveSubscriber` writes to its socket and wakes its task,
        // and that task, which joins and leaves, runs only after this function returns.
        let mut subscribers = self.subscribers.borrow_mut();
        let end = round
            .next
            .saturating_add(*budget)
            .min(subscribers.capacity());
        *budget -= end - round.next;
        let mut batches = Vec::new();
        for index in round.next..end {
            let subscriber = subscribers.get(index);
            if subscriber.is_some_and(|subscriber| !self.bring(subscriber, &mut batches)) {
                subscribers.remove(index).release();
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

    /// Sends one subscriber the news; false if it needs its own task. `batches` are the batches of this visit.
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

    fn advance(&self, position: Cursor, entry: &Entry, appended: Option<u64>) -> bool {
        let message = FramedMessage {
            appended,
            ..entry_message(self.id, position, entry).into()
        };
        if appended.is_some() && !self.subscribers.borrow().is_empty() {
            let bytes = message.frames.len();
            self.spans.borrow_mut().begin(self.id, entry, bytes);
        }
        self.recent.borrow_mut().push(message, self.max_bytes);
        self.move_to(Some(entry.cursor))
    }

    /// Notes that the log's head is `cursor` now. Returns true if that begins a round of visits, which the
    /// caller has to schedule; a round that is under way is followed by another.
    fn move_to(&self, cursor: Option<Cursor>) -> bool {
        let mut head = self.head.get();
        head.cursor = cursor;
        self.head.set(head);
        if self.subscribers.borrow().is_empty() {
            return false;
        }
        let round = self.round.get();
        self.round.set(Some(Round {
            next: round.map_or(0, |round| round.next),
            again: round.is_some(),
        }));
        round.is_none()
    }
}

#[cfg(test)]
mod tests {
    use ltm_types::Kind;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        dialect::messages::Messages,
        subscriber::{event_queue::EventQueue, outbound::Outbound},
    };

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
        let topic = Topic::new(id, max_bytes, 0, GatewayMetrics::new());
        assert!(!topic.restart(None, Some(cursor), false));
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
                prop_assert_eq!(topic.offer(entry, 0), Offered::Nothing);
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
        assert_eq!(topic.offer(&log[2], 0), Offered::Gap);
        let head = log[2].cursor;
        let window = Window {
            entries: log[1..].to_vec(),
            head,
        };
        assert!(!topic.extend(log[0].cursor, &window));
        assert_eq!(topic.offer(&log[1], 0), Offered::Nothing);
        assert_eq!(topic.offer(&log[2], 0), Offered::Nothing);
        assert_eq!(next(&topic, log[0].cursor), Some(log[1].cursor));
        assert_eq!(topic.head().cursor, Some(head));
    }

    #[test]
    fn an_entry_of_another_history_is_not_taken() {
        let log = history(Cursor::ORIGIN, &["a", "b"]);
        let other = history(log[0].cursor, &["B", "C"]);
        let topic = topic_at(log[1].cursor, 1000);
        assert_eq!(topic.offer(&other[0], 0), Offered::Gap);
        assert_eq!(topic.offer(&other[1], 0), Offered::Gap);
        assert!(!topic.restart(Some(log[1].cursor), Some(other[1].cursor), true));
        assert_eq!(topic.head().generation, 1);
        assert!(next(&topic, log[0].cursor).is_none());
    }

    #[test]
    fn what_a_late_read_brings_does_not_turn_the_topic_back() {
        let log = history(Cursor::ORIGIN, &["a", "b", "c"]);
        let topic = topic_at(log[0].cursor, 1000);
        assert_eq!(topic.offer(&log[1], 0), Offered::Nothing);
        assert!(!topic.restart(Some(log[0].cursor), Some(log[0].cursor), true));
        let window = Window {
            entries: vec![log[1].clone()],
            head: log[1].cursor,
        };
        assert!(!topic.extend(log[0].cursor, &window));
        assert_eq!(
            topic.head(),
            TopicHead {
                cursor: Some(log[1].cursor),
                ..TopicHead::default()
            }
        );
    }

    #[test]
    fn entries_that_nobody_needs_any_more_age_out() {
        let log = history(Cursor::ORIGIN, &["a", "b"]);
        let topic = topic_at(Cursor::ORIGIN, 1000);
        assert_eq!(topic.offer(&log[0], 0), Offered::Nothing);
        topic.age();
        assert_eq!(topic.offer(&log[1], 0), Offered::Nothing);
        topic.age();
        assert!(next(&topic, Cursor::ORIGIN).is_none());
        assert!(next(&topic, log[0].cursor).is_some());
        topic.age();
        assert_eq!(topic.recent.borrow().bytes, 0);
    }

    #[test]
    fn news_is_reported_once_until_every_subscriber_has_it() {
        let log = history(Cursor::ORIGIN, &["a", "b", "c"]);
        let topic = topic_at(Cursor::ORIGIN, 1000);
        let queue = Rc::new(EventQueue::new(1 << 20, Box::new(Messages)));
        let outbound = Rc::new(Outbound::events(queue));
        let subscribers = [Cursor::ORIGIN; 3].map(|at| LiveSubscriber::new(outbound.clone(), at));
        for subscriber in &subscribers {
            topic.join(subscriber);
        }
        assert_eq!(topic.offer(&log[0], 0), Offered::News);
        assert!(topic.visit(&mut 1), "two subscribers lack it");
        assert_eq!(topic.offer(&log[1], 0), Offered::Nothing, "it is scheduled");
        while topic.visit(&mut 1) {}
        for subscriber in &subscribers {
            assert_eq!(subscriber.position(), log[1].cursor);
        }
        assert_eq!(topic.offer(&log[2], 0), Offered::News);
    }
}
