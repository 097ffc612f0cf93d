//! Writes the parts of a document that requests share.

use std::sync::Arc;

use bytes::Bytes;

use super::cache::{DocumentCache, Share};
use crate::reader::json_stream::PART;

/// There is no room for the document.
pub(super) struct NoRoom;

/// Parts in order. Each is as large as a connection takes at once, or smaller.
pub(super) struct Parts<T> {
    cache: Arc<DocumentCache<T>>,
    /// What was taken of the cache before.
    room: Share,
    done: Vec<Bytes>,
    /// The part that is being written.
    open: Vec<u8>,
}

impl<T> Parts<T> {
    /// Writes parts into the memory in `room`, or else into what is free.
    pub(super) fn new(cache: Arc<DocumentCache<T>>, room: Share) -> Self {
        Self {
            cache,
            room,
            done: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Adds a text.
    pub(super) fn write(&mut self, mut text: &[u8]) -> Result<(), NoRoom> {
        while !text.is_empty() {
            let fitting = text.len().min(PART - self.open.len());
            let (part, rest) = text.split_at(fitting);
            self.open.extend_from_slice(part);
            if self.open.len() == PART {
                self.end_part()?;
            }
            text = rest;
        }
        Ok(())
    }

    /// Adds parts of another document. The last one is copied, so that more can be added to it.
    pub(super) fn share(&mut self, parts: &[Bytes]) -> Result<(), NoRoom> {
        self.end_part()?;
        let Some((last, full)) = parts.split_last() else {
            return Ok(());
        };
        self.done.extend_from_slice(full);
        self.write(last)
    }

    /// Ends the part that is being written. Returns how many there are.
    pub(super) fn end_part(&mut self) -> Result<usize, NoRoom> {
        if !self.open.is_empty() {
            let text = std::mem::take(&mut self.open);
            let part = self.cache.hold(text, Some(&mut self.room)).ok_or(NoRoom)?;
            self.done.push(part);
        }
        Ok(self.done.len())
    }

    /// All parts.
    pub(super) fn finish(mut self) -> Result<Vec<Bytes>, NoRoom> {
        self.end_part()?;
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_full_and_what_is_added_later_leaves_the_full_ones_as_they_are() {
        let cache = Arc::new(DocumentCache::<()>::new(1 << 20));
        let parts = || {
            let Some(room) = cache.take(0) else {
                panic!("there is room");
            };
            Parts::new(cache.clone(), room)
        };
        let text: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut first = parts();
        for piece in text.chunks(777) {
            assert!(first.write(piece).is_ok());
        }
        let Ok(first) = first.finish() else {
            panic!("there is room");
        };
        let lengths: Vec<usize> = first.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [PART, PART, PART, 200_000 - 3 * PART]);
        let mut second = parts();
        assert!(second.share(&first).is_ok() && second.write(b"more").is_ok());
        let Ok(second) = second.finish() else {
            panic!("there is room");
        };
        assert!(second.concat() == [&text[..], b"more"].concat());
        for (one, other) in first.iter().zip(&second).take(3) {
            assert_eq!(one.as_ptr(), other.as_ptr(), "it is the same memory");
        }
    }
}
