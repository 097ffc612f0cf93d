//! Proving a log: that it is whole, that every patch applies, and that what is stored beside it
//! says the same.

use ltm_state::State;
use ltm_types::{Cursor, LtmId, keys};

use crate::{
    error::StoreError,
    log::read::{Store, WindowBounds},
    log::retention::Base,
};

/// How often a log is read again that was trimmed meanwhile.
const TRIES: u32 = 3;

/// What was found out about a log.
#[derive(Debug)]
pub struct Verdict {
    /// Where the log is.
    pub cursor: Cursor,
    /// The entries that are kept and were proved.
    pub entries: u64,
    /// The LTM's snapshots.
    pub snapshots_count: u64,
    /// What is wrong, in words; empty where all is well.
    pub faults: Vec<String>,
}

impl Store {
    /// Reads the whole log of an LTM and proves it: each entry continues the one before it, each
    /// patch applies to the state before it, and checkpoint and meta say what the log says.
    /// `progress` hears of each place (`seq`) that was reached.
    ///
    /// Where the LTM is written to meanwhile, it is proved up to where it was.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], [`StoreError::Deleted`], [`StoreError::Unavailable`]. What is wrong
    /// with the log is not an error but a fault of the verdict.
    pub async fn verify(
        &self,
        id: LtmId,
        mut progress: impl FnMut(u64),
    ) -> Result<Verdict, StoreError> {
        let mut tries = 1;
        loop {
            let base = self.base_cursor(id).await?;
            let verdict = self.prove(id, &mut progress).await?;
            // What was trimmed while it was read looks like a hole.
            let trimmed = base != self.base_cursor(id).await?;
            if verdict.faults.is_empty() || !trimmed || tries == TRIES {
                return Ok(verdict);
            }
            tries += 1;
        }
    }

    /// An entry of the stream beyond `head`, if the log is still there.
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

    async fn prove(
        &self,
        id: LtmId,
        progress: &mut impl FnMut(u64),
    ) -> Result<Verdict, StoreError> {
        let meta = self.meta(id).await?;
        let mut proof = Proof {
            state: State::default(),
            faults: Vec::new(),
        };
        match self.base(id).await {
            Ok(None) => {}
            Ok(Some(Base { state, .. })) => proof.state = state,
            Err(error) => proof.judge(Err(error))?,
        }
        let begin = proof.state.cursor.seq;
        let checkpoint = match self.saved(id, &keys::checkpoint(id)).await {
            Ok(checkpoint) => checkpoint.filter(|it| it.cursor.seq > begin),
            Err(error) => {
                proof.judge(Err(error))?;
                None
            }
        };
        let mut stops: Vec<u64> = checkpoint.iter().map(|it| it.cursor.seq).collect();
        stops.push(meta.cursor.seq);
        for stop in stops.into_iter().filter(|stop| *stop <= meta.cursor.seq) {
            if !self.prove_until(id, stop, &mut proof, progress).await? {
                break;
            }
            if let Some(checkpoint) = checkpoint.as_ref().filter(|it| it.cursor.seq == stop) {
                proof.compare(checkpoint);
            }
        }
        let state = &proof.state;
        if proof.faults.is_empty() && state.cursor != meta.cursor {
            let (says, is) = (meta.cursor, state.cursor);
            proof.faults.push(format!(
                "meta says that the log is at {says}, and it is at {is}"
            ));
        }
        if let Some(entry) = self.foreign_after(id, meta.cursor).await? {
            let fault = format!("the entry {entry} was not written by the services");
            proof.faults.push(fault);
        }
        let state = &proof.state;
        // Where others wrote meanwhile, meta is of the moment when it was read.
        if proof.faults.is_empty() && state.snapshots_count() != meta.snapshots_count {
            let (says, are) = (meta.snapshots_count, state.snapshots_count());
            proof
                .faults
                .push(format!("meta says {says} snapshots, and the log has {are}"));
        }
        Ok(Verdict {
            cursor: meta.cursor,
            entries: proof.state.cursor.seq - begin,
            snapshots_count: proof.state.snapshots_count(),
            faults: proof.faults,
        })
    }

    /// Folds the log up to the place `until`; false where it does not lead there.
    async fn prove_until(
        &self,
        id: LtmId,
        until: u64,
        proof: &mut Proof,
        progress: &mut impl FnMut(u64),
    ) -> Result<bool, StoreError> {
        while proof.state.cursor.seq < until {
            let at = proof.state.cursor;
            let step = until.min(at.seq + WindowBounds::default().entries as u64);
            match self.fold_until(id, &mut proof.state, step).await {
                Ok(Some(_)) if proof.state.cursor.seq > at.seq => {
                    progress(proof.state.cursor.seq);
                }
                Ok(Some(_)) => {
                    proof.faults.push(format!("the log ends at {at}"));
                    return Ok(false);
                }
                Ok(None) => {
                    proof.faults.push(format!(
                        "the entry after {at} is missing, or does not continue it"
                    ));
                    return Ok(false);
                }
                Err(error) => {
                    proof.judge(Err(error))?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// How far a log was proved.
struct Proof {
    state: State,
    faults: Vec<String>,
}

impl Proof {
    /// Takes damage as a fault, and passes other errors on.
    fn judge(&mut self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        match outcome {
            Err(StoreError::Damaged { at, detail, .. }) => {
                self.faults.push(format!("at {at}: {detail}"));
                Ok(())
            }
            other => other,
        }
    }

    /// Whether a checkpoint is what the log led to.
    fn compare(&mut self, checkpoint: &State) {
        let at = checkpoint.cursor;
        let mut index = checkpoint.index.clone();
        index.trim(self.state.index.origin().seq);
        if at != self.state.cursor {
            self.faults
                .push(format!("the checkpoint at {at} is of another history"));
        } else if checkpoint.tree.value() != self.state.tree.value() {
            self.faults.push(format!(
                "the state of the checkpoint at {at} is not what the log leads to"
            ));
        } else if index != self.state.index {
            self.faults.push(format!(
                "the outline of the checkpoint at {at} is not what the log leads to"
            ));
        }
    }
}
