//! The control frames (RFC 6455 section 5.5) for one socket: they go before its messages.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, task::Waker};

use actix_http::ws::{CloseReason, OpCode, Parser};
use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

/// How many may wait for a socket that takes nothing; further ones are left out. Who sends more pings
/// than are answered says too much before that.
const MAX_WAITING: usize = 64;

/// What waits to be sent, shared by who says it and the connection.
#[derive(Clone, Default)]
pub(crate) struct Control {
    waiting: Rc<RefCell<Waiting>>,
    ended: Rc<Notify>,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    closed: bool,
    connection: Option<Waker>,
}

/// What the connection is to send.
pub(crate) enum Next {
    Frame(Bytes),
    /// Nothing ever more: the close has been sent.
    Ended,
    /// No control frame for now.
    Nothing,
}

impl Control {
    /// Asks for a sign of life.
    pub(crate) fn ping(&self) {
        self.push(frame(b"", OpCode::Ping));
    }

    /// Answers a ping.
    pub(crate) fn pong(&self, payload: &[u8]) {
        self.push(frame(payload, OpCode::Pong));
    }

    /// Says why there will be nothing more; it is the last that is sent.
    pub(crate) fn close(&self, reason: CloseReason) {
        let mut frame = BytesMut::new();
        Parser::write_close(&mut frame, Some(reason), false);
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.closed {
            waiting.frames.push_back(frame.freeze());
            waiting.closed = true;
        }
        waiting.wake();
    }

    /// Waits until the connection has taken the close, or has ended.
    pub(crate) async fn closed(&self) {
        self.ended.notified().await;
    }

    /// The connection has ended, or will take nothing more.
    pub(crate) fn end(&self) {
        self.ended.notify_one();
    }

    /// What is to be sent now; `waker` is woken when there is more.
    pub(crate) fn next(&self, waker: &Waker) -> Next {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(frame) = waiting.frames.pop_front() {
            return Next::Frame(frame);
        }
        if waiting.closed {
            self.end();
            return Next::Ended;
        }
        match &mut waiting.connection {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Next::Nothing
    }

    fn push(&self, frame: Bytes) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.closed && waiting.frames.len() < MAX_WAITING {
            waiting.frames.push_back(frame);
            waiting.wake();
        }
    }
}

impl Waiting {
    fn wake(&self) {
        if let Some(connection) = &self.connection {
            connection.wake_by_ref();
        }
    }
}

fn frame(payload: &[u8], opcode: OpCode) -> Bytes {
    let mut frame = BytesMut::new();
    Parser::write_message(&mut frame, payload, opcode, true, false);
    frame.freeze()
}
