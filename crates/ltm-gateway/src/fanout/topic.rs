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
    compression::{limits::CompressionLimits, past::Past},
    fanout::{
        delivery_spans::DeliverySpans,
        entry_message::entry_message,
        frames::Frames,
        live_subscriber::{LiveSubscriber, Taken},
        message::{Batch, BatchBounds, FramedMessage},
    },
    metrics::GatewayMetrics,
};

/// A topic that compresses nothing for this many sweeps forgets what it has compressed.
const QUIET_SWEEPS: u32 = 10;

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
    bounds: TopicBounds,
    refresh_due: Cell<bool>,
    /// How many of those that follow can inflate, live or not.
    inflating: Cell<usize>,
    /// What was compressed for them; `None` if that is nothing, or long ago.
    past: RefCell<Option<Past>>,
    /// For how many sweeps nothing was compressed.
    quiet: Cell<u32>,
}

/// The limits of a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicBounds {
    /// The most bytes of the latest entries that it keeps.
    pub window: usize,
    /// The most bytes that it sends at once.
    pub batch: usize,
    /// What it compresses.
    pub compression: CompressionLimits,
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
    /// Whether it is a single message, for subscribers that lack the context of the others.
    single: bool,
    batch: Batch,
    /// How many of them have taken it.
    takers: usize,
    /// How many bytes compression has saved them.
    saved: usize,
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
    /// A topic within these limits.
    pub(crate) fn new(id: LtmId, bounds: TopicBounds, metrics: GatewayMetrics) -> Rc<Self> {
        Rc::new(Self {
            id,
            head: Cell::default(),
            recent: RefCell::default(),
            subscribers: RefCell::default(),
            ahead: Cell::new(false),
            round: Cell::default(),
            spans: RefCell::default(),
            metrics,
            bounds,
            refresh_due: Cell::new(false),
            inflating: Cell::new(0),
            past: RefCell::default(),
            quiet: Cell::new(0),
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
            bytes: self.bounds.batch,
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

    /// Drops the entries that were here at the previous call, and a past that nothing has continued for long.
    pub(crate) fn age(&self) {
        self.quiet.set(self.quiet.get().saturating_add(1));
        if self.quiet.get() > QUIET_SWEEPS {
            self.past.take();
        }
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

    /// Counts one more that follows and can inflate.
    pub(crate) fn begin_inflating(&self) {
        self.inflating.set(self.inflating.get() + 1);
    }

    /// Counts one less.
    pub(crate) fn end_inflating(&self) {
        self.inflating.set(self.inflating.get().saturating_sub(1));
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
            self.metrics.saved(sent.saved);
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
            let Some(sent) = self.batch_for(subscriber, batches) else {
                return false;
            };
            let (taken, saved) = subscriber.take(&sent.batch);
            sent.takers += usize::from(matches!(taken, Taken::All | Taken::Last));
            sent.saved += saved;
            if taken != Taken::All {
                if !sent.batch.last && taken != Taken::Unprepared {
                    self.metrics.slow();
                }
                return false;
            }
        }
        true
    }

    /// The next batch for a subscriber, if the topic has it: of all that it lacks, or of a single message if the others
    /// have a context that the subscriber does not have yet.
    fn batch_for<'a>(
        &self,
        subscriber: &LiveSubscriber,
        batches: &'a mut Vec<Sent>,
    ) -> Option<&'a mut Sent> {
        let from = subscriber.position();
        let mut made = self.made(from, false, batches)?;
        let all = &batches[made].batch;
        if all.count > 1 && subscriber.lacks_context(all) {
            made = self.made(from, true, batches)?;
        }
        batches.get_mut(made)
    }

    /// The index among `batches` of the batch that starts after `from`, of a single message or of all.
    fn made(&self, from: Cursor, single: bool, batches: &mut Vec<Sent>) -> Option<usize> {
        let is_it = |sent: &Sent| (sent.from, sent.single) == (from, single);
        batches.iter().position(is_it).or_else(|| {
            let mut bounds = self.bounds();
            if single {
                bounds.last = from.seq.saturating_add(1);
            }
            batches.push(Sent {
                from,
                single,
                batch: self.after(from, bounds)?,
                takers: 0,
                saved: 0,
            });
            Some(batches.len() - 1)
        })
    }

    fn advance(&self, position: Cursor, entry: &Entry, appended: Option<u64>) -> bool {
        let message = entry_message(self.id, position, entry);
        let message = FramedMessage {
            appended,
            ..FramedMessage::new(&message, self.frames(&message.text))
        };
        if appended.is_some() && !self.subscribers.borrow().is_empty() {
            let bytes = message.frames.len();
            self.spans.borrow_mut().begin(self.id, entry, bytes);
        }
        self.recent.borrow_mut().push(message, self.bounds.window);
        self.move_to(Some(entry.cursor))
    }

    /// The frames of a new message, compressed if enough subscribers can inflate.
    fn frames(&self, text: &str) -> Frames {
        let limits = self.bounds.compression;
        if !limits.allow_for(self.inflating.get()) || !limits.allow(text.len()) {
            return Frames::plain(text);
        }
        self.quiet.set(0);
        Frames::in_context(text, self.past.borrow_mut().get_or_insert_default())
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
mod tests;
