//! Loads the state of an LTM: a checkpoint, and the entries after it.

use ltm_state::{Checkpoint, RetentionOverride, State};
use ltm_types::{Cursor, Entry, LtmId, keys};

use crate::{
    apart::apart,
    error::StoreError,
    log::read::{Read, Store, WindowBounds, damaged, damaged_after},
    redis::script,
};

/// The entries that were folded to load a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoldCost {
    /// The number of entries.
    pub entries: usize,
    /// The bytes of their payloads.
    pub bytes: usize,
}

/// A state that was loaded from Redis.
#[derive(Clone, Debug, Default)]
pub struct LoadedState {
    /// The state.
    pub state: State,
    /// The entries that were folded into the checkpoint.
    pub folded: FoldCost,
    /// The retention that the LTM was created with.
    pub retention: RetentionOverride,
    /// The bytes of all payloads in the log, about; `None` if nobody has counted them.
    pub log_bytes: Option<u64>,
}

impl Store {
    /// The current state.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Deleted`], [`StoreError::Unavailable`], or
    /// [`StoreError::Damaged`] if checkpoint and log do not make a state.
    pub async fn state(&self, id: LtmId) -> Result<LoadedState, StoreError> {
        self.load(id, u64::MAX).await
    }

    /// The state right after the entry with this `seq`.
    ///
    /// # Errors
    ///
    /// As [`Store::state`], and [`StoreError::Trimmed`] if the log does not have that entry any more: retention removed it,
    /// or a failover of Redis lost it.
    pub async fn state_after(&self, id: LtmId, seq: u64) -> Result<State, StoreError> {
        let (state, _) = self.state_until(id, seq).await?;
        match state.cursor.seq {
            at if at == seq => Ok(state),
            at if at > seq => Err(StoreError::Trimmed(id)),
            _ if self.head(id).await?.seq < seq => Err(StoreError::Trimmed(id)),
            _ => Err(damaged(id, state.cursor, "the log ends before its history")),
        }
    }

    /// The LTM right after the entry at `cursor`, as the source of a copy.
    ///
    /// # Errors
    ///
    /// As [`Store::state_after`], and [`StoreError::Trimmed`] if the log has another entry there.
    pub async fn state_at(&self, id: LtmId, cursor: Cursor) -> Result<LoadedState, StoreError> {
        if self.head(id).await?.seq < cursor.seq {
            return Err(StoreError::Trimmed(id));
        }
        let loaded = self.load(id, cursor.seq).await?;
        if loaded.state.cursor != cursor {
            return Err(StoreError::Trimmed(id));
        }
        Ok(loaded)
    }

    async fn load(&self, id: LtmId, seq: u64) -> Result<LoadedState, StoreError> {
        let ((state, folded), (retention, log_bytes)) =
            tokio::try_join!(self.state_until(id, seq), self.retention(id))?;
        Ok(LoadedState {
            state,
            folded,
            retention,
            log_bytes,
        })
    }

    /// The state at `seq`, and the entries that were folded for it. If the log ends before `seq`, it is the state at
    /// the end of the log; if the log begins after `seq`, it is the state at the beginning.
    async fn state_until(&self, id: LtmId, seq: u64) -> Result<(State, FoldCost), StoreError> {
        let checkpoint = self.saved(id, &keys::checkpoint(id)).await?;
        // The log has no entry to fold into a checkpoint at `seq` itself, so nothing would check that checkpoint.
        if let Some(mut state) = checkpoint.filter(|state| state.cursor.seq < seq)
            && let Some(folded) = self.fold_until(id, &mut state, seq).await?
        {
            return Ok((state, folded));
        }
        // The checkpoint may belong to another history than the log. Only the log counts.
        let mut tried = None;
        loop {
            let base = self.base(id).await?;
            let mut state = base.map(|base| base.state).unwrap_or_default();
            let from = state.cursor;
            if let Some(folded) = self.fold_until(id, &mut state, seq).await? {
                return Ok((state, folded));
            }
            // If the log was trimmed in the meantime, it has another base now.
            if tried.replace(from) == Some(from) {
                let detail =
                    "the first entries of the log are missing, and no checkpoint replaces them";
                return Err(damaged(id, from, detail));
            }
        }
    }

