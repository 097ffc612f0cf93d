//! The events of one subscriber by Server-Sent Events (HTML, section 9.2): the body of its response.
//!
//! The `id` of each event is the cursor of its message. A browser that reconnects sends it back in
//! `Last-Event-ID`.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    convert::Infallible,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use ltm_types::LtmId;
use serde_json::json;
use tokio::sync::Notify;

use crate::{fanout::message::texts, subscriber::close::CloseCause};

/// The events that wait to be sent.
pub(crate) struct EventQueue {
    waiting: RefCell<Waiting>,
    /// The queue takes events while fewer bytes than this wait.
    max: usize,
    /// Whether nothing comes after the waiting events.
    closed: Cell<bool>,
    /// Whether the client has left.
    left: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    changed: Notify,
}

/// The bytes that wait, in order. The parts of a large message share its memory with other subscribers.
#[derive(Default)]
struct Waiting {
    parts: VecDeque<Bytes>,
    /// What comes after the parts: small messages and the lines between large ones.
    last: BytesMut,
    bytes: usize,
}

impl Waiting {
    fn write(&mut self, text: &[u8]) {
        self.last.put_slice(text);
        self.bytes += text.len();
    }

    fn share(&mut self, part: Bytes) {
        self.bytes += part.len();
        if !self.last.is_empty() {
            self.parts.push_back(self.last.split().freeze());
        }
        self.parts.push_back(part);
    }

    fn take(&mut self) -> Option<Bytes> {
        let part = self
            .parts
            .pop_front()
            .unwrap_or_else(|| std::mem::take(&mut self.last).freeze());
        self.bytes -= part.len();
        (!part.is_empty()).then_some(part)
    }
}

impl EventQueue {
    /// An empty queue that takes messages while fewer than `max` bytes wait.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            waiting: RefCell::default(),
            max: max.max(1),
            closed: Cell::new(false),
            left: Cell::new(false),
            reader: RefCell::default(),
            changed: Notify::new(),
        }
    }

    /// Takes frames of messages as events; false if the queue is full or the client has left.
    pub(crate) fn send(&self, frames: &Bytes) -> bool {
        if !self.is_clear() || self.closed.get() || self.left.get() {
            return false;
        }
        for text in texts(frames) {
            write_event(text, &mut self.waiting.borrow_mut());
        }
        self.wake();
        true
    }

    /// Whether the queue takes events.
    pub(crate) fn is_clear(&self) -> bool {
        self.waiting.borrow().bytes < self.max
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
        while !self.left.get() && self.waiting.borrow().bytes > 0 {
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

    /// Sends the event `end` with the cause, and ends the body after it. A list has no id.
    pub(crate) fn end(&self, id: Option<LtmId>, cause: &CloseCause) {
        let data = json!({"id": id, "end": cause.to_json()});
        let last = format!("event: end\ndata: {data}\n\n");
        self.waiting.borrow_mut().write(last.as_bytes());
        self.close();
    }

    /// Ends the body after the waiting events.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// Writes one event. Line ends in the text are white space between JSON tokens, so spaces can replace them.
fn write_event(text: Vec<Bytes>, events: &mut Waiting) {
    if let Some(cursor) = text.first().and_then(|part| cursor_of(part)) {
        events.write(b"id: ");
        events.write(cursor);
        events.write(b"\n");
    }
    events.write(b"data: ");
    let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let is_large = text.len() > 1;
    for part in text {
        if part.iter().any(is_line_end) {
            let line = |byte: &u8| if is_line_end(byte) { b' ' } else { *byte };
            events.write(&part.iter().map(line).collect::<Vec<u8>>());
        } else if is_large {
            events.share(part);
        } else {
            events.write(&part);
        }
    }
    events.write(b"\n\n");
}

/// The cursor of a message. It is the first member of a message about a list. Otherwise it is the second one, after the
/// id, which is a number: so the first match is it.
fn cursor_of(text: &[u8]) -> Option<&[u8]> {
    const FIRST: &[u8] = br#"{"cursor":""#;
    const NAME: &[u8] = br#","cursor":""#;
    let rest = match text.strip_prefix(FIRST) {
        Some(rest) => rest,
        None => {
            let begin = text.windows(NAME.len()).position(|part| part == NAME)? + NAME.len();
            text.get(begin..)?
        }
    };
    let end = rest.iter().position(|&byte| byte == b'"')?;
    rest.get(..end)
}

/// The body of the response.
pub(crate) struct EventStream(pub Rc<EventQueue>);

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let queue = &self.0;
        let part = queue.waiting.borrow_mut().take();
        if let Some(part) = part {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::message::frames;

    #[test]
    fn a_message_is_one_event_with_its_cursor_whatever_its_size() {
        let queue = EventQueue::new(1);
        let large = "x".repeat(40_000);
        let first = format!("{{\"id\":7,\"cursor\":\"1-2\",\"snapshot\":\n\"{large}\"}}");
        let second = r#"{"id":7,"cursor":"2-3","live":true}"#;
        let both = [frames(&first), frames(second)].concat().into();
        assert!(queue.send(&both) && !queue.send(&both));
        let mut waiting = queue.waiting.borrow_mut();
        let sent = std::iter::from_fn(|| waiting.take()).flatten();
        let sent: Vec<u8> = sent.collect();
        assert_eq!(waiting.bytes, 0);
        let one_line = first.replace('\n', " ");
        let expected = format!("id: 1-2\ndata: {one_line}\n\nid: 2-3\ndata: {second}\n\n");
        assert_eq!(sent, expected.as_bytes());
    }
}
