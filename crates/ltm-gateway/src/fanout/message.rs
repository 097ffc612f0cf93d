//! A message as it goes over the sockets: encoded once, and the same bytes for every subscriber.

use std::sync::Arc;

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};
use ltm_types::{Cursor, EncodedMessage};

/// What one WebSocket frame holds at most: a big message goes in several, so that pings can go
/// between (RFC 6455 section 5.4).
const FRAGMENT: usize = 16 * 1024;
/// The bytes before the payload of a frame as large as [`FRAGMENT`]; only the last is smaller.
const HEAD: usize = 4;

/// One message, and where a subscriber stands once it has it.
#[derive(Clone, Debug)]
pub(crate) struct FramedMessage {
    /// The subscriber's cursor after this message.
    pub cursor: Cursor,
    /// The cursor before it; a message is only for a subscriber that stands here.
    pub previous: Cursor,
    /// Whether the log ends with it.
    pub last: bool,
    /// Its WebSocket frames; none where nothing is sent for it.
    pub frames: Bytes,
    /// When it was appended, in microseconds since 1970, where it came live.
    pub appended: Option<u64>,
}

impl FramedMessage {
    /// The bytes that it holds in memory.
    pub(crate) fn weight(&self) -> usize {
        self.frames.len() + size_of::<Self>()
    }
}

impl From<EncodedMessage> for FramedMessage {
    fn from(frame: EncodedMessage) -> Self {
        Self {
            cursor: frame.cursor,
            previous: frame.previous,
            last: frame.last,
            frames: frames(&frame.text),
            appended: None,
        }
    }
}

/// The WebSocket frames of a text; none where it is empty.
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

/// How long the frame is that these bytes of ours begin with (RFC 6455 section 5.2; a server masks
/// nothing).
pub(crate) fn frame_length(frames: &[u8]) -> usize {
    let byte = |at: usize| frames.get(at).copied().map_or(0, usize::from);
    match byte(1) & 0x7f {
        126 => 4 + (byte(2) << 8 | byte(3)),
        127 => 10 + (2..10).fold(0, |length, at| length << 8 | byte(at)),
        length => 2 + length,
    }
}

/// The texts of whole messages, which these frames of ours are.
pub(crate) fn texts(frames: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut rest = frames;
    std::iter::from_fn(move || {
        let mut text = Vec::new();
        while !rest.is_empty() {
            let (frame, later) = rest.split_at(frame_length(rest).min(rest.len()));
            rest = later;
            let head = match frame.get(1)? & 0x7f {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            text.extend_from_slice(frame.get(head..)?);
            // FIN (RFC 6455 section 5.2).
            if frame[0] & 0x80 != 0 {
                return Some(text);
            }
        }
        None
    })
}

/// Several messages in one piece, for a subscriber that stands before the first of them.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// Where the subscriber stands once it has them.
    pub to: Cursor,
    /// Whether the log ends with them.
    pub last: bool,
    /// Their frames.
    pub frames: Bytes,
    /// How many they are.
    pub count: usize,
    /// When the first of them was appended, where it came live.
    pub appended: Option<u64>,
}

/// How much of what follows goes into one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchBounds {
    /// The most bytes, but for one message that is larger.
    pub bytes: usize,
    /// The place (`seq`) of the last message.
    pub last: u64,
}

/// How many of `messages` go into a batch that begins at `position`, how many bytes they are, and the last
/// of them.
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
    /// The messages that follow `position`, which `messages` begin with; none where they do not.
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

/// A part of a log as messages, each continuing the one before. Their frames lie in one piece.
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
        for mut frame in all {
            write_frames(&frame.text, &mut frames);
            frame.text = Default::default();
            messages.push((frame, begin..frames.len()));
            begin = frames.len();
        }
        let frames = frames.freeze();
        let message = |(frame, place): (EncodedMessage, std::ops::Range<usize>)| FramedMessage {
            cursor: frame.cursor,
            previous: frame.previous,
            last: frame.last,
            frames: frames.slice(place),
            appended: None,
        };
        Self {
            messages: messages.into_iter().map(message).collect(),
            frames,
        }
    }
}

impl LogPage {
    /// The bytes that it holds in memory.
    pub(crate) fn weight(&self) -> usize {
        self.frames.len() + self.messages.len() * size_of::<FramedMessage>()
    }
}

/// A subscriber's place in a page.
pub(crate) struct LogPageReader {
    page: Arc<LogPage>,
    next: usize,
    begin: usize,
}

impl LogPageReader {
    /// At the begin of the page.
    pub(crate) fn new(page: Arc<LogPage>) -> Self {
        Self {
            page,
            next: 0,
            begin: 0,
        }
    }

    /// The messages that follow `position`; none where the page holds none.
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

    /// The payloads of the frames, joined, and how many messages they are.
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
