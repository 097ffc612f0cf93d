//! An LTM's state: a checkpoint and the entries since.

use bytestring::ByteString;
use ltm_types::{Content, Cursor, Entry, Kind, LtmId, keys};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    error::StoreError,
    json,
    log::{Read, Store, WindowBounds, damaged, damaged_after},
    outline::Outline,
    patch::{self, Limits, Tree},
    retention::RetentionOverride,
    script,
};

/// Limits for what is in the log already. What the services wrote was checked by limits that are
/// lower; these keep what somebody else wrote from ending the process.
const WRITTEN: Limits = Limits {
    max_bytes: MOST_BYTES,
    max_depth: patch::DEEPEST,
    max_operations: usize::MAX,
};

/// The longest `_status` that lists show.
const MOST_STATUS_BYTES: usize = 64;

/// The largest state that there may be, whatever the settings: whoever reads it holds a multiple of it.
pub const MOST_BYTES: usize = 128 * 1024 * 1024;

/// The state of an LTM as of a cursor.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// As of which entry; `None` is before the first.
    pub cursor: Option<Cursor>,
    /// The state.
    pub tree: Tree,
    /// Where the snapshots are in the log up to there.
    pub outline: Outline,
    /// Bytes of the entries since the last checkpoint.
    pub bytes_since: usize,
    /// Entries since the last checkpoint.
    pub entries_since: usize,
    /// Bytes of the entries since the log was trimmed, or since this was read.
    pub bytes_since_trim: usize,
    /// The place up to which a trim was begun.
    pub trimmed: u64,
    /// What the LTM was created with; only known where the whole state was read.
    pub retention: RetentionOverride,
}

/// A state that is stored, so that what came before it need not be read.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// As of which entry.
    pub cursor: Cursor,
    /// The state as JSON text.
    pub state: ByteString,
    /// Its outline as JSON text.
    pub outline: String,
}

impl State {
    /// The cursor, or the origin of every log.
    pub fn position(&self) -> Cursor {
        self.cursor.unwrap_or(Cursor::ORIGIN)
    }

    /// The snapshots so far.
    pub fn snapshots_count(&self) -> u64 {
        self.outline.count()
    }

    /// Moves on to `entry`, which must continue this state's cursor.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] where the entry is not what its kind says, or its patch does not apply.
    /// The state is as it was.
    pub fn fold(&mut self, id: LtmId, entry: &Entry) -> Result<(), StoreError> {
        let content = self
            .step(entry)
            .map_err(|detail| damaged_after(self.position(), id, entry.cursor, &detail))?;
        self.note(entry, &content);
        Ok(())
    }

    /// Applies what the entry does to the tree; gives what it holds, or what is wrong with it.
    fn step<'a>(&mut self, entry: &'a Entry) -> Result<Content<'a>, String> {
        let content = entry.content().map_err(|e| e.to_string())?;
        if let Content::Rollback(back) = &content {
            let (count, undone) = (back.rollback.snapshots_count, back.rollback.rollback_index);
            if !self.outline.admits(count, undone) {
                return Err(format!(
                    "this rollback leads to {count} snapshots, which the LTM never had"
                ));
            }
        }
        if let Some(patch) = content.patch() {
            let most = patch::DEEPEST.saturating_add(patch::LEVELS);
            let text = json::compact(patch.get(), most).map_err(|e| format!("its patch is {e}"))?;
            let operations = patch::parse(&text, &WRITTEN).map_err(|e| e.to_string())?;
            let _ = self
                .tree
                .apply(&operations, &WRITTEN)
                .map_err(|e| e.to_string())?;
        }
        Ok(content)
    }

    /// What the LTM does, by its own word (`_status`); `None` where that is no short text.
    pub fn status(&self) -> Option<&str> {
        let status = self.tree.value().get("_status")?.as_str()?;
        (status.len() <= MOST_STATUS_BYTES).then_some(status)
    }

    /// Notes that `entry`, whose patch was applied to the tree, is in the log.
    pub fn advance(&mut self, entry: &Entry) {
        // What is not what its kind says changes nothing.
        self.note(entry, &entry.content().unwrap_or(Content::Nothing));
    }

    /// The same for an entry that was made here: a snapshot need not be read for what is known.
    pub fn advance_made(&mut self, entry: &Entry) {
        if entry.kind != Kind::Snapshot {
            return self.advance(entry);
        }
        self.outline.push_snapshot();
        self.moved(entry);
    }

    fn note(&mut self, entry: &Entry, content: &Content<'_>) {
        match content {
            Content::Snapshot { .. } => self.outline.push_snapshot(),
            Content::Rollback(back) => {
                let (count, undone) = (back.rollback.snapshots_count, back.rollback.rollback_index);
                self.outline.push_rollback(count, undone);
            }
            Content::Error { id } => self.outline.push_error(*id),
            Content::Nothing => self.outline.push_other(),
        }
        self.moved(entry);
    }

    /// Stands at `entry`.
    fn moved(&mut self, entry: &Entry) {
        self.cursor = Some(entry.cursor);
        self.bytes_since += entry.payload.len();
        self.bytes_since_trim += entry.payload.len();
        self.entries_since += 1;
    }

    /// The state as JSON text.
    pub fn text(&self) -> String {
        // A value always serializes: its keys are text.
        serde_json::to_string(self.tree.value()).unwrap_or_default()
    }

    /// What is stored of it; `None` before the first entry.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint {
            cursor: self.cursor?,
            state: self.text().into(),
            // Numbers, words and ids, which always serialize.
            outline: serde_json::to_string(&self.outline).unwrap_or_default(),
        })
    }
}

