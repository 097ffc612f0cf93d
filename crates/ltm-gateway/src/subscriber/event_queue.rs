//! The events of one subscriber by Server-Sent Events (HTML, section 9.2): the body of its response. A dialect writes
//! them.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_util::Stream;
use ltm_types::LtmId;
use tokio::{
    sync::Notify,
    time::{Duration, Instant, timeout_at},
};

use crate::{
    dialect::answer::{Dialect, Events, Then},
    fanout::frames::texts,
    subscriber::{close::CloseCause, large_messages::Room},
};

/// The events that wait to be sent.
pub(crate) struct EventQueue {
    waiting: RefCell<Events>,
    /// The memory of the large messages among them.
    rooms: RefCell<Vec<Room>>,
    dialect: Box<dyn Dialect>,
    /// The queue takes events while fewer bytes than this wait.
    max: usize,
    /// Whether nothing comes after the waiting events.
    closed: Cell<bool>,
    /// Whether the client has left.
    left: Cell<bool>,
    /// Whether the dialect has ended the answer.
    finished: Cell<bool>,
    /// Whether the dialect needs a `reset`.
    needs_reset: Cell<bool>,
    /// When the client last accepted something, or something began to wait for it.
    accepted: Cell<Option<Instant>>,
    reader: RefCell<Option<Waker>>,
    changed: Notify,
}

impl EventQueue {
    /// An empty queue that takes messages while fewer than `max` bytes wait.
    pub(crate) fn new(max: usize, dialect: Box<dyn Dialect>) -> Self {
        Self {
            waiting: RefCell::default(),
            rooms: RefCell::default(),
            dialect,
            max: max.max(1),
            closed: Cell::new(false),
            left: Cell::new(false),
            finished: Cell::new(false),
            needs_reset: Cell::new(false),
            accepted: Cell::new(None),
            reader: RefCell::default(),
            changed: Notify::new(),
        }
    }

    /// Prepares the events of frames that [`EventQueue::send`] gets next.
    pub(crate) async fn prepare(&self, frames: &Bytes) {
        for text in texts(frames) {
            self.dialect.prepare(text).await;
        }
    }

    /// Whether [`EventQueue::send`] takes little time for these frames.
    pub(crate) fn is_prepared(&self, frames: &Bytes) -> bool {
        texts(frames).all(|text| self.dialect.is_prepared(&text))
    }

    /// Takes frames of messages as events; false if the queue is full or the client has left.
    pub(crate) fn send(&self, frames: &Bytes, room: Option<Room>) -> bool {
        if !self.is_clear() || self.closed.get() || self.left.get() {
            return false;
        }
        self.rooms.borrow_mut().extend(room);
        for text in texts(frames) {
            match self.dialect.message(text, &mut self.waiting.borrow_mut()) {
                Then::Continue => continue,
                Then::Reset => self.needs_reset.set(true),
                Then::End => {
                    self.finished.set(true);
                    self.closed.set(true);
                    self.changed.notify_waiters();
                }
            }
            // A `reset` replaces the rest of these messages.
            break;
        }
        self.wake();
        true
    }

    /// Whether the dialect needs a `reset`.
    pub(crate) fn needs_reset(&self) -> bool {
        self.needs_reset.get()
    }

    /// Takes note that the subscription sends a `reset`; whether the dialect needs one.
    pub(crate) fn take_needs_reset(&self) -> bool {
        self.needs_reset.take()
    }

    /// Waits until the dialect has ended the answer.
    pub(crate) async fn finished(&self) {
        while !self.finished.get() {
            self.changed.notified().await;
        }
    }

    /// Waits until the client has accepted nothing for this long, if that ends the answer.
    pub(crate) async fn stalled(&self, longest: Duration) {
        if !self.dialect.ends_when_stalled() {
            return std::future::pending().await;
        }
        loop {
            let begun = self.accepted.get().filter(|_| !self.is_empty());
            let Some(begun) = begun else {
                self.changed.notified().await;
                continue;
            };
            if timeout_at(begun + longest, self.changed.notified())
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Whether the queue takes events.
    pub(crate) fn is_clear(&self) -> bool {
        self.waiting.borrow().bytes() < self.max
    }

    /// Waits until the queue takes events.
    ///
    /// # Errors
    ///
    /// If the client has left.
    pub(crate) async fn flushed(&self) -> io::Result<()> {
        while !self.left.get() {
            if self.is_clear() {
                return Ok(());
            }
            self.changed.notified().await;
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }

    /// Waits until all events are sent, or the client has left.
    pub(crate) async fn emptied(&self) {
        while !self.left.get() && !self.is_empty() {
            self.changed.notified().await;
        }
    }

    /// Waits until the client has left.
    pub(crate) async fn abandoned(&self) {
        while !self.left.get() {
            self.changed.notified().await;
        }
    }

    /// Sends a comment: a proxy sees that the connection is in use, and the server detects a broken one.
    pub(crate) fn ping(&self) {
        if self.is_clear() && !self.closed.get() {
            self.waiting.borrow_mut().write(b": ping\n\n");
            self.wake();
        }
    }

    /// Sends what the dialect says about the cause, and ends the body after it. A list has no id.
    pub(crate) fn end(&self, id: Option<LtmId>, cause: &CloseCause) {
        if !self.closed.get() {
            self.dialect.end(id, cause, &mut self.waiting.borrow_mut());
        }
        self.close();
    }

    /// Ends the body after the waiting events.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.wake();
    }

    fn is_empty(&self) -> bool {
        self.waiting.borrow().bytes() == 0
    }

    fn wake(&self) {
        if !self.is_empty() && self.accepted.get().is_none() {
            self.accepted.set(Some(Instant::now()));
            self.changed.notify_waiters();
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The body of the response.
pub(crate) struct EventStream(pub Rc<EventQueue>);

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let queue = &self.0;
        let part = queue.waiting.borrow_mut().take();
        if let Some(part) = part {
            let waits = !queue.is_empty();
            if !waits {
                queue.rooms.take();
            }
            queue.accepted.set(waits.then(Instant::now));
            queue.changed.notify_waiters();
            return Poll::Ready(Some(Ok(part)));
        }
        if queue.closed.get() {
            return Poll::Ready(None);
        }
        queue.reader.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.0.left.set(true);
        self.0.changed.notify_waiters();
    }
}
