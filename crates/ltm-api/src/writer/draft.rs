//! An entry that is made for a state, and taken back unless it is committed.

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

    /// Applies the write to `state`, and returns the entry's content. After an error the state is as it was.
    async fn apply(&mut self, state: &mut State) -> Result<Change, WriteError>;
}

/// What a write did to a state, and the entry that says so.
pub(crate) struct Change {
    pub(crate) kind: Kind,
    pub(crate) payload: ByteString,
    /// The LTM's snapshots once the entry is in the log.
    pub(crate) snapshots_count: u64,
    /// What takes the change of the state back; `None` if it changed nothing.
    pub(crate) undo: Option<Undo>,
}

/// An entry that was made for a locked state. When it is dropped, the state is as it was before, unless the
/// draft was committed.
pub(crate) struct Draft<'a> {
    state: &'a mut StateGuard,
    undo: Option<Undo>,
    pub(crate) entry: Entry,
    pub(crate) snapshots_count: u64,
}

impl<'a> Draft<'a> {
    /// The draft of a change that was applied to `state`. The entry carries the trace of `span`.
    pub(crate) fn new(state: &'a mut StateGuard, change: Change, span: Option<&Span>) -> Self {
        let payload = with_trace_parent(change.payload, span);
        Self {
            entry: Entry::after(state.cursor, change.kind, payload),
            undo: change.undo,
            snapshots_count: change.snapshots_count,
            state,
        }
    }

    /// The LTM's `_status` with the draft applied.
    pub(crate) fn status(&self) -> Option<&str> {
        self.state.status()
    }

    /// Keeps the change: the entry is in the log. Returns what the change took out of the state, which can be large.
    pub(crate) fn commit(mut self) -> Option<Undo> {
        self.state.advance(&self.entry);
        self.undo.take()
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(undo) = self.undo.take() {
            self.state.tree.undo(undo);
        }
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
