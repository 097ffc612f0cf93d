//! An answer that is sent in parts, because it can be large.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::{Stream, stream};
use ltm_state::{Branch, HistoryIndex, Span, State};
use ltm_store::{Store, StoreError};
use ltm_types::{Cursor, LtmId, Rollback};
use serde_json::json;

use crate::{
    known::Known,
    snapshots::{self, Snapshots},
};

/// How many errors are read at once.
const ERRORS: usize = 128;

/// A part of an answer.
pub(crate) enum Part {
    Text(String),
    Snapshots(Snapshots),
    /// The errors whose latest entries are at these places, as items of an array; `true` where it
    /// has items already.
    Errors(Vec<u64>, bool),
    /// What the rollback with this number took out, which is at this place in the log; `begun` where
    /// it is not the first item of its array.
    Rollback {
        index: u64,
        place: u64,
        begun: bool,
    },
    /// Nothing, if the log is still the one that was read.
    Check(Cursor),
}

/// The parts of an answer, in order.
pub(crate) struct Parts {
    store: Store,
    id: LtmId,
    queue: VecDeque<Part>,
    /// Where the snapshots are, for the rollbacks among the parts: what each took out is only looked
    /// up when it is its turn, because all of them together can be large.
    index: HistoryIndex,
    /// The state as of the last rollback that was written.
    then: State,
    /// When the last snapshot was taken of those that were trimmed.
    trimmed_at: String,
}

impl Parts {
    pub(crate) fn new(store: Store, id: LtmId) -> Self {
        Self {
            store,
            id,
            queue: VecDeque::new(),
            index: HistoryIndex::default(),
            then: State::default(),
            trimmed_at: String::new(),
        }
    }

    /// The rollbacks of `known` as items of an array.
    pub(crate) fn rollbacks(&mut self, known: Known) {
        for (nth, (index, place)) in known.index.rollbacks().enumerate() {
            let begun = nth > 0;
            self.push(Part::Rollback {
                index,
                place,
                begun,
            });
        }
        self.index = known.index;
        if let Some(base) = known.base {
            (self.then, self.trimmed_at) = (base.state, base.time);
        }
    }

    pub(crate) fn push(&mut self, part: Part) {
        self.queue.push_back(part);
    }

    pub(crate) fn text(&mut self, text: impl Into<String>) {
        self.push(Part::Text(text.into()));
    }

    /// The snapshots in `spans`, after what is there so far.
    pub(crate) fn snapshots(&mut self, spans: Vec<Span>) {
        let begun = matches!(self.queue.back(), Some(Part::Text(text)) if !text.ends_with('['));
        let walk = Snapshots::new(&self.store, self.id, spans, begun);
        self.push(Part::Snapshots(walk));
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while let Some(part) = self.queue.pop_front() {
            match part {
                // An empty part would end a chunked body.
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => return Ok(Some(text.into())),
                Part::Snapshots(mut walk) => {
                    if let Some(items) = walk.next().await? {
                        self.queue.push_front(Part::Snapshots(walk));
                        return Ok(Some(items));
                    }
                }
                Part::Errors(places, begun) => {
                    if let Some(items) = self.errors(places, begun).await? {
                        return Ok(Some(items));
                    }
                }
                Part::Rollback {
                    index,
                    place,
                    begun,
                } => return self.rollback(index, place, begun).await.map(Some),
                Part::Check(cursor) => self.check(cursor).await?,
            }
        }
        Ok(None)
    }

    async fn errors(
        &mut self,
        mut places: Vec<u64>,
        begun: bool,
    ) -> Result<Option<Bytes>, StoreError> {
        if places.is_empty() {
            return Ok(None);
        }
        let rest = places.split_off(places.len().min(ERRORS));
        let entries = self.store.entries(self.id, &places).await?;
        let items: Vec<&str> = entries.iter().map(|entry| &*entry.payload).collect();
        self.queue
            .push_front(Part::Errors(rest, begun || !items.is_empty()));
        if items.is_empty() {
            return Ok(None);
        }
        let comma = if begun { "," } else { "" };
        Ok(Some(format!("{comma}{}", items.join(",")).into()))
    }

    /// Writes the begin of a rollback, and puts the rest first in the queue.
    async fn rollback(&mut self, index: u64, place: u64, begun: bool) -> Result<Bytes, StoreError> {
        let branch = self.index.branch_before(index);
        let branch = branch.ok_or(StoreError::Trimmed(self.id))?;
        let folded = self
            .store
            .fold_until(self.id, &mut self.then, place - 1)
            .await?;
        if folded.is_none() || self.then.position().seq != place - 1 {
            return Err(StoreError::Trimmed(self.id));
        }
        let trimmed = self.trimmed(&branch).await?;
        let entries = self.store.entries(self.id, &[place]).await?;
        let back = entries
            .first()
            .and_then(|entry| serde_json::from_str::<Rollback<'_>>(&entry.payload).ok())
            .ok_or(StoreError::Trimmed(self.id))?
            .rollback;
        let (time, reason, state) = (json!(back.time), json!(back.reason), self.then.text());
        let first = branch.first_index();
        let end = format!(r#"],"first_index":{first}}}"#);
        let walk = Snapshots::new(&self.store, self.id, branch.spans, trimmed.is_some());
        self.queue.push_front(Part::Text(end));
        self.queue.push_front(Part::Snapshots(walk));
        let (comma, trimmed) = (if begun { "," } else { "" }, trimmed.unwrap_or_default());
        let head = format!(
            r#"{comma}{{"time":{time},"reason":{reason},"state":{state},"snapshots":[{trimmed}"#
        );
        Ok(head.into())
    }

    /// The snapshot that stands for those that were trimmed from a history.
    async fn trimmed(&self, branch: &Branch) -> Result<Option<String>, StoreError> {
        if branch.trimmed == 0 {
            return Ok(None);
        }
        let state = self.store.state_after(self.id, branch.base).await?;
        let entries = self.store.entries(self.id, &[branch.base]).await?;
        let time = entries.first().and_then(snapshots::rollback_time);
        let time = time.unwrap_or_else(|| self.trimmed_at.clone());
        // What cannot be written is no state; then there is no such snapshot either.
        Ok(snapshots::trimmed(&time, &state).ok())
    }

    async fn check(&self, cursor: Cursor) -> Result<(), StoreError> {
        if self.store.has_been_at(self.id, cursor).await? {
            return Ok(());
        }
        Err(StoreError::Trimmed(self.id))
    }

    /// The parts as a body. The first is read at once, so that what is wrong with the log becomes an
    /// answer and not a body that breaks off.
    pub(crate) async fn stream(
        mut self,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + use<>, StoreError> {
        let mut begin = Vec::new();
        // A text, and what is read from the log after it.
        for _ in 0..3 {
            match self.next().await? {
                Some(bytes) => begin.push(Ok(bytes)),
                None => break,
            }
        }
        let rest = stream::try_unfold(self, |mut parts| async move {
            Ok(parts.next().await?.map(|bytes| (bytes, parts)))
        });
        Ok(stream::StreamExt::chain(stream::iter(begin), rest))
    }
}
