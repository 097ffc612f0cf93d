//! A JSON answer that is sent in chunks, because it can be large.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
use ltm_state::{HistoryIndex, SnapshotRange, State};
use ltm_store::StoreError;
use ltm_types::{Cursor, LtmId, Rollback};
use serde_json::json;

use super::{
    error::ReadError,
    history_json::{self, SnapshotItems},
    point_in_time::PointInTime,
    shared_reads::{SharedReads, TextKind},
};

/// The most bytes that the connection takes at once. It holds a copy of them.
const PART: usize = 32 * 1024;
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
    reads: Arc<SharedReads>,
    id: LtmId,
    /// What was read ahead.
    first: VecDeque<Bytes>,
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
    pub(super) fn new(reads: Arc<SharedReads>, id: LtmId) -> Self {
        Self {
            reads,
            id,
            first: VecDeque::new(),
            queue: VecDeque::new(),
            index: HistoryIndex::default(),
            state: State::default(),
            trimmed_at: String::new(),
        }
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.queue.push_back(chunk);
    }

    pub(super) fn text(&mut self, text: impl Into<Bytes>) {
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
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
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
                Chunk::Rollback {
                    index,
                    seq,
                    has_items,
                } => return self.rollback(index, seq, has_items).await.map(Some),
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
    ) -> Result<Option<Bytes>, StoreError> {
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
        Ok(Some(self.reads.share(self.id, at, kind, text)))
    }

    /// Writes the beginning of a rollback, and puts the rest of it back into the queue.
    async fn rollback(
        &mut self,
        index: u64,
        seq: u64,
        has_items: bool,
    ) -> Result<Bytes, ReadError> {
        let _permit = self.reads.permit().await;
        let (store, id) = (&self.reads.store, self.id);
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
        let (time, reason) = (json!(back.time), json!(back.reason));
        let (at, kind) = (self.state.cursor, TextKind::State);
        let state = self.reads.held(id, at, kind).unwrap_or_else(|| {
            let text = self.state.text().into();
            self.reads.share(id, at, kind, text)
        });
        let first = branch.first_index();
        let end = format!(r#"],"first_index":{first}}}"#);
        let items = SnapshotItems::new(&self.reads, id, branch.ranges, trimmed.is_some());
        self.queue.push_front(Chunk::Text(end.into()));
        self.queue.push_front(Chunk::Snapshots(items));
        self.queue
            .push_front(Chunk::Text(trimmed.unwrap_or_default().into()));
        self.queue
            .push_front(Chunk::Text(r#","snapshots":["#.into()));
        self.queue.push_front(Chunk::Text(state));
        let comma = if has_items { "," } else { "" };
        let head = format!(r#"{comma}{{"time":{time},"reason":{reason},"state":"#);
        Ok(head.into())
    }
}
