//! Messages as WebSocket frames: the gateway encodes a message once, and every subscriber gets the same bytes.

use std::sync::Arc;

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};
use ltm_types::{Cursor, EncodedMessage};

/// The largest payload of one WebSocket frame. A larger message goes in several frames, so that pings can go
/// between them (RFC 6455 section 5.4).
const FRAGMENT: usize = 16 * 1024;
/// The bytes before the payload of a frame of [`FRAGMENT`] bytes. Only the last frame of a message is smaller.
const HEAD: usize = 4;

/// One message, and the cursor of a subscriber that has received it.
#[derive(Clone, Debug)]
pub(crate) struct FramedMessage {
    /// The subscriber's cursor after this message.
    pub cursor: Cursor,
    /// The cursor before it: the message is only for a subscriber with this cursor.
    pub previous: Cursor,
    /// Whether the log ends with this message.
    pub last: bool,
    /// Its WebSocket frames; empty if the gateway sends nothing for the entry.
    pub frames: Bytes,
    /// When a live entry was appended, in microseconds since 1970.
    pub appended: Option<u64>,
}

impl FramedMessage {
    /// Its size in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.frames.len() + size_of::<Self>()
    }
}

impl From<EncodedMessage> for FramedMessage {
    fn from(message: EncodedMessage) -> Self {
        Self {
            cursor: message.cursor,
            previous: message.previous,
            last: message.last,
            frames: frames(&message.text),
            appended: None,
        }
    }
}

/// The WebSocket frames of a text; none if it is empty.
pub(crate) fn frames(text: &str) -> Bytes {
    let mut frames = BytesMut::new();
    write_frames(text, &mut frames);
    frames.freeze()
}

fn write_frames(text: &str, frames: &mut BytesMut) {
    let parts = text.len().div_ceil(FRAGMENT);
    frames.reserve(text.len() + parts * HEAD);
    for (number, part) in text.as_bytes().chunks(FRAGMENT).enumerate() {
        let opcode = if number == 0 {
            OpCode::Text
        } else {
            OpCode::Continue
        };
        Parser::write_message(frames, part, opcode, number + 1 == parts, false);
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

/// The texts of the messages in these frames, which the gateway wrote. Server-Sent Events are written from
/// them.
///
/// A [`Batch`] does not keep its texts and cursors beside its frames. They would take 24 bytes a message
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

/// Consecutive messages in one piece, for a subscriber whose cursor is before the first of them.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// The subscriber's cursor after these messages.
    pub to: Cursor,
    /// Whether the log ends with them.
    pub last: bool,
    /// Their frames.
    pub frames: Bytes,
    /// The number of messages.
    pub count: usize,
    /// When the first of them was appended, if it is a live entry.
    pub appended: Option<u64>,
}

/// The limits of one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchBounds {
    /// The maximum number of bytes; a single message may be larger.
    pub bytes: usize,
    /// The `seq` after which the batch ends.
    pub last: u64,
}

/// The number of `messages` in a batch that starts after `position`, their size in bytes, and the last of them.
fn batch<'a>(
    position: Cursor,
    messages: impl Iterator<Item = &'a FramedMessage>,
    bounds: BatchBounds,
) -> (usize, usize, Option<&'a FramedMessage>) {
    let (mut count, mut bytes, mut end) = (0, 0, None::<&FramedMessage>);
    for message in messages {
        let at = end.map_or(position, |message| message.cursor);
        let full = count > 0 && bytes + message.frames.len() > bounds.bytes;
        let over = end.is_some_and(|end| end.last || end.cursor.seq >= bounds.last);
        if message.previous != at || full || over {
            break;
        }
        count += 1;
        bytes += message.frames.len();
        end = Some(message);
    }
    (count, bytes, end)
}

impl Batch {
    /// A batch of the messages after `position`; `None` if `messages` do not start there.
    pub(crate) fn of<'a>(
        position: Cursor,
        messages: impl Iterator<Item = &'a FramedMessage> + Clone,
        bounds: BatchBounds,
    ) -> Option<Self> {
        let (count, bytes, end) = batch(position, messages.clone(), bounds);
        let end = end?;
        let appended = messages.clone().next().and_then(|first| first.appended);
        let frames = if count == 1 {
            end.frames.clone()
        } else {
            let mut frames = BytesMut::with_capacity(bytes);
            for message in messages.take(count) {
                frames.extend_from_slice(&message.frames);
            }
            frames.freeze()
        };
        Some(Self {
            to: end.cursor,
            last: end.last,
            frames,
            count,
            appended,
        })
    }
}

