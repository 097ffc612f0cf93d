//! A JSON answer that is sent in chunks, because it can be large.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
use ltm_state::SnapshotRange;
use ltm_store::StoreError;
use ltm_types::{Cursor, LtmId};

use super::{
    error::ReadError,
    history_json::SnapshotItems,
    rollback_items::RollbackItems,
    rollback_rows::RollbackRows,
    shared_reads::{SharedReads, TextKind},
};

/// The most bytes that the connection takes at once. It holds a copy of them.
pub(super) const PART: usize = 64 * 1024;
/// How many bytes of errors are read at once.
const ERRORS_AT_ONCE: usize = 128 * 1024;

/// The text in parts that a connection takes at once.
pub(crate) fn parts(mut text: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let part = text.split_to(text.len().min(PART));
        (!part.is_empty()).then_some(part)
    })
}

/// A part of an answer.
pub(super) enum Chunk {
    Text(Bytes),
    Snapshots(SnapshotItems),
    /// The errors whose latest entries have these `seq`, as items of an array.
    Errors {
        seqs: Vec<u64>,
        has_items: bool,
    },
    /// The histories that rollbacks took out, as items of an array, and the end of the array.
    Rollbacks(Box<RollbackItems>),
    /// The rollbacks themselves, as items of an array.
    RollbackRows(RollbackRows),
    /// Nothing, if the log still contains this cursor.
    Check(Cursor),
}

/// The chunks of an answer, in order.
pub(crate) struct JsonStream {
    reads: Arc<SharedReads>,
    id: LtmId,
    /// What was read ahead.
    first: VecDeque<Bytes>,
    queue: VecDeque<Chunk>,
}

impl JsonStream {
    pub(super) fn new(reads: Arc<SharedReads>, id: LtmId) -> Self {
        Self {
            reads,
            id,
            first: VecDeque::new(),
            queue: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.queue.push_back(chunk);
    }

    pub(super) fn text(&mut self, text: impl Into<Bytes>) {
        self.push(Chunk::Text(text.into()));
    }

    /// The snapshots in `ranges`, as items of the array that the last text opened.
    pub(super) fn snapshots(&mut self, ranges: Vec<SnapshotRange>) {
        let has_items =
            matches!(self.queue.back(), Some(Chunk::Text(text)) if !text.ends_with(b"["));
        let items = SnapshotItems::new(&self.reads, self.id, ranges, has_items);
        self.push(Chunk::Snapshots(items));
    }

    /// Reads up to the first part that comes from the log, so that a log that cannot be read becomes an error answer,
    /// and not a body that breaks off.
    pub(super) async fn start(&mut self) -> Result<(), ReadError> {
        loop {
            let is_text = matches!(self.queue.front(), Some(Chunk::Text(_)));
            match self.next().await? {
                Some(bytes) => self.first.push_back(bytes),
                None => return Ok(()),
            }
            if !is_text {
                return Ok(());
            }
        }
    }

    /// The answer as a body, in small parts of the shared texts.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, ReadError>> {
        stream::try_unfold((self, Bytes::new()), |(mut json, mut rest)| async move {
            if rest.is_empty() {
                let next = match json.first.pop_front() {
                    Some(first) => Some(first),
                    None => json.next().await?,
                };
                let Some(next) = next else { return Ok(None) };
                rest = next;
            }
            let part = rest.split_to(rest.len().min(PART));
            Ok(Some((part, (json, rest))))
        })
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        while let Some(chunk) = self.queue.pop_front() {
            match chunk {
                // An empty chunk would end the body.
                Chunk::Text(text) if text.is_empty() => {}
                Chunk::Text(text) => return Ok(Some(text)),
                Chunk::Snapshots(mut items) => {
                    if let Some(bytes) = items.next().await? {
                        self.queue.push_front(Chunk::Snapshots(items));
                        return Ok(Some(bytes));
                    }
                }
                Chunk::Errors { seqs, has_items } => {
                    if let Some(bytes) = self.errors(seqs, has_items).await? {
                        return Ok(Some(bytes));
                    }
                }
                Chunk::Rollbacks(mut items) => {
                    if let Some(bytes) = items.next().await? {
                        self.queue.push_front(Chunk::Rollbacks(items));
                        return Ok(Some(bytes));
                    }
                }
                Chunk::RollbackRows(mut rows) => {
                    if let Some(bytes) = rows.next().await? {
                        self.queue.push_front(Chunk::RollbackRows(rows));
                        return Ok(Some(bytes));
                    }
                }
                Chunk::Check(cursor) => {
                    if !self.reads.store.has_been_at(self.id, cursor).await? {
                        return Err(StoreError::Trimmed(self.id).into());
                    }
                }
            }
        }
        Ok(None)
    }

    /// Writes the next errors, and puts the rest back into the queue.
    async fn errors(
        &mut self,
        seqs: Vec<u64>,
        has_items: bool,
    ) -> Result<Option<Bytes>, ReadError> {
        if seqs.is_empty() {
            return Ok(None);
        }
        let _permit = self.reads.permit().await;
        let store = &self.reads.store;
        let (count, entries) = store.some_entries(self.id, &seqs, ERRORS_AT_ONCE).await?;
        let items: Vec<&str> = entries.iter().map(|entry| &*entry.payload).collect();
        self.queue.push_front(Chunk::Errors {
            seqs: seqs.into_iter().skip(count).collect(),
            has_items: has_items || !items.is_empty(),
        });
        if items.is_empty() {
            return Ok(None);
        }
        let comma = if has_items { "," } else { "" };
        let text = format!("{comma}{}", items.join(",")).into();
        let at = entries.last().map_or(Cursor::ORIGIN, |entry| entry.cursor);
        // The first error of an answer has no comma before it, so this is another text than the same error later.
        let kind = TextKind::Errors { has_items, count };
        Ok(Some(self.reads.share(self.id, at, kind, text)?))
    }
}
