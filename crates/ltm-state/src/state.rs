//! An LTM's state: the fold of its log.

use bytestring::ByteString;
use ltm_types::{Content, ContentError, Cursor, Entry, Kind};
use serde_json::{Map, Value};

use crate::{
    history_index::HistoryIndex,
    json::{self, TextError},
    patch::{self, Limits, PatchError, Tree},
};

/// Limits for entries that are already in the log. The API checks its own entries against lower limits. These
/// limits protect the process from entries that another program wrote.
const LOGGED: Limits = Limits {
    max_bytes: MAX_STATE_BYTES,
    max_depth: patch::MAX_DEPTH,
    max_operations: usize::MAX,
};

/// The longest `_status` that a list shows, in bytes.
const MAX_STATUS_BYTES: usize = 64;

/// The largest state in bytes, regardless of the settings. A process that reads a state needs a multiple of its
/// size.
pub const MAX_STATE_BYTES: usize = 128 * 1024 * 1024;

/// The state of an LTM at a cursor.
#[derive(Clone, Debug)]
pub struct State {
    /// The cursor of the last entry that it includes; [`Cursor::ORIGIN`] before the first.
    pub cursor: Cursor,
    /// The state itself.
    pub tree: Tree,
    /// The index of the log up to the cursor.
    pub index: HistoryIndex,
}

/// A stored state. A reader begins with it instead of reading all entries before it.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The cursor of the last entry that it includes.
    pub cursor: Cursor,
    /// The state as JSON text.
    pub state: ByteString,
    /// Its history index as JSON text.
    pub index: String,
}

/// Why an entry cannot be applied to a state. The state is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The payload does not match the kind.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A rollback leads to a history that the LTM never had.
    #[error("this rollback leads to {0} snapshots, which the LTM never had")]
    Rollback(u64),
    /// The text of the patch is rejected.
    #[error("its patch is {0}")]
    Text(#[from] TextError),
    /// The patch cannot be read, or does not apply.
    #[error(transparent)]
    Patch(#[from] PatchError),
}

/// Why a stored state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The state is not a JSON object.
    #[error("its state is not a JSON object")]
    State(#[source] json::JsonError),
    /// The history index cannot be read.
    #[error("its history index (`outline`) cannot be read: {0}")]
    Index(#[source] serde_json::Error),
}

impl Default for State {
    fn default() -> Self {
        Self {
            cursor: Cursor::ORIGIN,
            tree: Tree::default(),
            index: HistoryIndex::default(),
        }
    }
}

impl State {
    /// Reads a stored state: `state` and `index` are the texts of a [`Checkpoint`].
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if one of the texts cannot be read.
    pub fn restore(cursor: Cursor, state: &str, index: &str) -> Result<Self, RestoreError> {
        let members: Map<String, Value> = json::read(state).map_err(RestoreError::State)?;
        Ok(Self {
            cursor,
            tree: Tree::new(Value::Object(members)),
            index: serde_json::from_str(index).map_err(RestoreError::Index)?,
        })
    }

    /// The number of snapshots in the history.
    pub fn snapshots_count(&self) -> u64 {
        self.index.count()
    }

    /// The status that the engine chose (`_status`); `None` if it is not a short text.
    pub fn status(&self) -> Option<&str> {
        let status = self.tree.value().get("_status")?.as_str()?;
        (status.len() <= MAX_STATUS_BYTES).then_some(status)
    }

    /// Applies `entry`, which must continue from this state's cursor.
    ///
    /// # Errors
    ///
    /// [`FoldError`] if the entry's payload does not match its kind, or its patch does not apply. The state is
    /// unchanged then.
    pub fn fold(&mut self, entry: &Entry) -> Result<(), FoldError> {
        let content = self.apply(entry)?;
        self.index_entry(entry, &content);
        Ok(())
    }

    /// Applies the entry's patch to the tree; returns the content of the entry.
    fn apply<'a>(&mut self, entry: &'a Entry) -> Result<Content<'a>, FoldError> {
        let content = entry.content()?;
        if let Content::Rollback(back) = &content {
            let (count, undone) = (back.rollback.snapshots_count, back.rollback.rollback_index);
            if !self.index.admits(count, undone) {
                return Err(FoldError::Rollback(count));
            }
        }
        if let Some(patch) = content.patch() {
            let max_depth = patch::MAX_DEPTH.saturating_add(patch::LEVELS);
            let text = json::compact(patch.get(), max_depth)?;
            let operations = patch::parse(&text, &LOGGED)?;
            let _ = self.tree.apply(&operations, &LOGGED)?;
        }
        Ok(content)
    }

    /// Moves the cursor and the index to `entry`, whose patch is already applied to the tree.
    pub fn advance(&mut self, entry: &Entry) {
        if entry.kind == Kind::Snapshot {
            // The index does not need the content of a snapshot.
            self.index.push_snapshot();
            self.cursor = entry.cursor;
            return;
        }
        self.index_entry(entry, &entry.content().unwrap_or(Content::Nothing));
    }

    fn index_entry(&mut self, entry: &Entry, content: &Content<'_>) {
        match content {
            Content::Snapshot { .. } => self.index.push_snapshot(),
            Content::Rollback(back) => {
                let (count, undone) = (back.rollback.snapshots_count, back.rollback.rollback_index);
                self.index.push_rollback(count, undone);
            }
            Content::Error { id } => self.index.push_error(*id),
            Content::Nothing => self.index.push_other(),
        }
        self.cursor = entry.cursor;
    }

    /// The state as JSON text.
    pub fn text(&self) -> String {
        // A value always serializes, because its keys are text.
        serde_json::to_string(self.tree.value()).unwrap_or_default()
    }

    /// The state in its stored form; `None` before the first entry.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        (self.cursor != Cursor::ORIGIN).then(|| Checkpoint {
            cursor: self.cursor,
            state: self.text().into(),
            // Numbers, words and ids always serialize.
            index: serde_json::to_string(&self.index).unwrap_or_default(),
        })
    }
}
