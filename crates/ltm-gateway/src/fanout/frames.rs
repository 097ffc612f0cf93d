//! Messages as WebSocket frames: the gateway encodes a message once, and every subscriber gets the same bytes. If
//! subscribers can inflate, there are up to three forms of them.

use std::sync::{Arc, OnceLock};

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};

use crate::compression::past::{Form, Past, Place, Window, compress_alone};

/// The largest payload of one WebSocket frame. A larger message goes in several frames, so that pings can go
/// between them (RFC 6455 section 5.4).
pub(super) const FRAGMENT: usize = 16 * 1024;
/// The bytes before the payload of a frame of [`FRAGMENT`] bytes. Only the last frame of a message is smaller.
const HEAD: usize = 4;
/// The bit in the first frame of a message that says that it is compressed (RFC 7692 section 6).
const COMPRESSED: u8 = 0x40;

/// The frames of one message, or of several that follow each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    /// Without compression; empty if the gateway sends nothing.
    plain: Bytes,
    compressed: Option<Arc<Compressed>>,
}

/// The forms for connections that can inflate.
#[derive(Debug)]
struct Compressed {
    place: Place,
    in_context: Bytes,
    /// The message for other connections, made when the first of them needs it; `None` inside if it is not smaller than
    /// the plain one. Several messages have none, and a message without context needs none.
    alone: Option<OnceLock<Option<Bytes>>>,
}

impl Frames {
    /// The frames of a text that is not compressed; none if it is empty.
    pub(crate) fn plain(text: &str) -> Self {
        Self::of_bytes(frames(text))
    }

    /// These frames, which are not compressed.
    pub(super) fn of_bytes(plain: Bytes) -> Self {
        Self {
            plain,
            compressed: None,
        }
    }

    /// The frames of a text, compressed with what the past ends with.
    pub(crate) fn in_context(text: &str, past: &mut Past) -> Self {
        Self::compressed(text, past.compress(text.as_bytes()))
    }

    /// The frames of a text that is compressed without a context.
    pub(crate) fn alone(text: &str) -> Self {
        Self::compressed(text, compress_alone(text.as_bytes()))
    }

    fn compressed(text: &str, compressed: Option<(Place, Vec<u8>)>) -> Self {
        let compressed = compressed.map(|(place, payload)| {
            Arc::new(Compressed {
                place,
                in_context: compressed_frames(&payload),
                alone: place.has_context().then(OnceLock::new),
            })
        });
        Self {
            plain: frames(text),
            compressed,
        }
    }

    /// The frames of consecutive messages, from their plain form and their form in context.
    pub(super) fn of_several(plain: Bytes, in_context: Bytes, place: Place) -> Self {
        let compressed = Compressed {
            place,
            in_context,
            alone: None,
        };
        Self {
            plain,
            compressed: Some(Arc::new(compressed)),
        }
    }

    /// These frames in one piece.
    pub(super) fn concat<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let plain = concat(all.clone().map(|it| &it.plain));
        let mut places = all
            .clone()
            .filter_map(|it| Some(it.compressed.as_ref()?.place));
        let Some(first) = places.next() else {
            return Self::of_bytes(plain);
        };
        let Some(place) = places.try_fold(first, Place::followed_by) else {
            return Self::of_bytes(plain);
        };
        let in_context = concat(all.map(|it| match &it.compressed {
            Some(compressed) => &compressed.in_context,
            None => &it.plain,
        }));
        Self::of_several(plain, in_context, place)
    }

    /// The frames without compression.
    pub(crate) fn uncompressed(&self) -> &Bytes {
        &self.plain
    }

    /// Their size without compression, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.plain.len()
    }

    /// The most memory that they take.
    pub(crate) fn weight(&self) -> usize {
        let compressed = self.compressed.as_ref().map_or(0, |compressed| {
            // The form without context is not larger than the plain one.
            let alone = compressed.alone.as_ref().map_or(0, |_| self.plain.len());
            compressed.in_context.len() + alone + size_of::<Compressed>()
        });
        self.plain.len() + compressed
    }

    /// Whether a client with this window lacks the context of these frames, and can get it.
    pub(crate) fn lack_context(&self, window: &Window) -> bool {
        let place = self.compressed.as_ref().map(|compressed| compressed.place);
        window.keeps_context() && place.is_some_and(|place| window.form(place) != Form::InContext)
    }

    /// The best form that a client with this window can read. [`Frames::sent`] notes that the client gets it.
    pub(crate) fn form(&self, window: &Window) -> (&Bytes, Form) {
        let plain = (&self.plain, Form::Plain);
        let Some(compressed) = &self.compressed else {
            return plain;
        };
        match window.form(compressed.place) {
            Form::InContext => (&compressed.in_context, Form::InContext),
            Form::Alone => match compressed.alone(&self.plain) {
                Some(alone) => (alone, Form::Alone),
                None => plain,
            },
            Form::Plain => plain,
        }
    }

    /// Notes that the client with this window gets the frames in this form.
    pub(crate) fn sent(&self, window: &Window, form: Form) {
        if let Some(compressed) = &self.compressed {
            window.sent(compressed.place, form);
        }
    }
}

