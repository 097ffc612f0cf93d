//! What the gateway sends to one subscriber: messages, with control frames between their frames (RFC 6455
//! section 5.4); or Server-Sent Events.
//!
//! There is no task and no buffer in between: the fan-out writes a message to the sockets itself. Only the bytes
//! that a socket does not accept at once wait, and later messages wait until these are sent.

use std::{cell::RefCell, collections::VecDeque, io, rc::Rc};

use actix_http::ws::{CloseReason, OpCode, Parser};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{FutureExt, future::LocalBoxFuture};
use ltm_service::Socket;
use tokio::sync::Notify;

use crate::{
    compression::{negotiation::Agreement, past::Window},
    fanout::frames::{Frames, frame_length},
    subscriber::{
        close::NotSent,
        event_queue::EventQueue,
        large_messages::{LARGE, LargeMessages, Room},
    },
};

/// How many control frames may wait for a socket that accepts nothing; further ones are dropped. A client that
/// sends more pings reaches `gateway.max_messages` before.
const MAX_WAITING: usize = 64;

/// The socket of a client: a seam, so that the simulation can put a slow client behind it.
pub(crate) trait Peer {
    /// As [`Socket::try_write`].
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// As [`Socket::writable`].
    fn writable(&self) -> LocalBoxFuture<'_, io::Result<()>>;

    /// As [`Socket::shut_down`].
    fn shut_down(&self);
}

impl Peer for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Self::try_write(self, bytes)
    }

    fn writable(&self) -> LocalBoxFuture<'_, io::Result<()>> {
        Self::writable(self).boxed_local()
    }

    fn shut_down(&self) {
        Self::shut_down(self);
    }
}

/// The sending side of one connection.
pub(crate) struct Outbound {
    wire: Wire,
    large_messages: LargeMessages,
    attention: Notify,
}

/// The kind of connection.
enum Wire {
    WebSocket(WebSocket),
    Events(Rc<EventQueue>),
}

/// A WebSocket.
struct WebSocket {
    socket: Rc<dyn Peer>,
    unsent: RefCell<Unsent>,
    /// `None` if the client cannot inflate.
    window: Option<Window>,
}

/// Bytes that the socket has not accepted yet.
#[derive(Default)]
struct Unsent {
    /// Frames of messages.
    messages: Bytes,
    /// How many of these bytes belong to a frame that is partly sent.
    begun: usize,
    /// Control frames.
    control: VecDeque<Bytes>,
    /// Whether the first of these is partly sent.
    control_begun: bool,
    /// Whether the last of these is the close frame, after which nothing is sent.
    closed: bool,
    /// The memory of the messages, if they are large.
    room: Option<Room>,
}

impl Outbound {
    /// The sending side of a WebSocket whose client has agreed to this compression.
    pub(crate) fn new(
        socket: Rc<dyn Peer>,
        compression: Option<Agreement>,
        large_messages: LargeMessages,
    ) -> Self {
        let web_socket = WebSocket {
            socket,
            unsent: RefCell::default(),
            window: compression.map(Window::new),
        };
        Self::of(Wire::WebSocket(web_socket), large_messages)
    }

    /// The sending side of Server-Sent Events.
    pub(crate) fn events(queue: Rc<EventQueue>, large_messages: LargeMessages) -> Self {
        Self::of(Wire::Events(queue), large_messages)
    }

    fn of(wire: Wire, large_messages: LargeMessages) -> Self {
        Self {
            wire,
            large_messages,
            attention: Notify::new(),
        }
    }

    /// Prepares what [`Outbound::send`] gets next, if that is large.
    pub(crate) async fn prepare(&self, frames: &Frames) {
        match &self.wire {
            // Boxed, so that subscribers that need no preparation do not hold its memory.
            Wire::Events(queue) if frames.len() > LARGE => {
                Box::pin(queue.prepare(frames.uncompressed())).await;
            }
            _ => {}
        }
    }

    /// Whether [`Outbound::send`] takes little time for these frames.
    pub(crate) fn is_prepared(&self, frames: &Frames) -> bool {
        match &self.wire {
            Wire::WebSocket(_) => true,
            Wire::Events(queue) => {
                frames.len() <= LARGE || queue.is_prepared(frames.uncompressed())
            }
        }
    }

