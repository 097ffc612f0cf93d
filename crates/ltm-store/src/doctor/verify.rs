//! Verifies a log: it is complete, every patch applies, and the keys beside the log match it.

use ltm_state::State;
use ltm_types::{Cursor, LtmId, keys};

use crate::{
    error::StoreError,
    log::meta::Meta,
    log::read::{Store, WindowBounds},
};

/// The most times that a log is verified if it is trimmed in the meantime.
const MAX_TRIES: u32 = 3;

/// The result of verifying a log.
#[derive(Debug)]
pub struct Verdict {
    /// The head of the log.
    pub cursor: Cursor,
    /// The number of entries that were verified.
    pub entries: u64,
    /// The number of snapshots in the history.
    pub snapshots_count: u64,
    /// A sentence for each fault; empty if all is well.
    pub faults: Vec<String>,
}

impl Store {
    /// Reads the whole log of an LTM and verifies it: each entry continues the one before it, each patch applies to the
    /// state before it, and checkpoint and `meta` match the log. Calls `progress` with each `seq` that it reaches.
    ///
    /// Entries that are appended in the meantime are not verified.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Deleted`], [`StoreError::Unavailable`]. A damaged log is not an error:
    /// the verdict contains the faults.
    pub async fn verify(
        &self,
        id: LtmId,
        mut progress: impl FnMut(u64),
    ) -> Result<Verdict, StoreError> {
        let mut tries = 1;
        loop {
            let base = self.base_cursor(id).await?;
            let verdict = self.verify_once(id, &mut progress).await?;
            // Entries that were trimmed in the meantime look like a gap.
            let was_trimmed = base != self.base_cursor(id).await?;
            if verdict.faults.is_empty() || !was_trimmed || tries == MAX_TRIES {
                return Ok(verdict);
            }
            tries += 1;
        }
    }

    /// The first entry of the stream after `head`, if that is still the head.
    async fn foreign_after(&self, id: LtmId, head: Cursor) -> Result<Option<String>, StoreError> {
        let mut range = redis::cmd("XRANGE");
        range.arg(keys::log(id)).arg(format!("({head}")).arg("+");
        range.arg("COUNT").arg(1);
        let found: Vec<(String, Vec<Vec<u8>>)> = self.redis.query(&range).await?;
        let still = self.head(id).await? == head;
        Ok(found.into_iter().next().map(|(id, _)| id).filter(|_| still))
    }

    async fn base_cursor(&self, id: LtmId) -> Result<Option<String>, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(keys::base(id)).arg("cursor");
        Ok(self.redis.query(&get).await?)
    }

    async fn verify_once(
        &self,
        id: LtmId,
        progress: &mut impl FnMut(u64),
    ) -> Result<Verdict, StoreError> {
        let meta = self.meta(id).await?;
        let mut proof = Proof::default();
        let base = proof.take(self.base(id).await)?.flatten();
        proof.state = base.map(|base| base.state).unwrap_or_default();
        let first = proof.state.cursor.seq;
        let checkpoint = proof.take(self.saved(id, &keys::checkpoint(id)).await)?;
        let checkpoint = checkpoint
            .flatten()
            .filter(|it| it.cursor.seq > first && it.cursor.seq <= meta.cursor.seq);
        if let Some(checkpoint) = checkpoint {
            let seq = checkpoint.cursor.seq;
            if self.fold_to(id, seq, &mut proof, progress).await? {
                proof.compare_checkpoint(&checkpoint);
            }
        }
        self.fold_to(id, meta.cursor.seq, &mut proof, progress)
            .await?;
        proof.compare_head(&meta);
        if let Some(entry) = self.foreign_after(id, meta.cursor).await? {
            let fault = format!("the services did not write the entry {entry}");
            proof.faults.push(fault);
        }
        proof.compare_count(&meta);
        Ok(Verdict {
            cursor: meta.cursor,
            entries: proof.state.cursor.seq - first,
            snapshots_count: proof.state.snapshots_count(),
            faults: proof.faults,
        })
    }

    /// Folds the log up to the entry at `until`. Returns false if the log does not lead there.
    async fn fold_to(
        &self,
        id: LtmId,
        until: u64,
        proof: &mut Proof,
        progress: &mut impl FnMut(u64),
    ) -> Result<bool, StoreError> {
        while !proof.is_broken && proof.state.cursor.seq < until {
            let at = proof.state.cursor;
            let step = until.min(at.seq + WindowBounds::default().entries as u64);
            let folded = self.fold_until(id, &mut proof.state, step).await;
            match proof.take(folded)? {
                Some(Some(_)) if proof.state.cursor.seq > at.seq => {
                    progress(proof.state.cursor.seq);
                    continue;
                }
                Some(Some(_)) => proof.faults.push(format!("the log ends at {at}")),
                Some(None) => proof.faults.push(format!(
                    "the entry after {at} is missing, or does not continue it"
                )),
                None => {}
            }
            proof.is_broken = true;
        }
        Ok(!proof.is_broken)
    }
}

/// The part of a log that was verified so far.
#[derive(Default)]
struct Proof {
    state: State,
    faults: Vec<String>,
    /// Whether the log cannot be folded further.
    is_broken: bool,
}

impl Proof {
    /// Returns a result, or records its damage as a fault. Passes other errors on.
    fn take<T>(&mut self, outcome: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(StoreError::Damaged { at, detail, .. }) => {
                self.faults.push(format!("at {at}: {detail}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Compares a checkpoint with the state of the log at the same `seq`.
    fn compare_checkpoint(&mut self, checkpoint: &State) {
        let at = checkpoint.cursor;
        let mut index = checkpoint.index.clone();
        index.trim(self.state.index.origin().seq);
        if at != self.state.cursor {
            self.faults
                .push(format!("the checkpoint at {at} belongs to another history"));
        } else if checkpoint.tree.value() != self.state.tree.value() {
            self.faults.push(format!(
                "the state of the checkpoint at {at} differs from the state of the log"
            ));
        } else if index != self.state.index {
            self.faults.push(format!(
                "the history index (`outline`) of the checkpoint at {at} differs from that of the log"
            ));
        }
    }

    fn compare_head(&mut self, meta: &Meta) {
        let (expected, found) = (meta.cursor, self.state.cursor);
        if self.faults.is_empty() && found != expected {
            self.faults.push(format!(
                "the head in meta is {expected}, and the last entry of the log is {found}"
            ));
        }
    }

    fn compare_count(&mut self, meta: &Meta) {
        let (expected, found) = (meta.snapshots_count, self.state.snapshots_count());
        if self.faults.is_empty() && found != expected {
            self.faults.push(format!(
                "meta says {expected} snapshots, and the log has {found}"
            ));
        }
    }
}
