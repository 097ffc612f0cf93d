//! A JSON answer that is sent in chunks, because it can be large.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use ltm_state::{HistoryIndex, SnapshotRange, State};
use ltm_store::{Store, StoreError};
use ltm_types::{Cursor, LtmId, Rollback};
use serde_json::json;

use super::{
    error::ReadError,
    history_json::{self, SnapshotItems},
    point_in_time::PointInTime,
};

/// How many errors are read at once.
const ERRORS_AT_ONCE: usize = 128;
/// How many chunks [`JsonStream::start`] reads: a text, and what follows it in the log.
const FIRST_CHUNKS: usize = 3;

/// A part of an answer.
pub(super) enum Chunk {
    Text(String),
    Snapshots(SnapshotItems),
    /// The errors whose latest entries have these `seq`, as items of an array.
    Errors {
        seqs: Vec<u64>,
        has_items: bool,
    },
    /// The history that a rollback took out, as an item of an array.
    Rollback {
        index: u64,
        seq: u64,
        has_items: bool,
    },
    /// Nothing, if the log still contains this cursor.
    Check(Cursor),
}

/// The chunks of an answer, in order.
pub(crate) struct JsonStream {
    store: Store,
    id: LtmId,
    /// What was read ahead.
    first: Vec<Bytes>,
    queue: VecDeque<Chunk>,
    /// Where the snapshots are, for the rollbacks among the chunks. The history that each took out is looked up
    /// when it is sent, because all of them together can be large.
    index: HistoryIndex,
    /// The state before the last rollback that was sent.
    state: State,
    /// When the last of the trimmed snapshots was taken.
    trimmed_at: String,
}

impl JsonStream {
    pub(super) fn new(store: Store, id: LtmId) -> Self {
        Self {
            store,
            id,
            first: Vec::new(),
            queue: VecDeque::new(),
            index: HistoryIndex::default(),
            state: State::default(),
            trimmed_at: String::new(),
        }
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.queue.push_back(chunk);
    }

    pub(super) fn text(&mut self, text: impl Into<String>) {
        self.push(Chunk::Text(text.into()));
    }

    /// The rollbacks as items of an array.
    pub(super) fn rollbacks(&mut self, now: PointInTime) {
        for (nth, (index, seq)) in now.index.rollbacks().enumerate() {
            self.push(Chunk::Rollback {
                index,
                seq,
                has_items: nth > 0,
            });
        }
        self.index = now.index;
        if let Some(base) = now.base {
            (self.state, self.trimmed_at) = (base.state, base.time);
        }
    }

    /// The snapshots in `ranges`, as items of the array that the last text opened.
    pub(super) fn snapshots(&mut self, ranges: Vec<SnapshotRange>) {
        let has_items =
            matches!(self.queue.back(), Some(Chunk::Text(text)) if !text.ends_with('['));
        let items = SnapshotItems::new(&self.store, self.id, ranges, has_items);
        self.push(Chunk::Snapshots(items));
    }

    /// Reads the first chunks, so that a log that cannot be read becomes an error answer, and not a body that
    /// breaks off.
    pub(super) async fn start(&mut self) -> Result<(), ReadError> {
        for _ in 0..FIRST_CHUNKS {
            match self.next().await? {
                Some(bytes) => self.first.push(bytes),
                None => break,
            }
        }
        Ok(())
    }

    /// The answer as a body.
    pub(crate) fn into_stream(mut self) -> impl Stream<Item = Result<Bytes, ReadError>> {
        let first = std::mem::take(&mut self.first);
        let rest = stream::try_unfold(self, |mut chunks| async move {
            Ok(chunks.next().await?.map(|bytes| (bytes, chunks)))
        });
        stream::iter(first.into_iter().map(Ok)).chain(rest)
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        while let Some(chunk) = self.queue.pop_front() {
            match chunk {
                // An empty chunk would end the body.
                Chunk::Text(text) if text.is_empty() => {}
                Chunk::Text(text) => return Ok(Some(text.into())),
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
                Chunk::Rollback {
                    index,
                    seq,
                    has_items,
                } => return self.rollback(index, seq, has_items).await.map(Some),
                Chunk::Check(cursor) => {
                    if !self.store.has_been_at(self.id, cursor).await? {
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
        mut seqs: Vec<u64>,
        has_items: bool,
    ) -> Result<Option<Bytes>, StoreError> {
        if seqs.is_empty() {
            return Ok(None);
        }
        let rest = seqs.split_off(seqs.len().min(ERRORS_AT_ONCE));
        let entries = self.store.entries(self.id, &seqs).await?;
        let items: Vec<&str> = entries.iter().map(|entry| &*entry.payload).collect();
        self.queue.push_front(Chunk::Errors {
            seqs: rest,
            has_items: has_items || !items.is_empty(),
        });
        if items.is_empty() {
            return Ok(None);
        }
        let comma = if has_items { "," } else { "" };
        Ok(Some(format!("{comma}{}", items.join(",")).into()))
    }

    /// Writes the beginning of a rollback, and puts the rest of it back into the queue.
    async fn rollback(
        &mut self,
        index: u64,
        seq: u64,
        has_items: bool,
    ) -> Result<Bytes, ReadError> {
        let (store, id) = (&self.store, self.id);
        let gone = || StoreError::Trimmed(id);
        let branch = self.index.branch_before(index).ok_or_else(gone)?;
        let folded = store.fold_until(id, &mut self.state, seq - 1).await?;
        if folded.is_none() || self.state.cursor.seq != seq - 1 {
            return Err(gone().into());
        }
        let trimmed = match branch.trimmed {
            0 => None,
            _ => {
                let otherwise = || self.trimmed_at.clone();
                let snapshot =
                    history_json::trimmed_snapshot_at(store, id, branch.base, otherwise).await?;
                Some(snapshot)
            }
        };
        let entries = store.entries(id, &[seq]).await?;
        let back = entries
            .first()
            .and_then(|entry| serde_json::from_str::<Rollback<'_>>(&entry.payload).ok())
            .ok_or_else(gone)?
            .rollback;
        let (time, reason, state) = (json!(back.time), json!(back.reason), self.state.text());
        let first = branch.first_index();
        let end = format!(r#"],"first_index":{first}}}"#);
        let items = SnapshotItems::new(store, id, branch.ranges, trimmed.is_some());
        self.queue.push_front(Chunk::Text(end));
        self.queue.push_front(Chunk::Snapshots(items));
        let (comma, trimmed) = (
            if has_items { "," } else { "" },
            trimmed.unwrap_or_default(),
        );
        let head = format!(
            r#"{comma}{{"time":{time},"reason":{reason},"state":{state},"snapshots":[{trimmed}"#
        );
        Ok(head.into())
    }
}
