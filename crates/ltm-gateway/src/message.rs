//! A message as it goes over the sockets: encoded once, and the same bytes for every subscriber.

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};
use ltm_types::{Cursor, Frame};

/// What one WebSocket frame holds at most: a big message goes in several, so that pings can go
/// between (RFC 6455 section 5.4).
pub(crate) const FRAGMENT: usize = 16 * 1024;

/// One message, and where a subscriber stands once it has it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The subscriber's cursor after this message.
    pub cursor: Cursor,
    /// The cursor before it; a message is only for a subscriber that stands here.
    pub previous: Cursor,
    /// Whether the log ends with it.
    pub last: bool,
    /// Its WebSocket frames; none where nothing is sent for it.
    pub wire: Wire,
}

/// The WebSocket frames of one message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Bytes);

impl Message {
    /// The bytes that it holds in memory.
    pub(crate) fn weight(&self) -> usize {
        self.wire.0.len() + size_of::<Self>()
    }
}

impl From<Frame> for Message {
    fn from(frame: Frame) -> Self {
        Self {
            cursor: frame.cursor,
            previous: frame.previous,
            last: frame.last,
            wire: Wire::of(&frame.text),
        }
    }
}

impl Wire {
    /// The frames of a text; none where it is empty.
    pub(crate) fn of(text: &str) -> Self {
        let parts = text.len().div_ceil(FRAGMENT);
        let mut wire = BytesMut::with_capacity(text.len() + parts * HEAD);
        for (number, part) in text.as_bytes().chunks(FRAGMENT).enumerate() {
            let opcode = if number == 0 {
                OpCode::Text
            } else {
                OpCode::Continue
            };
            Parser::write_message(&mut wire, part, opcode, number + 1 == parts, false);
        }
        Self(wire.freeze())
    }

    /// Whether there is nothing more.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the next frame out.
    pub(crate) fn next_frame(&mut self) -> Option<Bytes> {
        let size = self.0.len().min(HEAD + FRAGMENT);
        (size > 0).then(|| self.0.split_to(size))
    }
}

/// The bytes before the payload of a frame as large as [`FRAGMENT`]; only the last is smaller.
const HEAD: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_comes_out_of_its_frames_as_it_went_in(length in 1usize..100_000) {
            let text: String = "0123456789ä".chars().cycle().take(length).collect();
            let mut wire = Wire::of(&text);
            let (mut read, mut ended) = (Vec::new(), false);
            while let Some(frame) = wire.next_frame() {
                let mut frame = BytesMut::from(frame);
                let parsed = Parser::parse(&mut frame, false, FRAGMENT).unwrap();
                let (last, opcode, payload) = parsed.unwrap();
                prop_assert!(frame.is_empty() && !ended);
                prop_assert_eq!(opcode == OpCode::Text, read.is_empty());
                read.extend(payload.unwrap_or_default());
                ended = last;
            }
            prop_assert!(ended && read == text.as_bytes());
        }
    }
}
