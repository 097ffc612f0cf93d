//! An LTM's state: the fold of its log.

use bytestring::ByteString;
use ltm_types::{Content, ContentError, Cursor, Entry, Kind, member};
use serde_json::{Map, Value};

use crate::{
    history_index::HistoryIndex,
    json::{self, TextError},
    patch::{self, LOGGED, PatchError, Tree},
};

/// The longest `_status` that a list shows, in bytes.
const MAX_STATUS_BYTES: usize = 64;

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

/// Why an entry cannot be applied to a state.
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
        let status = self.tree.value().get(member::STATUS)?.as_str()?;
        (status.len() <= MAX_STATUS_BYTES).then_some(status)
    }

    /// Applies `entry`, which must continue from this state's cursor.
    ///
    /// # Errors
    ///
    /// [`FoldError`] if the entry's payload does not match its kind, or its patch does not apply. The cursor and the
    /// index are unchanged then, but a part of the patch may be applied: drop the state.
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
            self.tree.fold(operations, &LOGGED, true)?;
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
        self.checkpoint_of(|| self.text())
    }

    /// As [`State::checkpoint`], with `text` as the state.
    pub fn checkpoint_as(&self, text: String) -> Option<Checkpoint> {
        self.checkpoint_of(|| text)
    }

    fn checkpoint_of(&self, text: impl FnOnce() -> String) -> Option<Checkpoint> {
        (self.cursor != Cursor::ORIGIN).then(|| Checkpoint {
            cursor: self.cursor,
            state: text().into(),
            // Numbers, words and ids always serialize.
            index: serde_json::to_string(&self.index).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{diff, patch::MAX_STATE_BYTES};

    fn snapshot(after: Cursor, patch: &str) -> Entry {
        let payload = format!(r#"{{"patch":{patch}}}"#);
        Entry::after(after, Kind::Snapshot, payload.into())
    }

    #[test]
    fn a_large_state_that_takes_the_place_of_another_one_can_be_folded() {
        // The larger member grows before the other one shrinks.
        let large = "x".repeat(MAX_STATE_BYTES / 8 * 5);
        let to = Map::from_iter([("a".into(), json!(large)), ("z".into(), json!(""))]);
        let mut state = State {
            tree: Tree::new(json!({"a": "", "z": large})),
            ..State::default()
        };
        let from = state.tree.value().as_object().unwrap();
        let patch = json!(diff::diff(from, &to)).to_string();
        state.fold(&snapshot(state.cursor, &patch)).unwrap();
    }

    #[test]
    fn an_entry_that_copies_without_end_is_refused_and_an_old_one_that_copies_much_is_read() {
        let add = json!([{"op": "add", "path": "/a", "value": vec![0; 10_000]}]);
        let mut state = State::default();
        state
            .fold(&snapshot(state.cursor, &add.to_string()))
            .unwrap();
        let copy = json!({"op": "copy", "from": "/a", "path": "/b"});
        let copies = |count| json!(vec![&copy; count]).to_string();
        state.fold(&snapshot(state.cursor, &copies(300))).unwrap();
        let error = state.fold(&snapshot(state.cursor, &copies(10_000)));
        assert!(matches!(
            error,
            Err(FoldError::Patch(PatchError::TooLarge { .. }))
        ));
    }
}
