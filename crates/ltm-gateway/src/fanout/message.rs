//! Messages for subscribers: single ones, consecutive ones in batches, and pages of a log.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use ltm_types::{Cursor, EncodedMessage};

use crate::{
    compression::past::{Past, Place},
    fanout::frames::{Frames, write_compressed_frames, write_frames},
};

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
    pub frames: Frames,
    /// When a live entry was appended, in microseconds since 1970.
    pub appended: Option<u64>,
}

impl FramedMessage {
    /// Its size in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.frames.weight() + size_of::<Self>()
    }

    /// A message whose text has these frames.
    pub(crate) fn new(message: &EncodedMessage, frames: Frames) -> Self {
        Self {
            cursor: message.cursor,
            previous: message.previous,
            last: message.last,
            frames,
            appended: None,
        }
    }
}

/// Consecutive messages in one piece, for a subscriber whose cursor is before the first of them.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// The subscriber's cursor after these messages.
    pub to: Cursor,
    /// Whether the log ends with them.
    pub last: bool,
    /// Their frames.
    pub frames: Frames,
    /// The number of messages.
    pub count: usize,
    /// When the first of them was appended, if it is a live entry.
    pub appended: Option<u64>,
}

/// The limits of one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchBounds {
    /// The maximum number of bytes without compression; a single message may be larger.
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
        let (count, _, end) = batch(position, messages.clone(), bounds);
        let end = end?;
        let appended = messages.clone().next().and_then(|first| first.appended);
        let frames = if count == 1 {
            end.frames.clone()
        } else {
            Frames::concat(messages.take(count).map(|message| &message.frames))
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
    compressed: Option<CompressedPage>,
}

/// The frames of a page for connections that can inflate. Each message has those before it in the page as its context.
#[derive(Debug)]
struct CompressedPage {
    frames: Bytes,
    /// Where each message ends: in the frames, and in the past of the page.
    ends: Box<[(usize, Place)]>,
}

impl CompressedPage {
    /// Compresses the texts for which `is_worth` holds.
    fn new(texts: &[EncodedMessage], is_worth: impl Fn(usize) -> bool) -> Self {
        let (mut past, mut frames) = (Past::default(), BytesMut::new());
        let mut write = |message: &EncodedMessage| {
            let text = message.text.as_bytes();
            let compressed = is_worth(text.len()).then(|| past.compress(text)).flatten();
            match compressed {
                Some((_, payload)) => write_compressed_frames(&payload, &mut frames),
                None => write_frames(text, &mut frames),
            }
            (frames.len(), past.end())
        };
        let ends = texts.iter().map(&mut write).collect();
        Self {
            frames: frames.freeze(),
            ends,
        }
    }

    /// The frames of these messages, and their place; `None` if none of them is compressed.
    fn part(&self, messages: Range<usize>) -> Option<(Bytes, Place)> {
        let end_before = |index: usize| self.ends.get(index.checked_sub(1)?).copied();
        let (to, place) = end_before(messages.end)?;
        let (from, place) = match end_before(messages.start) {
            Some((from, before)) => (from, before.up_to(place)),
            None => (0, place.with_all_before()),
        };
        (!place.is_empty()).then(|| (self.frames.slice(from..to), place))
    }

    fn weight(&self) -> usize {
        self.frames.len() + self.ends.len() * size_of::<(usize, Place)>()
    }
}

impl FromIterator<EncodedMessage> for LogPage {
    fn from_iter<T: IntoIterator<Item = EncodedMessage>>(all: T) -> Self {
        let mut frames = BytesMut::new();
        let mut begin = 0;
        let mut messages: Vec<(EncodedMessage, Range<usize>)> = Vec::new();
        for mut message in all {
            write_frames(message.text.as_bytes(), &mut frames);
            message.text = Default::default();
            messages.push((message, begin..frames.len()));
            begin = frames.len();
        }
        let frames = frames.freeze();
        let message = |(message, range): (EncodedMessage, Range<usize>)| {
            FramedMessage::new(&message, Frames::of_bytes(frames.slice(range)))
        };
        Self {
            messages: messages.into_iter().map(message).collect(),
            frames,
            compressed: None,
        }
    }
}

impl LogPage {
    /// A page for subscribers that can inflate. Texts for whose length `is_worth` holds are compressed.
    pub(crate) fn compressed(all: Vec<EncodedMessage>, is_worth: impl Fn(usize) -> bool) -> Self {
        let compressed = CompressedPage::new(&all, is_worth);
        Self {
            compressed: Some(compressed),
            ..all.into_iter().collect()
        }
    }

    /// Its size in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let compressed = self.compressed.as_ref().map_or(0, CompressedPage::weight);
        self.frames.len() + self.messages.len() * size_of::<FramedMessage>() + compressed
    }

    /// The frames of these messages, which are these bytes without compression.
    fn part(&self, messages: Range<usize>, bytes: Range<usize>) -> Frames {
        let plain = self.frames.slice(bytes);
        let compressed = self.compressed.as_ref().and_then(|it| it.part(messages));
        match compressed {
            Some((in_context, place)) => Frames::of_several(plain, in_context, place),
            None => Frames::of_bytes(plain),
        }
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
        let (next, begin) = (self.next + count, self.begin + bytes);
        let batch = Batch {
            to: end.cursor,
            last: end.last,
            frames: self.page.part(self.next..next, self.begin..begin),
            count,
            appended: None,
        };
        (self.next, self.begin) = (next, begin);
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use ltm_types::{Entry, Kind, LtmId};
    use proptest::prelude::*;

    use super::*;

    proptest! {
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
            let plain = |message: &EncodedMessage| Frames::plain(&message.text);
            let whole: Vec<u8> = log.iter().flat_map(|it| plain(it).uncompressed().clone()).collect();
            let single: Vec<FramedMessage> =
                log.iter().map(|it| FramedMessage::new(it, plain(it))).collect();
            let mut reader = LogPageReader::new(Arc::new(log.into_iter().collect()));
            let (mut at, mut got) = (Cursor::ORIGIN, Vec::<u8>::new());
            while at != position {
                let last = if at.seq < stop { stop } else { u64::MAX };
                let bounds = BatchBounds { bytes, last };
                let from = usize::try_from(at.seq).unwrap();
                let paged = reader.next(at, bounds).unwrap();
                let batch = Batch::of(at, single[from..].iter(), bounds).unwrap();
                let text = |batch: &Batch| batch.frames.uncompressed().clone();
                prop_assert_eq!((paged.to, text(&paged)), (batch.to, text(&batch)));
                prop_assert!(batch.to.seq <= last && batch.to > at);
                prop_assert!(batch.to.seq == at.seq + 1 || batch.frames.len() <= bytes);
                at = batch.to;
                got.extend(batch.frames.uncompressed());
            }
            prop_assert_eq!(got, whole);
            let bounds = BatchBounds { bytes, last: u64::MAX };
            prop_assert!(reader.next(at, bounds).is_none());
        }
    }
}
