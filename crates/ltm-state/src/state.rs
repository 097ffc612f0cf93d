//! An LTM's state: the fold of its log.

use bytestring::ByteString;
use ltm_types::{Content, ContentError, Cursor, Entry, Kind};
use serde_json::{Map, Value};

use crate::{
    history_index::HistoryIndex,
    json::{self, TextError},
    patch::{self, Limits, PatchError, Tree},
};

/// Limits for entries that are in the log already. The services checked what they wrote by lower limits;
/// these keep an entry that another program wrote from ending the process.
const LOGGED: Limits = Limits {
    max_bytes: MAX_STATE_BYTES,
    max_depth: patch::MAX_DEPTH,
    max_operations: usize::MAX,
};

/// The longest `_status` that lists show, in bytes.
const MAX_STATUS_BYTES: usize = 64;

/// The largest state in bytes, whatever the settings: a reader of a state holds a multiple of it.
pub const MAX_STATE_BYTES: usize = 128 * 1024 * 1024;

/// The state of an LTM at a cursor.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The last entry that it includes; `None` before the first.
    pub cursor: Option<Cursor>,
    /// The state itself.
    pub tree: Tree,
    /// Where the snapshots are in the log up to the cursor.
    pub index: HistoryIndex,
}

/// A state as it is stored, so that the entries before it need not be read.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The last entry that it includes.
    pub cursor: Cursor,
    /// The state as JSON text.
    pub state: ByteString,
    /// Its history index as JSON text.
    pub index: String,
}

/// Why an entry cannot be applied to a state. The state is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The payload is not what its kind says.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A rollback leads to a history that the LTM never had.
    #[error("this rollback leads to {0} snapshots, which the LTM never had")]
    Rollback(u64),
    /// The patch is not text that the services write.
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
    State(#[source] json::ReadError),
    /// The history index is not one.
    #[error("its outline cannot be read: {0}")]
    Index(#[source] serde_json::Error),
}

impl State {
    /// The state that was stored with these texts at `cursor`.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if a text is not what a [`Checkpoint`] has.
    pub fn restore(cursor: Cursor, state: &str, index: &str) -> Result<Self, RestoreError> {
        let members: Map<String, Value> = json::read(state).map_err(RestoreError::State)?;
        Ok(Self {
            cursor: Some(cursor),
            tree: Tree::new(Value::Object(members)),
            index: serde_json::from_str(index).map_err(RestoreError::Index)?,
        })
    }

    /// The cursor, or the origin of every log.
    pub fn position(&self) -> Cursor {
        self.cursor.unwrap_or(Cursor::ORIGIN)
    }

    /// The snapshots so far.
    pub fn snapshots_count(&self) -> u64 {
        self.index.count()
    }

    /// What the LTM does, by its own word (`_status`); `None` if that is not a short text.
    pub fn status(&self) -> Option<&str> {
        let status = self.tree.value().get("_status")?.as_str()?;
        (status.len() <= MAX_STATUS_BYTES).then_some(status)
    }

    /// Moves on to `entry`, which must continue this state's cursor.
    ///
    /// # Errors
    ///
    /// [`FoldError`] if the entry is not what its kind says, or its patch does not apply. The state is
    /// as it was.
    pub fn fold(&mut self, entry: &Entry) -> Result<(), FoldError> {
        let content = self.apply(entry)?;
        self.note(entry, &content);
        Ok(())
    }

    /// Applies what the entry does to the tree; returns what the entry holds.
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

    /// Notes that `entry`, whose patch was applied to the tree, is in the log.
    pub fn advance(&mut self, entry: &Entry) {
        if entry.kind == Kind::Snapshot {
            // What a snapshot holds need not be read again.
            self.index.push_snapshot();
            self.cursor = Some(entry.cursor);
            return;
        }
        self.note(entry, &entry.content().unwrap_or(Content::Nothing));
    }

    fn note(&mut self, entry: &Entry, content: &Content<'_>) {
        match content {
            Content::Snapshot { .. } => self.index.push_snapshot(),
            Content::Rollback(back) => {
                let (count, undone) = (back.rollback.snapshots_count, back.rollback.rollback_index);
                self.index.push_rollback(count, undone);
            }
            Content::Error { id } => self.index.push_error(*id),
            Content::Nothing => self.index.push_other(),
        }
        self.cursor = Some(entry.cursor);
    }

    /// The state as JSON text.
    pub fn text(&self) -> String {
        // A value always serializes: its keys are text.
        serde_json::to_string(self.tree.value()).unwrap_or_default()
    }

    /// The state as it is stored; `None` before the first entry.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint {
            cursor: self.cursor?,
            state: self.text().into(),
            // Numbers, words and ids always serialize.
            index: serde_json::to_string(&self.index).unwrap_or_default(),
        })
    }
}
