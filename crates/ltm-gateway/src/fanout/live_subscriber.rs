//! A subscriber that has everything its topic has. The fan-out writes new entries to its socket directly.

use std::{cell::Cell, rc::Rc};

use ltm_types::Cursor;

use crate::{fanout::message::Batch, subscriber::outbound::Outbound};

/// One subscriber of one LTM, as its topic sees it.
pub(crate) struct LiveSubscriber {
    outbound: Rc<Outbound>,
    position: Cell<Cursor>,
    ended: Cell<bool>,
    /// Its index among the topic's live subscribers, while it is one of them.
    index: Cell<Option<usize>>,
}

/// What a subscriber took of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Everything, and it can take more.
    All,
    /// Everything, but it needs its own task from now on: its socket did not accept all bytes, it needs a `reset`,
    /// or nothing comes after this batch.
    Last,
    /// Nothing: it needs its own task from now on.
    Nothing,
    /// Nothing: its own task prepares the batch first.
    Unprepared,
}

impl LiveSubscriber {
    /// A subscriber that has everything up to `position`.
    pub(crate) fn new(outbound: Rc<Outbound>, position: Cursor) -> Rc<Self> {
        Rc::new(Self {
            outbound,
            position: Cell::new(position),
            ended: Cell::new(false),
            index: Cell::new(None),
        })
    }

    /// Its cursor, counting what still waits for its socket.
    pub(crate) fn position(&self) -> Cursor {
        self.position.get()
    }

    /// Whether it has received the last message of the log.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Notes that it gets everything up to this cursor; `last` if the log ends there.
    pub(crate) fn advance(&self, to: Cursor, last: bool) {
        self.position.set(to);
        self.ended.set(last);
    }

    /// Whether it needs a `reset`, which its own task sends from now on.
    pub(crate) fn take_needs_reset(&self) -> bool {
        self.outbound.take_needs_reset()
    }

    /// Whether it lacks the context of the batch, and can get it.
    pub(crate) fn lacks_context(&self, batch: &Batch) -> bool {
        self.outbound.lacks_context(&batch.frames)
    }

    /// Whether its client can inflate messages in their context.
    pub(crate) fn keeps_context(&self) -> bool {
        self.outbound.keeps_context()
    }

    /// Whether its client can inflate.
    pub(crate) fn inflates(&self) -> bool {
        self.outbound.inflates()
    }

    /// Sends a batch; also returns how many bytes compression has saved.
    pub(crate) fn take(&self, batch: &Batch) -> (Taken, usize) {
        // The fan-out serves all LTMs of its thread.
        if !self.outbound.is_prepared(&batch.frames) {
            return (Taken::Unprepared, 0);
        }
        let Ok(saved) = self.outbound.send(&batch.frames) else {
            return (Taken::Nothing, 0);
        };
        self.advance(batch.to, batch.last);
        let taken = if !batch.last && self.outbound.is_clear() && !self.outbound.needs_reset() {
            Taken::All
        } else {
            Taken::Last
        };
        (taken, saved)
    }

    /// Notes that it is a live subscriber of the topic, with this index.
    pub(crate) fn joined(&self, index: usize) {
        self.index.set(Some(index));
    }

    /// Notes that it is no live subscriber any more; returns the index that it had.
    pub(crate) fn left(&self) -> Option<usize> {
        self.index.take()
    }

    /// Wakes its own task: the topic sends nothing more.
    pub(crate) fn release(&self) {
        self.index.set(None);
        self.outbound.notify();
    }

    /// Waits until the topic releases it, or something waits for its socket.
    pub(crate) async fn released(&self) {
        while self.index.get().is_some() && self.outbound.is_clear() {
            self.outbound.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::future::LocalBoxFuture;
    use ltm_types::LtmId;

    use super::*;
    use crate::{
        dialect::answer::{Dialect, Events, Then},
        fanout::frames::Frames,
        subscriber::{close::CloseCause, event_queue::EventQueue, large_messages::LargeMessages},
    };

    /// A dialect that takes long for a message which it has not prepared.
    #[derive(Default)]
    struct Slow {
        prepared: Cell<bool>,
    }

    impl Dialect for Slow {
        fn prepare(&self, _: Vec<Bytes>) -> LocalBoxFuture<'_, ()> {
            Box::pin(async { self.prepared.set(true) })
        }

        fn is_prepared(&self, _: &[Bytes]) -> bool {
            self.prepared.get()
        }

        fn message(&self, text: Vec<Bytes>, events: &mut Events) -> Then {
            let large = text.iter().map(Bytes::len).sum::<usize>() > 64 * 1024;
            assert!(self.prepared.get() || !large, "the fan-out does the work");
            events.write(b"data: 1\n\n");
            Then::Continue
        }

        fn end(&self, _: Option<LtmId>, _: &CloseCause, _: &mut Events) {}
    }

    fn batch(length: usize, to: &str) -> Batch {
        Batch {
            to: to.parse().unwrap(),
            last: false,
            frames: Frames::plain(&"x".repeat(length)),
            count: 1,
            appended: None,
        }
    }

    #[tokio::test]
    async fn the_fan_out_leaves_the_translation_of_a_large_message_to_the_subscriber() {
        let queue = Rc::new(EventQueue::new(1 << 20, Box::<Slow>::default()));
        let outbound = Rc::new(Outbound::events(queue, LargeMessages::unlimited()));
        let subscriber = LiveSubscriber::new(outbound.clone(), Cursor::ORIGIN);
        let (small, large) = (batch(100, "1-1"), batch(100_000, "1-2"));
        assert_eq!(subscriber.take(&small).0, Taken::All);
        assert_eq!(subscriber.take(&large).0, Taken::Unprepared);
        assert_eq!(subscriber.position(), small.to);
        outbound.prepare(&large.frames).await;
        assert_eq!(subscriber.take(&large).0, Taken::All);
        assert_eq!(subscriber.position(), large.to);
    }
}
