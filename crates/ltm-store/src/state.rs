//! An LTM's state: a checkpoint and the entries since.

use bytestring::ByteString;
use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    error::StoreError,
    log::{Read, Store, WindowBounds, damaged},
    patch::{self, Limits, Tree},
    script,
};

/// Limits for what is in the log already: it was checked when it was written.
const UNLIMITED: Limits = Limits {
    max_bytes: usize::MAX,
    max_depth: usize::MAX,
    max_operations: usize::MAX,
};

/// The state of an LTM as of a cursor.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// As of which entry; `None` is before the first.
    pub cursor: Option<Cursor>,
    /// The state.
    pub tree: Tree,
    /// The snapshots so far.
    pub snapshots_count: u64,
    /// Bytes of the entries since the last checkpoint.
    pub bytes_since: usize,
    /// Entries since the last checkpoint.
    pub entries_since: usize,
}

/// What an entry that changes the state holds for that.
#[derive(Deserialize)]
struct Step<'a> {
    #[serde(borrow)]
    patch: &'a RawValue,
}

impl State {
    /// The cursor, or the origin of every log.
    pub fn position(&self) -> Cursor {
        self.cursor.unwrap_or(Cursor::ORIGIN)
    }

    /// Moves on to `entry`, which must continue this state's cursor.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] where the entry's patch does not apply.
    pub fn fold(&mut self, id: LtmId, entry: &Entry) -> Result<(), StoreError> {
        let fault = |detail: String| damaged(id, entry.cursor, &detail);
        if entry.kind.changes_state() {
            let step: Step<'_> =
                serde_json::from_str(&entry.payload).map_err(|e| fault(e.to_string()))?;
            let operations =
                patch::parse(step.patch.get(), &UNLIMITED).map_err(|e| fault(e.to_string()))?;
            let _ = self
                .tree
                .apply(&operations, &UNLIMITED)
                .map_err(|e| fault(e.to_string()))?;
        }
        self.advance(entry);
        Ok(())
    }

    /// Notes that `entry`, whose patch was applied to the tree, is in the log.
    pub fn advance(&mut self, entry: &Entry) {
        if entry.kind == Kind::Snapshot {
            self.snapshots_count += 1;
        }
        self.cursor = Some(entry.cursor);
        self.bytes_since += entry.payload.len();
        self.entries_since += 1;
    }

    /// The state as JSON text.
    pub fn text(&self) -> String {
        self.tree.value().to_string()
    }
}

impl Store {
    /// The state now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Unavailable`], or [`StoreError::Damaged`] where
    /// checkpoint and log do not make a state.
    pub async fn state(&self, id: LtmId) -> Result<State, StoreError> {
        let mut state = self.checkpoint(id).await?.unwrap_or_default();
        if self.catch_up(id, &mut state).await? {
            return Ok(state);
        }
        // The checkpoint is of another history than the log: only the log counts.
        let mut state = State::default();
        if self.catch_up(id, &mut state).await? {
            return Ok(state);
        }
        Err(damaged(
            id,
            Cursor::ORIGIN,
            "its first entries are gone and no checkpoint leads to the rest",
        ))
    }

    /// Folds in what the log holds after `state`; false where the log does not continue from it,
    /// and `state` is then of no use.
    ///
    /// # Errors
    ///
    /// As [`Store::state`].
    pub async fn catch_up(&self, id: LtmId, state: &mut State) -> Result<bool, StoreError> {
        loop {
            let Read::Continues(window) = self
                .read_after(id, state.position(), WindowBounds::default())
                .await?
            else {
                return Ok(false);
            };
            for entry in &window.entries {
                state.fold(id, entry)?;
            }
            if state.position() == window.head || window.entries.is_empty() {
                return Ok(true);
            }
        }
    }

    /// The state right after the snapshot with this index; `None` where there is no such snapshot.
    ///
    /// # Errors
    ///
    /// As [`Store::state`], and [`StoreError::Trimmed`] where the entries that lead there are gone.
    pub async fn state_at(&self, id: LtmId, index: u64) -> Result<Option<State>, StoreError> {
        let usable = |state: &State| state.snapshots_count <= index + 1;
        let mut state = self
            .checkpoint(id)
            .await?
            .filter(usable)
            .unwrap_or_default();
        loop {
            let Read::Continues(window) = self
                .read_after(id, state.position(), WindowBounds::default())
                .await?
            else {
                return Err(StoreError::Trimmed(id));
            };
            for entry in &window.entries {
                if state.snapshots_count > index {
                    return Ok(Some(state));
                }
                state.fold(id, entry)?;
            }
            if state.position() == window.head {
                return Ok((state.snapshots_count > index).then_some(state));
            }
        }
    }

    async fn checkpoint(&self, id: LtmId) -> Result<Option<State>, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(keys::checkpoint(id))
            .arg("cursor")
            .arg("state")
            .arg("snapshots_count");
        let (cursor, text, count): (Option<String>, Option<Vec<u8>>, Option<u64>) =
            self.redis.query(&get).await?;
        let (Some(cursor), Some(text), Some(snapshots_count)) = (cursor, text, count) else {
            return Ok(None);
        };
        let fault = |detail: &str| damaged(id, Cursor::ORIGIN, detail);
        let cursor = cursor
            .parse()
            .map_err(|_| fault("the cursor of its checkpoint is none"))?;
        let mut deserializer = serde_json::Deserializer::from_slice(&text);
        deserializer.disable_recursion_limit();
        let members: Map<String, Value> = Map::deserialize(&mut deserializer)
            .map_err(|_| fault("the state of its checkpoint is no JSON object"))?;
        Ok(Some(State {
            cursor: Some(cursor),
            tree: Tree::new(Value::Object(members)),
            snapshots_count,
            ..State::default()
        }))
    }

    /// Stores a checkpoint, unless Redis has a later one or its log is of another history.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; nothing depends on a checkpoint being written.
    pub async fn save_checkpoint(
        &self,
        id: LtmId,
        cursor: Cursor,
        state: ByteString,
        snapshots_count: u64,
    ) -> Result<(), StoreError> {
        let mut call =
            script::CHECKPOINT.call(&[&keys::log(id), &keys::meta(id), &keys::checkpoint(id)]);
        call.arg(cursor.to_string())
            .arg(cursor.seq)
            .arg(&*state)
            .arg(snapshots_count);
        script::CHECKPOINT.run(&self.redis, &call).await?;
        Ok(())
    }
}