impl Store {
    /// The state now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Deleted`], [`StoreError::Unavailable`], or
    /// [`StoreError::Damaged`] where checkpoint and log do not make a state.
    pub async fn state(&self, id: LtmId) -> Result<State, StoreError> {
        let (state, retention) =
            tokio::try_join!(self.state_until(id, u64::MAX), self.retention(id))?;
        Ok(State { retention, ..state })
    }

    /// The state right after the entry at the place `seq`.
    ///
    /// # Errors
    ///
    /// As [`Store::state`], and [`StoreError::Trimmed`] where that entry is no longer kept.
    pub async fn state_after(&self, id: LtmId, seq: u64) -> Result<State, StoreError> {
        let state = self.state_until(id, seq).await?;
        match state.position().seq {
            at if at == seq => Ok(state),
            at if at > seq => Err(StoreError::Trimmed(id)),
            _ => Err(damaged(id, state.position(), "it ends before its history")),
        }
    }

    /// The LTM as it was right after the entry at `cursor`, to be copied from.
    ///
    /// # Errors
    ///
    /// As [`Store::state_after`]; [`StoreError::Trimmed`], too, where the log has another entry there.
    pub async fn state_at(&self, id: LtmId, cursor: Cursor) -> Result<State, StoreError> {
        if self.head(id).await?.seq < cursor.seq {
            return Err(StoreError::Trimmed(id));
        }
        let (state, retention) =
            tokio::try_join!(self.state_after(id, cursor.seq), self.retention(id))?;
        if state.position() != cursor {
            return Err(StoreError::Trimmed(id));
        }
        Ok(State { retention, ..state })
    }

    /// The state at the place `seq`, or at the end of the log, or, where `seq` is no longer kept, at
    /// the begin of what is.
    async fn state_until(&self, id: LtmId, seq: u64) -> Result<State, StoreError> {
        let checkpoint = self.saved(id, &keys::checkpoint(id)).await?;
        // One at `seq` itself would not be compared with the log.
        if let Some(mut state) = checkpoint.filter(|state| state.position().seq < seq)
            && self.fold_until(id, &mut state, seq).await?
        {
            return Ok(state);
        }
        // The checkpoint may be of another history than the log: only the log counts.
        let mut tried = None;
        loop {
            let mut state = self
                .base(id)
                .await?
                .map(|base| base.state)
                .unwrap_or_default();
            let from = state.position();
            if self.fold_until(id, &mut state, seq).await? {
                return Ok(state);
            }
            // It may have been trimmed in between: then there is another base now.
            if tried.replace(from) == Some(from) {
                return Err(damaged(
                    id,
                    from,
                    "its first entries are gone and no checkpoint leads to the rest",
                ));
            }
        }
    }

    /// Folds in what the log holds after `state`; false where the log does not continue from it,
    /// and `state` is then of no use.
    ///
    /// # Errors
    ///
    /// As [`Store::state`].
    pub async fn catch_up(&self, id: LtmId, state: &mut State) -> Result<bool, StoreError> {
        self.fold_until(id, state, u64::MAX).await
    }

    /// Folds in what the log holds after `state` up to the place `seq`, or to its end; false where
    /// the log does not continue from it, and `state` is then of no use.
    ///
    /// # Errors
    ///
    /// As [`Store::state`].
    pub async fn fold_until(
        &self,
        id: LtmId,
        state: &mut State,
        seq: u64,
    ) -> Result<bool, StoreError> {
        loop {
            let left = seq.saturating_sub(state.position().seq);
            if left == 0 {
                return Ok(true);
            }
            let most = WindowBounds::default();
            let bounds = WindowBounds {
                entries: usize::try_from(left).map_or(most.entries, |left| left.min(most.entries)),
                ..most
            };
            let Read::Continues(window) = self.read_after(id, state.position(), bounds).await?
            else {
                return Ok(false);
            };
            for entry in window.entries.iter().filter(|e| e.cursor.seq <= seq) {
                state.fold(id, entry)?;
            }
            if state.position() == window.head || window.entries.is_empty() {
                return Ok(true);
            }
        }
    }

    pub(crate) async fn saved(&self, id: LtmId, key: &str) -> Result<Option<State>, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(key).arg("cursor").arg("state").arg("outline");
        let (cursor, text, outline): (Option<String>, Option<Vec<u8>>, Option<String>) =
            self.redis.query(&get).await?;
        let (Some(cursor), Some(text), Some(outline)) = (cursor, text, outline) else {
            return Ok(None);
        };
        let fault = |detail: &str| damaged(id, Cursor::ORIGIN, &format!("{key}: {detail}"));
        let cursor = cursor
            .parse()
            .map_err(|_| fault("its cursor is not a cursor"))?;
        let mut deserializer = serde_json::Deserializer::from_slice(&text);
        deserializer.disable_recursion_limit();
        let members: Map<String, Value> = Map::deserialize(&mut deserializer)
            .map_err(|_| fault("its state is not a JSON object"))?;
        Ok(Some(State {
            cursor: Some(cursor),
            tree: Tree::new(Value::Object(members)),
            outline: serde_json::from_str(&outline)
                .map_err(|e| fault(&format!("its outline cannot be read: {e}")))?,
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
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        let mut call =
            script::CHECKPOINT.call(&[&keys::log(id), &keys::meta(id), &keys::checkpoint(id)]);
        call.arg(checkpoint.cursor.to_string())
            .arg(checkpoint.cursor.seq)
            .arg(&*checkpoint.state)
            .arg(&checkpoint.outline);
        script::CHECKPOINT.run(&self.redis, &call).await?;
        Ok(())
    }
}