    /// Sends frames of messages, in the best form that the client can read. Bytes that the socket does not accept wait.
    /// Returns how many bytes compression has saved.
    ///
    /// # Errors
    ///
    /// Why it took nothing.
    pub(crate) fn send(&self, frames: &Frames) -> Result<usize, NotSent> {
        let room = match frames.len() > LARGE {
            true => Some(self.large_messages.take(frames).ok_or(NotSent::NoRoom)?),
            false => None,
        };
        let saved = match &self.wire {
            Wire::WebSocket(web_socket) => web_socket.send(frames, room),
            Wire::Events(queue) => queue.send(frames.uncompressed(), room).then_some(0),
        };
        saved.ok_or(NotSent::Busy)
    }

    /// Whether the client can inflate.
    pub(crate) fn inflates(&self) -> bool {
        self.window().is_some()
    }

    /// Whether the client can inflate messages in their context.
    pub(crate) fn keeps_context(&self) -> bool {
        self.window().is_some_and(Window::keeps_context)
    }

    /// Whether the client lacks the context of these frames, and can get it.
    pub(crate) fn lacks_context(&self, frames: &Frames) -> bool {
        self.window()
            .is_some_and(|window| frames.lack_context(window))
    }

    fn window(&self) -> Option<&Window> {
        match &self.wire {
            Wire::WebSocket(web_socket) => web_socket.window.as_ref(),
            Wire::Events(_) => None,
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_clear(&self) -> bool {
        match &self.wire {
            Wire::WebSocket(web_socket) => web_socket.unsent.borrow().is_empty(),
            Wire::Events(queue) => queue.is_clear(),
        }
    }

    /// Whether the subscriber cannot go on without a `reset`.
    pub(crate) fn needs_reset(&self) -> bool {
        match &self.wire {
            Wire::WebSocket(_) => false,
            Wire::Events(queue) => queue.needs_reset(),
        }
    }

    /// As [`Outbound::needs_reset`], and takes note that a `reset` follows.
    pub(crate) fn take_needs_reset(&self) -> bool {
        match &self.wire {
            Wire::WebSocket(_) => false,
            Wire::Events(queue) => queue.take_needs_reset(),
        }
    }

    /// Waits until everything is sent.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    pub(crate) async fn flushed(&self) -> io::Result<()> {
        match &self.wire {
            Wire::WebSocket(web_socket) => web_socket.flushed().await,
            Wire::Events(queue) => queue.flushed().await,
        }
    }

    /// Pings the client.
    pub(crate) fn ping(&self) {
        match &self.wire {
            Wire::WebSocket(_) => self.control(frame(b"", OpCode::Ping)),
            Wire::Events(queue) => queue.ping(),
        }
    }

    /// Answers a ping.
    pub(crate) fn pong(&self, payload: &[u8]) {
        self.control(frame(payload, OpCode::Pong));
    }

    /// Sends the close frame of a WebSocket, after a frame that is partly sent. It is the last frame.
    pub(crate) fn close(&self, reason: CloseReason) {
        let Wire::WebSocket(web_socket) = &self.wire else {
            return;
        };
        let mut frame = BytesMut::new();
        Parser::write_close(&mut frame, Some(reason), false);
        let mut unsent = web_socket.unsent.borrow_mut();
        let begun = unsent.begun;
        unsent.messages.truncate(begun);
        unsent.control.push_back(frame.freeze());
        unsent.closed = true;
    }

    /// Ends the sending side of the connection.
    pub(crate) fn shut_down(&self) {
        if let Wire::WebSocket(web_socket) = &self.wire {
            web_socket.socket.shut_down();
        }
    }

    /// Wakes the tasks that wait for [`Outbound::notified`].
    pub(crate) fn notify(&self) {
        // Each of them checks its condition before it waits, so no wake is lost.
        self.attention.notify_waiters();
    }

    /// Waits for [`Outbound::notify`].
    pub(crate) async fn notified(&self) {
        self.attention.notified().await;
    }

    fn control(&self, frame: Bytes) {
        if let Wire::WebSocket(web_socket) = &self.wire
            && !web_socket.control(frame)
        {
            self.notify();
        }
    }
}

impl WebSocket {
    fn send(&self, frames: &Frames, room: Option<Room>) -> Option<usize> {
        let mut unsent = self.unsent.borrow_mut();
        if !unsent.is_empty() || unsent.closed {
            return None;
        }
        let Some(window) = &self.window else {
            return self
                .write(frames.uncompressed(), room, &mut unsent)
                .then_some(0);
        };
        let (bytes, form) = frames.form(window);
        if !self.write(bytes, room, &mut unsent) {
            return None;
        }
        // The client gets all of them, or its connection ends.
        frames.sent(window, form);
        Some(frames.len().saturating_sub(bytes.len()))
    }

