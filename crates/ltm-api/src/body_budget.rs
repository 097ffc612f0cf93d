//! The memory for the bodies of all requests in progress, and for the JSON that is read from them.

use std::sync::Arc;

use bytesize::ByteSize;
use ltm_service::LimitsHit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::settings::bytes;

/// The memory for the bodies of all requests in progress. Clones share it.
#[derive(Clone)]
pub(crate) struct BodyBudget {
    bytes: Arc<Semaphore>,
    size: usize,
    limits: LimitsHit,
}

/// The budget is used up.
#[derive(Debug, thiserror::Error)]
#[error("the bodies of all requests in progress take as much memory as allowed (api.bodies)")]
pub(crate) struct UsedUp;

/// What one request takes of the budget. It is returned when this is dropped.
pub(crate) struct Share {
    budget: BodyBudget,
    permit: Option<OwnedSemaphorePermit>,
    /// What another share of the same request has.
    beside: usize,
}

impl BodyBudget {
    pub(crate) fn new(size: ByteSize, limits: LimitsHit) -> Self {
        let size = bytes(size).min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(size)),
            size,
            limits,
        }
    }

    /// The share of a request that takes nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            permit: None,
            beside: 0,
        }
    }
}

impl Share {
    /// The bytes that it has.
    pub(crate) fn bytes(&self) -> usize {
        self.permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Another share for the same request.
    pub(crate) fn another(&self) -> Self {
        Self {
            budget: self.budget.clone(),
            permit: None,
            beside: self.bytes(),
        }
    }

    /// Adds what another share of the same budget has.
    pub(crate) fn join(&mut self, other: Self) {
        match (&mut self.permit, other.permit) {
            (Some(permit), Some(more)) => permit.merge(more),
            (None, more) => self.permit = more,
            (Some(_), None) => {}
        }
    }

    /// Adds this many bytes. A single request may take all of the budget, but not more.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), UsedUp> {
        let bytes = bytes.min(self.budget.size.saturating_sub(self.bytes() + self.beside));
        let more = u32::try_from(bytes).ok();
        let more = more.and_then(|it| self.budget.bytes.clone().try_acquire_many_owned(it).ok());
        let Some(more) = more else {
            self.budget.limits.hit("api.bodies");
            return Err(UsedUp);
        };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}
