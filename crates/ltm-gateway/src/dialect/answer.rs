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

/// The most bytes of a shared part that a connection takes at once.
const MAX_TAKEN: usize = 32 * 1024;

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

    /// Removes the first part, or the beginning of a large one: the connection holds a copy of what it takes.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let part = match self.parts.front_mut() {
            Some(large) if large.len() > MAX_TAKEN => large.split_to(MAX_TAKEN),
            Some(_) => self.parts.pop_front().unwrap_or_default(),
            None => std::mem::take(&mut self.last).freeze(),
        };
        self.bytes -= part.len();
        (!part.is_empty()).then_some(part)
    }

    /// How many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_takes_a_large_part_in_pieces_and_in_order() {
        let mut events = Events::default();
        events.write(b"before");
        let large = Bytes::from(vec![b'x'; 100_000]);
        events.share(large.clone());
        events.write(b"after");
        let (mut taken, mut left) = (Vec::new(), events.bytes());
        while let Some(part) = events.take() {
            assert!(part.len() <= MAX_TAKEN);
            left -= part.len();
            assert_eq!(events.bytes(), left);
            taken.extend_from_slice(&part);
        }
        assert_eq!(taken, [b"before", &large[..], b"after"].concat());
    }
}
