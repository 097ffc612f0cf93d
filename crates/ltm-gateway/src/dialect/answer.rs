//! The seam between a subscription and the events of its answer.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::{LocalBoxFuture, ready};
use ltm_types::LtmId;

use crate::subscriber::close::CloseCause;

/// A protocol over Server-Sent Events, for one answer.
pub(crate) trait Dialect {
    /// Prepares what a large message becomes on another thread, for a call of [`Dialect::message`] soon after.
    fn prepare(&self, _text: Vec<Bytes>) -> LocalBoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    /// Whether [`Dialect::message`] takes little time for this message: it is small, or it is prepared.
    fn is_prepared(&self, _text: &[Bytes]) -> bool {
        true
    }

    /// Writes what a message becomes. The text comes in parts, which may be shared with other subscribers.
    fn message(&self, text: Vec<Bytes>, events: &mut Events) -> Then;

    /// Writes why the answer ends. It ends after these events, unless [`Then::End`] has ended it before. A list has no id.
    fn end(&self, id: Option<LtmId>, cause: &CloseCause, events: &mut Events);

    /// Whether the answer must end by itself if the client accepts nothing, before the server cuts the connection.
    fn ends_when_stalled(&self) -> bool {
        false
    }
}

/// How an answer goes on after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// With the next message.
    Continue,
    /// With a `reset`: the dialect cannot express this message without the state after it.
    Reset,
    /// Not at all.
    End,
}

/// The bytes of events that wait to be sent, in order. The parts of a large message share its memory with other
/// subscribers.
#[derive(Default)]
pub(crate) struct Events {
    parts: VecDeque<Bytes>,
    /// What comes after the parts: small messages and the lines between large ones.
    last: BytesMut,
    bytes: usize,
}

impl Events {
    /// Adds a copy of a text.
    pub(crate) fn write(&mut self, text: &[u8]) {
        self.last.put_slice(text);
        self.bytes += text.len();
    }

    /// Adds a part without a copy.
    pub(crate) fn share(&mut self, part: Bytes) {
        self.bytes += part.len();
        if !self.last.is_empty() {
            self.parts.push_back(self.last.split().freeze());
        }
        self.parts.push_back(part);
    }

    /// Removes the first part.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let part = self
            .parts
            .pop_front()
            .unwrap_or_else(|| std::mem::take(&mut self.last).freeze());
        self.bytes -= part.len();
        (!part.is_empty()).then_some(part)
    }

    /// How many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
