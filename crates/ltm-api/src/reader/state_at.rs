//! The state now, or after a snapshot.

use bytes::Bytes;
use ltm_state::HistoryIndex;
use ltm_types::{Cursor, LtmId};

use super::{error::ReadError, point_in_time::despite_trims, read::Reader};

/// A state, and the snapshot after which it is the state.
pub(crate) struct StateAt {
    pub(crate) cursor: Cursor,
    /// The snapshot's index; `None` before the first.
    pub(crate) index: Option<u64>,
    /// The state as JSON text.
    pub(crate) state: Bytes,
}

impl Reader {
    /// The state after the snapshot `index` (default: the last one) of the history that `rollback` took out
    /// (default: the current one).
    pub(crate) async fn state_at(
        &self,
        id: LtmId,
        index: Option<u64>,
        rollback: Option<u64>,
    ) -> Result<StateAt, ReadError> {
        despite_trims(async || self.read_state_at(id, index, rollback).await).await
    }

    async fn read_state_at(
        &self,
        id: LtmId,
        index: Option<u64>,
        rollback: Option<u64>,
    ) -> Result<StateAt, ReadError> {
        let is_current = |history: &HistoryIndex| {
            let last = history.branch().count().checked_sub(1);
            rollback.is_none() && (index.is_none() || index == last)
        };
        let (now, current) = self.now_and_state(id, is_current).await?;
        let branch = now.branch(rollback)?;
        let last = branch.count().checked_sub(1);
        let Some(index) = index.or(last) else {
            return Ok(StateAt {
                cursor: now.cursor,
                index: None,
                state: Bytes::from_static(b"{}"),
            });
        };
        if let Some(state) = current {
            return Ok(StateAt {
                cursor: now.cursor,
                index: Some(index),
                state,
            });
        }
        let seq = branch.seq_of(index).ok_or_else(|| {
            let problem = match last {
                Some(last) => {
                    let first = branch.first_index();
                    format!("LTM {id} has no snapshot {index} here; it has {first} to {last}")
                }
                None => format!("LTM {id} has no snapshots here"),
            };
            ReadError::invalid("index", problem)
        })?;
        let _permit = self.reads().permit().await;
        let state = self.store().state_after(id, seq).await?;
        let cursor = state.cursor;
        Ok(StateAt {
            cursor,
            index: Some(index),
            state: self.reads().state_text(id, Box::new(state)).await?,
        })
    }
}