/// A part of a log as consecutive messages. Their frames share one buffer.
#[derive(Debug)]
pub(crate) struct LogPage {
    messages: Box<[FramedMessage]>,
    frames: Bytes,
}

impl FromIterator<EncodedMessage> for LogPage {
    fn from_iter<T: IntoIterator<Item = EncodedMessage>>(all: T) -> Self {
        let mut frames = BytesMut::new();
        let mut begin = 0;
        let mut messages: Vec<(EncodedMessage, std::ops::Range<usize>)> = Vec::new();
        for mut message in all {
            write_frames(&message.text, &mut frames);
            message.text = Default::default();
            messages.push((message, begin..frames.len()));
            begin = frames.len();
        }
        let frames = frames.freeze();
        let message = |(message, range): (EncodedMessage, std::ops::Range<usize>)| FramedMessage {
            cursor: message.cursor,
            previous: message.previous,
            last: message.last,
            frames: frames.slice(range),
            appended: None,
        };
        Self {
            messages: messages.into_iter().map(message).collect(),
            frames,
        }
    }
}

impl LogPage {
    /// Its size in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.frames.len() + self.messages.len() * size_of::<FramedMessage>()
    }
}

/// How far a subscriber has read a page.
pub(crate) struct LogPageReader {
    page: Arc<LogPage>,
    next: usize,
    begin: usize,
}

impl LogPageReader {
    /// A reader at the beginning of the page.
    pub(crate) fn new(page: Arc<LogPage>) -> Self {
        Self {
            page,
            next: 0,
            begin: 0,
        }
    }

    /// A batch of the messages after `position`; `None` if the page holds none.
    pub(crate) fn next(&mut self, position: Cursor, bounds: BatchBounds) -> Option<Batch> {
        let rest = self.page.messages.get(self.next..)?;
        let (count, bytes, end) = batch(position, rest.iter(), bounds);
        let end = end?;
        let batch = Batch {
            to: end.cursor,
            last: end.last,
            frames: self.page.frames.slice(self.begin..self.begin + bytes),
            count,
            appended: None,
        };
        self.next += count;
        self.begin += bytes;
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use ltm_types::{Entry, Kind, LtmId};
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

        /// From a page and from single messages, in batches of any size.
        #[test]
        fn batches_hold_every_message_once_in_order(
            sizes in prop::collection::vec(0usize..300, 1..40), bytes in 0usize..1000, stop in 0u64..40,
        ) {
            let id = LtmId::new(1).unwrap();
            let mut position = Cursor::ORIGIN;
            let log: Vec<EncodedMessage> = sizes.iter().map(|size| {
                let entry = Entry::after(position, Kind::Snapshot, "x".repeat(*size).into());
                let frame = ltm_types::entry_message(id, position, &entry);
                position = entry.cursor;
                frame
            }).collect();
            let whole: Vec<u8> = log.iter().flat_map(|frame| frames(&frame.text)).collect();
            let single: Vec<FramedMessage> = log.iter().cloned().map(FramedMessage::from).collect();
            let mut reader = LogPageReader::new(Arc::new(log.into_iter().collect()));
            let (mut at, mut got) = (Cursor::ORIGIN, Vec::new());
            while at != position {
                let last = if at.seq < stop { stop } else { u64::MAX };
                let bounds = BatchBounds { bytes, last };
                let from = usize::try_from(at.seq).unwrap();
                let paged = reader.next(at, bounds).unwrap();
                let batch = Batch::of(at, single[from..].iter(), bounds).unwrap();
                prop_assert_eq!((paged.to, &paged.frames), (batch.to, &batch.frames));
                prop_assert!(batch.to.seq <= last && batch.to > at);
                prop_assert!(batch.to.seq == at.seq + 1 || batch.frames.len() <= bytes);
                at = batch.to;
                got.extend(batch.frames);
            }
            prop_assert_eq!(got, whole);
            let bounds = BatchBounds { bytes, last: u64::MAX };
            prop_assert!(reader.next(at, bounds).is_none());
        }
    }
}
