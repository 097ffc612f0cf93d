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
        let Some(saved) = self.outbound.send(&batch.frames) else {
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
