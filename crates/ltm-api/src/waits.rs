//! Waiting until an LTM has a status. All requests that wait for the same LTM share one look at Redis.

use std::{sync::Arc, time::Duration};

use ltm_service::{LimitsHit, Shutdown};
use ltm_store::{Row, Store, StoreError};
use ltm_types::{Cursor, LtmId};
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, sleep_until},
};

use crate::{ApiSettings, per_ltm::PerLtm};

/// The requests that wait.
pub(crate) struct Waits {
    store: Store,
    interval: Duration,
    permits: Semaphore,
    latest: PerLtm<Latest>,
    limits: LimitsHit,
    shutdown: Shutdown,
}

/// What a request waits for: that the LTM has one of these statuses, and has left this cursor.
pub(crate) struct Awaited {
    /// Empty for any status.
    pub(crate) statuses: Vec<String>,
    pub(crate) after: Option<Cursor>,
}

/// An LTM as a look found it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) row: Arc<Row>,
    pub(crate) cursor: Cursor,
    /// When the look began.
    at: Instant,
}

/// The latest look at an LTM. The lock is held while somebody looks.
type Latest = Mutex<Option<Seen>>;

/// Why a request does not wait.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WaitError {
    /// Too many requests wait.
    #[error("as many requests wait as allowed (api.max_waits)")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Waits {
    pub(crate) fn new(
        store: Store,
        settings: &ApiSettings,
        limits: LimitsHit,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            store,
            interval: settings.wait_interval,
            permits: Semaphore::new(settings.max_waits.min(Semaphore::MAX_PERMITS)),
            latest: PerLtm::default(),
            limits,
            shutdown,
        }
    }

    /// Waits until the LTM is as `awaited`. `None` if `limit` is over, or the process stops.
    pub(crate) async fn wait(
        &self,
        id: LtmId,
        awaited: &Awaited,
        limit: Duration,
    ) -> Result<Option<Seen>, WaitError> {
        let began = Instant::now();
        let Ok(_permit) = self.permits.try_acquire() else {
            self.limits.hit("api.max_waits");
            return Err(WaitError::TooMany);
        };
        let latest = self.latest.of(id);
        // A write that was acknowledged before this request is seen at once.
        let mut seen = self.look(id, &latest, began).await?;
        while !awaited.is(&seen) {
            let next = seen.at + self.interval;
            tokio::select! {
                () = sleep_until(next.min(began + limit)) => {}
                () = self.shutdown.begun() => return Ok(None),
            }
            if next > began + limit {
                return Ok(None);
            }
            // Any later look will do: so all that wait for this LTM come to wake up together.
            let later = seen.at + Duration::from_nanos(1);
            seen = self.look(id, &latest, later).await?;
        }
        Ok(Some(seen))
    }

    /// The LTM as a look found it that began at `least` or later.
    async fn look(&self, id: LtmId, latest: &Latest, least: Instant) -> Result<Seen, StoreError> {
        let mut latest = latest.lock().await;
        // Those that waited for the lock share the look of the one that had it.
        if let Some(seen) = latest.as_ref().filter(|seen| seen.at >= least) {
            return Ok(seen.clone());
        }
        let at = Instant::now();
        let (row, cursor) = self.store.row(id).await?;
        let row = Arc::new(row);
        Ok(latest.insert(Seen { row, cursor, at }).clone())
    }
}

impl Awaited {
    fn is(&self, seen: &Seen) -> bool {
        let status = seen.row.status.as_ref();
        self.after != Some(seen.cursor)
            && (self.statuses.is_empty() || status.is_some_and(|it| self.statuses.contains(it)))
    }
}
