//! Entries that are made for a state, and taken back unless they are committed.

use std::mem;

use bytestring::ByteString;
use ltm_service::Span;
use ltm_state::{State, patch::Undo};
use ltm_types::{Cursor, Entry, Kind};
use serde::Serialize;

use super::error::WriteError;
use crate::state_cache::StateGuard;

/// A write that a request asks for.
pub(crate) trait Write {
    /// The cursor at which the body says to write; `None` for any.
    fn base(&self) -> Option<Cursor> {
        None
    }

    /// Looks up what the write needs, before the state is locked.
    async fn prepare(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    /// Applies the write to `state`, and returns the content of its entries. After an error the state is as it was.
    async fn apply(&mut self, state: &mut State) -> Result<Change, WriteError>;
}

/// What a write did to a state, and the entries that say so.
pub(crate) struct Change {
    /// The kind of all entries.
    pub(crate) kind: Kind,
    /// Their payloads: at least one.
    pub(crate) payloads: Vec<ByteString>,
    /// The LTM's snapshots once the entries are in the log.
    pub(crate) snapshots_count: u64,
    /// What takes the changes of the state back, the last one first.
    pub(crate) undo: Vec<Undo>,
}

/// Entries that were made for a locked state. When it is dropped, the state is as it was before, unless the
/// draft was committed.
pub(crate) struct Draft<'a> {
    state: &'a mut StateGuard,
    undo: Vec<Undo>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) snapshots_count: u64,
}

impl<'a> Draft<'a> {
    /// The draft of a change that was applied to `state`. The entries carry the trace of `span`.
    pub(crate) fn new(state: &'a mut StateGuard, change: Change, span: Option<&Span>) -> Self {
        let mut head = state.cursor;
        let entry = |payload| {
            let payload = with_trace_parent(payload, span);
            let entry = Entry::after(head, change.kind.clone(), payload);
            head = entry.cursor;
            entry
        };
        Self {
            entries: change.payloads.into_iter().map(entry).collect(),
            undo: change.undo,
            snapshots_count: change.snapshots_count,
            state,
        }
    }

    /// The LTM's `_status` with the draft applied.
    pub(crate) fn status(&self) -> Option<&str> {
        self.state.status()
    }

    /// Keeps the change: the entries are in the log. Returns them, and what the change took out of the state, which can
    /// be large.
    pub(crate) fn commit(mut self) -> (Vec<Entry>, Vec<Undo>) {
        for entry in &self.entries {
            self.state.advance(entry);
        }
        (mem::take(&mut self.entries), mem::take(&mut self.undo))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        undo_all(mem::take(&mut self.undo), self.state);
    }
}

/// Takes changes of a state back.
pub(super) fn undo_all(changes: Vec<Undo>, state: &mut State) {
    for undo in changes.into_iter().rev() {
        state.tree.undo(undo);
    }
}

/// The payload with the trace that it belongs to, if that is recorded.
pub(crate) fn with_trace_parent(payload: ByteString, span: Option<&Span>) -> ByteString {
    match span.and_then(Span::parent) {
        Some(parent) => parent.put_into(&payload),
        None => payload,
    }
}

/// The payload of an entry.
pub(crate) fn to_payload(content: &impl Serialize) -> Result<ByteString, WriteError> {
    let text = serde_json::to_string(content).map_err(WriteError::Unwritable)?;
    Ok(text.into())
}
