//! A subscriber that has all that its topic knows: whoever brings news writes it to its socket at once.

use std::{cell::Cell, rc::Rc};

use ltm_types::Cursor;

use crate::{fanout::message::Batch, subscriber::outbound::Outbound};

/// One subscriber of one LTM, as its topic sees it.
pub(crate) struct LiveSubscriber {
    outbound: Rc<Outbound>,
    position: Cell<Cursor>,
    ended: Cell<bool>,
    /// Which of the topic's members it is, while it is one.
    number: Cell<Option<usize>>,
}

/// What a member took of what it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All, and it can take more.
    All,
    /// All, and it needs its own task from now on: its socket did not, or nothing comes after it.
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
            number: Cell::new(None),
        })
    }

    /// Up to where it has everything, or will with what waits for its socket.
    pub(crate) fn position(&self) -> Cursor {
        self.position.get()
    }

    /// Whether nothing more can come.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Notes that it is sent what leads there.
    pub(crate) fn advance(&self, to: Cursor, last: bool) {
        self.position.set(to);
        self.ended.set(last);
    }

    /// Sends it a batch.
    pub(crate) fn take(&self, batch: &Batch) -> Taken {
        if !self.outbound.send(&batch.frames) {
            return Taken::Nothing;
        }
        self.advance(batch.to, batch.last);
        if !batch.last && self.outbound.is_clear() {
            Taken::All
        } else {
            Taken::Last
        }
    }

    /// It is the topic's member with this number now.
    pub(crate) fn joined(&self, number: usize) {
        self.number.set(Some(number));
    }

    /// It is none any more; gives the number that it had.
    pub(crate) fn left(&self) -> Option<usize> {
        self.number.take()
    }

    /// The topic sends it nothing more: its own task has to see why.
    pub(crate) fn release(&self) {
        self.number.set(None);
        self.outbound.notify();
    }

    /// Waits until the topic has released it, or its socket has something waiting.
    pub(crate) async fn released(&self) {
        while self.number.get().is_some() && self.outbound.is_clear() {
            self.outbound.notified().await;
        }
    }
}
