//! The inputs of pages, and the memory for the large ones: from the first byte until the agent answers.

use std::{sync::Arc, time::Duration};

use ltm_store::apart;
use serde_json::{Map, Value};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The memory for the large inputs of all pages: half of it for bodies that arrive, half for the values that are read from
/// them. A body that waits for the memory of its values keeps none from other values.
#[derive(Clone)]
pub(super) struct InputBudget {
    bodies: Half,
    values: Half,
}

/// A half of the budget. Clones share it.
#[derive(Clone)]
struct Half {
    bytes: Arc<Semaphore>,
    size: usize,
    wait: Duration,
}

/// What one input takes of a half. It is returned when this is dropped.
pub(super) struct Share {
    half: Half,
    permit: Option<OwnedSemaphorePermit>,
}

/// The budget had no room for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsedUp;

/// What a page sent: a JSON object.
pub(super) struct Input {
    pub(super) members: Map<String, Value>,
    /// What it takes in memory, approximately.
    pub(super) size: usize,
    pub(super) share: Share,
}

impl InputBudget {
    pub(super) fn new(size: usize, wait: Duration) -> Self {
        let size = (size / 2).min(Semaphore::MAX_PERMITS);
        let half = || Half {
            bytes: Arc::new(Semaphore::new(size)),
            size,
            wait,
        };
        Self {
            bodies: half(),
            values: half(),
        }
    }

    /// The share of a body that takes nothing yet.
    pub(super) fn of_body(&self) -> Share {
        self.bodies.share()
    }

    /// The share of values that take nothing yet.
    pub(super) fn of_values(&self) -> Share {
        self.values.share()
    }
}

impl Half {
    fn share(&self) -> Share {
        Share {
            half: self.clone(),
            permit: None,
        }
    }
}

impl Share {
    /// The bytes that it has.
    pub(super) fn bytes(&self) -> usize {
        let permit = self.permit.as_ref();
        permit.map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes what it lacks of this many bytes, or returns what it has beyond them. A single input may take all of the half,
    /// but not more.
    pub(super) async fn resize(&mut self, bytes: usize) -> Result<(), UsedUp> {
        let (bytes, held) = (bytes.min(self.half.size), self.bytes());
        if bytes <= held {
            drop(self.permit.as_mut().and_then(|it| it.split(held - bytes)));
            return Ok(());
        }
        let more = u32::try_from(bytes - held).map_err(|_| UsedUp)?;
        let more = self.half.bytes.clone().acquire_many_owned(more);
        // The semaphore is never closed.
        let Ok(Ok(more)) = timeout(self.half.wait, more).await else {
            return Err(UsedUp);
        };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

impl Input {
    /// The input as the body of a request. The share of the values is for the body now.
    pub(super) async fn into_body(self) -> (Vec<u8>, Share) {
        let members = self.members;
        let body = apart(self.size, move || serde_json::to_vec(&members)).await;
        // An object with text as keys is always JSON.
        (body.unwrap_or_default(), self.share)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn inputs_share_a_budget_and_wait_for_it_only_so_long() {
        let budget = InputBudget::new(200, Duration::from_millis(10));
        let (mut one, mut other) = (budget.of_body(), budget.of_body());
        one.resize(70).await.unwrap();
        assert_eq!(other.resize(50).await, Err(UsedUp));
        one.resize(40).await.unwrap();
        other.resize(50).await.unwrap();
        assert_eq!(other.resize(70).await, Err(UsedUp));
        drop(one);
        other.resize(1_000_000).await.unwrap();
        assert_eq!(other.bytes(), 100);
        budget.of_values().resize(100).await.unwrap();
    }
}