    /// Folds the entries after `state` into it, up to the end of the log. Returns `None` if the log does not continue
    /// from `state`; the state is useless then.
    ///
    /// # Errors
    ///
    /// As [`Store::state`].
    pub async fn catch_up(
        &self,
        id: LtmId,
        state: &mut State,
    ) -> Result<Option<FoldCost>, StoreError> {
        self.fold_until(id, state, u64::MAX).await
    }

    /// As [`Store::catch_up`], up to the entry with this `seq`.
    ///
    /// # Errors
    ///
    /// As [`Store::state`].
    pub async fn fold_until(
        &self,
        id: LtmId,
        state: &mut State,
        seq: u64,
    ) -> Result<Option<FoldCost>, StoreError> {
        let mut folded = FoldCost::default();
        loop {
            let left = seq.saturating_sub(state.cursor.seq);
            if left == 0 {
                return Ok(Some(folded));
            }
            let most = WindowBounds::default();
            let bounds = WindowBounds {
                entries: usize::try_from(left).map_or(most.entries, |left| left.min(most.entries)),
                ..most
            };
            let Read::Continues(window) = self.read_after(id, state.cursor, bounds).await? else {
                return Ok(None);
            };
            let (head, is_empty) = (window.head, window.entries.is_empty());
            let mut entries = window.entries;
            entries.retain(|entry| entry.cursor.seq <= seq);
            folded.entries += entries.len();
            folded.bytes += entries.iter().map(|it| it.payload.len()).sum::<usize>();
            fold_all(id, state, entries).await?;
            if state.cursor == head || is_empty {
                return Ok(Some(folded));
            }
        }
    }

    /// The state that is stored under `key`: a checkpoint or a base.
    pub(crate) async fn saved(&self, id: LtmId, key: &str) -> Result<Option<State>, StoreError> {
        let mut get = redis::cmd("HMGET");
        get.arg(key).arg("cursor").arg("state").arg("outline");
        let (cursor, text, index): (Option<String>, Option<Vec<u8>>, Option<String>) =
            self.redis.query(&get).await?;
        let (Some(cursor), Some(text), Some(index)) = (cursor, text, index) else {
            return Ok(None);
        };
        let fault = |detail: &str| damaged(id, Cursor::ORIGIN, &format!("{key}: {detail}"));
        let cursor = cursor
            .parse()
            .map_err(|_| fault("its cursor is not a cursor"))?;
        let text = String::from_utf8(text).map_err(|_| fault("its state is not a JSON object"))?;
        let bytes = text.len();
        let restore = move || State::restore(cursor, &text, &index);
        let restored = apart(bytes, restore).await;
        restored.map(Some).map_err(|e| fault(&e.to_string()))
    }

    /// Stores a checkpoint, unless Redis has a later one, or the log has another history.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]. The caller may ignore it: a checkpoint only saves work.
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
            .arg(&checkpoint.index);
        script::CHECKPOINT.run(&self.redis, &call).await?;
        Ok(())
    }
}

/// Folds entries, on another thread if they are large. If the caller is given up meanwhile, the state is lost: what is
/// left is a state before the first entry.
pub(crate) async fn fold_all(
    id: LtmId,
    state: &mut State,
    entries: Vec<Entry>,
) -> Result<(), StoreError> {
    let cost = cost(&entries, state);
    let fold_all = move |state: &mut State| -> Result<(), StoreError> {
        entries.iter().try_for_each(|entry| fold(id, state, entry))
    };
    let mut taken = std::mem::take(state);
    let (folded, outcome) = apart(cost, move || {
        let outcome = fold_all(&mut taken);
        (taken, outcome)
    })
    .await;
    *state = folded;
    outcome
}

/// The bytes of JSON that it takes to fold these entries, about. A few bytes can copy all of a state.
fn cost(entries: &[Entry], state: &State) -> usize {
    let bytes: usize = entries.iter().map(|entry| entry.payload.len()).sum();
    if entries.iter().any(|it| it.payload.contains("\"copy\"")) {
        bytes + state.tree.bytes()
    } else {
        bytes
    }
}

/// Folds `entry`, which must continue `state`.
pub(crate) fn fold(id: LtmId, state: &mut State, entry: &Entry) -> Result<(), StoreError> {
    state
        .fold(entry)
        .map_err(|e| damaged_after(state.cursor, id, entry.cursor, &e.to_string()))
}