impl Compressed {
    fn alone(&self, plain: &Bytes) -> Option<&Bytes> {
        let make = || {
            let text = texts(plain).next()?.concat();
            let (_, payload) = compress_alone(&text)?;
            Some(compressed_frames(&payload))
        };
        self.alone.as_ref()?.get_or_init(make).as_ref()
    }
}

fn concat<'a>(all: impl Iterator<Item = &'a Bytes> + Clone) -> Bytes {
    let mut whole = BytesMut::with_capacity(all.clone().map(Bytes::len).sum());
    for part in all {
        whole.extend_from_slice(part);
    }
    whole.freeze()
}

/// The WebSocket frames of a text; none if it is empty.
fn frames(text: &str) -> Bytes {
    let mut frames = BytesMut::new();
    write_frames(text.as_bytes(), &mut frames);
    frames.freeze()
}

pub(super) fn write_frames(text: &[u8], frames: &mut BytesMut) {
    let parts = text.len().div_ceil(FRAGMENT);
    frames.reserve(text.len() + parts * HEAD);
    for (number, part) in text.chunks(FRAGMENT).enumerate() {
        let opcode = if number == 0 {
            OpCode::Text
        } else {
            OpCode::Continue
        };
        Parser::write_message(frames, part, opcode, number + 1 == parts, false);
    }
}

fn compressed_frames(payload: &[u8]) -> Bytes {
    let mut frames = BytesMut::new();
    write_compressed_frames(payload, &mut frames);
    frames.freeze()
}

/// Writes the frames of a compressed text.
pub(super) fn write_compressed_frames(payload: &[u8], frames: &mut BytesMut) {
    let begin = frames.len();
    write_frames(payload, frames);
    if let Some(first) = frames.get_mut(begin) {
        *first |= COMPRESSED;
    }
}

/// The length of the first of these frames, which the gateway wrote: unmasked (RFC 6455 section 5.2).
pub(crate) fn frame_length(frames: &[u8]) -> usize {
    let byte = |at: usize| frames.get(at).copied().map_or(0, usize::from);
    match byte(1) & 0x7f {
        126 => 4 + (byte(2) << 8 | byte(3)),
        127 => 10 + (2..10).fold(0, |length, at| length << 8 | byte(at)),
        length => 2 + length,
    }
}

/// The texts of the messages in these frames, which the gateway wrote without compression. Server-Sent Events are
/// written from them.
///
/// A batch does not keep its texts and cursors beside its frames. They would take 24 bytes a message
/// (cursor and length) in each batch that waits for a WebSocket, and a pointer in the future of each
/// subscriber, for the few that follow by Server-Sent Events. Each text is a list of parts that share the frames'
/// memory.
pub(crate) fn texts(frames: &Bytes) -> impl Iterator<Item = Vec<Bytes>> {
    let mut rest = frames.clone();
    std::iter::from_fn(move || {
        let mut text = Vec::new();
        while !rest.is_empty() {
            let frame = rest.split_to(frame_length(&rest).min(rest.len()));
            let head = match frame.get(1)? & 0x7f {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            text.push(frame.slice(head.min(frame.len())..));
            // FIN (RFC 6455 section 5.2).
            if frame[0] & 0x80 != 0 {
                return Some(text);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The joined payloads of the frames, and the number of messages.
    fn read(frames: &[u8]) -> (Vec<u8>, usize) {
        let (mut rest, mut read, mut ended) = (frames, Vec::new(), 0);
        while !rest.is_empty() {
            let (frame, later) = rest.split_at(frame_length(rest));
            let mut frame = BytesMut::from(frame);
            let (last, _, payload) = Parser::parse(&mut frame, false, FRAGMENT).unwrap().unwrap();
            assert!(frame.is_empty());
            read.extend(payload.unwrap_or_default());
            ended += usize::from(last);
            rest = later;
        }
        (read, ended)
    }

    proptest! {
        #[test]
        fn a_message_comes_out_of_its_frames_as_it_went_in(length in 1usize..100_000) {
            let text: String = "0123456789ä".chars().cycle().take(length).collect();
            let (read, ended) = read(&frames(&text));
            prop_assert!(ended == 1 && read == text.as_bytes());
        }
    }
}
