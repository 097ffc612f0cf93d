//! What is known of an LTM at one moment: where its history is in the log.

use ltm_service::{Parameters, ProblemResponse};
use ltm_state::{Branch, HistoryIndex, State};
use ltm_store::Base;
use ltm_types::{Cursor, LtmId, Problem, ProblemKind};

use crate::{Api, snapshots, states::Turn};

/// How often something is read again because the log was trimmed meanwhile.
const TRIES: u32 = 3;

/// Does `read` again where the log was trimmed between looking where its entries are and reading
/// them.
pub(crate) async fn despite_trims<T>(
    read: impl AsyncFn() -> Result<T, ProblemResponse>,
) -> Result<T, ProblemResponse> {
    let mut tries = 1;
    loop {
        match read().await {
            Err(problem) if problem.0.is(ProblemKind::Trimmed) && tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

/// An LTM at one moment.
pub(crate) struct Known {
    pub(crate) id: LtmId,
    pub(crate) cursor: Cursor,
    /// Where the snapshots are, as far as they are kept.
    pub(crate) index: HistoryIndex,
    /// What the kept part of the log begins with.
    pub(crate) base: Option<Base>,
}

impl Known {
    /// The LTM as it is in Redis now.
    pub(crate) async fn of(api: &Api, id: LtmId) -> Result<Self, ProblemResponse> {
        let (known, ()) = Self::and(api, id, |_| ()).await?;
        Ok(known)
    }

    /// The same, and its state as JSON text.
    pub(crate) async fn with_state(
        api: &Api,
        id: LtmId,
    ) -> Result<(Self, String), ProblemResponse> {
        Self::and(api, id, State::text).await
    }

    async fn and<T>(
        api: &Api,
        id: LtmId,
        also: impl FnOnce(&State) -> T,
    ) -> Result<(Self, T), ProblemResponse> {
        let look = async |mut turn: Turn<'_>| {
            let state = turn.take_current().await?;
            let seen = (state.position(), state.index.clone(), also(&state));
            turn.put(state);
            Ok(seen)
        };
        let (cursor, index, also) = api.states().with(id, look).await?;
        Ok((Self::at(api, id, cursor, index).await?, also))
    }

    /// The LTM as it is at `state`.
    pub(crate) async fn from(api: &Api, id: LtmId, state: &State) -> Result<Self, ProblemResponse> {
        Self::at(api, id, state.position(), state.index.clone()).await
    }

    async fn at(
        api: &Api,
        id: LtmId,
        cursor: Cursor,
        mut index: HistoryIndex,
    ) -> Result<Self, ProblemResponse> {
        let base = api.store().base(id).await?;
        if let Some(base) = &base {
            index.trim(base.state.position().seq);
        }
        Ok(Self {
            id,
            cursor,
            index,
            base,
        })
    }

    /// The history that the parameter `rollback` names (what that rollback took out), else the one
    /// that there is now; and the parameter.
    pub(crate) fn branch_asked_for(
        &self,
        parameters: &Parameters,
    ) -> Result<(Branch, Option<u64>), ProblemResponse> {
        let Some(index) = parameters.number("rollback", 0, u64::MAX)? else {
            return Ok((self.index.branch(), None));
        };
        let branch = self.index.branch_before(index).ok_or_else(|| {
            let (first, count) = (self.index.origin().rollbacks, self.index.rollbacks_count());
            let id = self.id;
            let detail = match count - first {
                0 => format!("LTM {id} has no rollbacks"),
                _ => format!(
                    "LTM {id} has no rollback {index}; it has {first} to {}",
                    count - 1
                ),
            };
            ProblemResponse(
                Problem::new(ProblemKind::InvalidRequest, detail).with_field("rollback"),
            )
        })?;
        Ok((branch, Some(index)))
    }

    /// The snapshot that stands for those at the begin of `branch` that were trimmed.
    pub(crate) async fn trimmed(
        &self,
        api: &Api,
        branch: &Branch,
    ) -> Result<String, ProblemResponse> {
        if let Some(base) = &self.base
            && base.state.position().seq == branch.base
        {
            return snapshots::trimmed(&base.time, &base.state);
        }
        // The history went back to before what is kept; the rollback says what it led to.
        let state = api.store().state_after(self.id, branch.base).await?;
        let entries = api.store().entries(self.id, &[branch.base]).await?;
        let time = entries.first().and_then(snapshots::rollback_time);
        snapshots::trimmed(&time.unwrap_or_default(), &state)
    }
}