    /// Writes what the socket accepts, and lets the rest wait; false if the connection has ended.
    fn write(&self, bytes: &Bytes, room: Option<Room>, unsent: &mut Unsent) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let count = match self.socket.try_write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return false,
        };
        if count < bytes.len() {
            unsent.messages = bytes.clone();
            unsent.room = room;
            unsent.sent(count);
        }
        true
    }

    async fn flushed(&self) -> io::Result<()> {
        while !self.unsent.borrow_mut().advance(&*self.socket)? {
            self.socket.writable().await?;
        }
        Ok(())
    }

    /// Sends a control frame; false if it has to wait.
    fn control(&self, frame: Bytes) -> bool {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.closed || unsent.control.len() >= MAX_WAITING {
            return true;
        }
        unsent.control.push_back(frame);
        // A task that waits for the socket gets the error.
        unsent.advance(&*self.socket).unwrap_or(false)
    }
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.control.is_empty()
    }

    /// Sends what the socket accepts; true if nothing is left.
    fn advance(&mut self, socket: &dyn Peer) -> io::Result<bool> {
        while !self.is_empty() {
            let control = self
                .control
                .front()
                .filter(|_| self.control_begun || self.begun == 0);
            let frames = match control {
                Some(frame) => &frame[..],
                // Control frames follow as soon as the current frame ends.
                None if !self.control.is_empty() => &self.messages[..self.begun],
                None => &self.messages[..],
            };
            let is_control = control.is_some();
            match socket.try_write(frames) {
                Ok(count) if is_control => self.control_sent(count),
                Ok(count) => self.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn control_sent(&mut self, count: usize) {
        self.control_begun = false;
        if let Some(frame) = self.control.front_mut() {
            frame.advance(count);
            self.control_begun = !frame.is_empty();
        }
        if !self.control_begun {
            self.control.pop_front();
        }
    }

    /// Drops this many bytes of the messages.
    fn sent(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            if self.begun == 0 {
                self.begun = frame_length(&self.messages);
            }
            let part = left.min(self.begun);
            self.messages.advance(part);
            self.begun -= part;
            left -= part;
        }
        if self.messages.is_empty() {
            self.room = None;
        }
    }
}

fn frame(payload: &[u8], opcode: OpCode) -> Bytes {
    let mut frame = BytesMut::new();
    Parser::write_message(&mut frame, payload, opcode, true, false);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a socket takes at a time, a control frame goes at the end of a frame.
        #[test]
        fn what_is_left_of_a_message_begins_where_its_frame_does(
            length in 1usize..60_000, parts in prop::collection::vec(1usize..20_000, 1..10),
        ) {
            let all = Frames::plain(&"x".repeat(length)).uncompressed().clone();
            let mut unsent = Unsent { messages: all.clone(), ..Unsent::default() };
            let mut begins = vec![0];
            while begins[begins.len() - 1] < all.len() {
                let begin = begins[begins.len() - 1];
                begins.push(begin + frame_length(&all[begin..]));
            }
            let mut sent = 0;
            for part in parts {
                let part = part.min(all.len() - sent);
                unsent.sent(part);
                sent += part;
                prop_assert_eq!(&unsent.messages, &all[sent..]);
                let end = begins.iter().find(|&&begin| begin >= sent).unwrap();
                prop_assert_eq!(unsent.begun, end - sent);
            }
        }
    }
}
