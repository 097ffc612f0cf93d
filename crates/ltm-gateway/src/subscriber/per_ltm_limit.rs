//! The limits of followed LTMs and of subscribers per LTM, for all threads together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ltm_service::LimitsHit;
use ltm_types::LtmId;

use crate::{settings::GatewaySettings, subscriber::close::CloseCause};

/// The number of subscribers of each LTM.
pub(crate) struct PerLtmLimit {
    counts: Mutex<HashMap<LtmId, usize>>,
    max_followed: usize,
    max_subscribers: usize,
    limits: LimitsHit,
}

/// One counted subscriber of an LTM, until it is dropped.
pub(crate) struct PerLtmPermit {
    limit: Arc<PerLtmLimit>,
    id: LtmId,
}

impl PerLtmLimit {
    pub(crate) fn new(settings: &GatewaySettings, limits: LimitsHit) -> Self {
        Self {
            counts: Mutex::default(),
            max_followed: settings.max_followed,
            max_subscribers: settings.max_subscribers_per_ltm,
            limits,
        }
    }

    /// Counts one more subscriber of this LTM.
    ///
    /// # Errors
    ///
    /// [`CloseCause::OverLimit`] if the gateway follows as many LTMs as it may, or this LTM has as many
    /// subscribers as it may.
    pub(crate) fn acquire(self: &Arc<Self>, id: LtmId) -> Result<PerLtmPermit, CloseCause> {
        let mut counts = self.counts();
        let count = counts.get(&id).copied().unwrap_or_default();
        if count == 0 && counts.len() >= self.max_followed {
            self.limits.hit("gateway.max_followed");
            let max = self.max_followed;
            let text = format!("this gateway follows {max} LTMs (gateway.max_followed)");
            return Err(CloseCause::OverLimit(text));
        }
        if count >= self.max_subscribers {
            self.limits.hit("gateway.max_subscribers_per_ltm");
            let text = format!(
                "this LTM has {count} subscribers on this gateway (gateway.max_subscribers_per_ltm)"
            );
            return Err(CloseCause::OverLimit(text));
        }
        counts.insert(id, count + 1);
        Ok(PerLtmPermit {
            limit: self.clone(),
            id,
        })
    }

    /// The number of LTMs that have a subscriber.
    pub(crate) fn followed(&self) -> usize {
        self.counts().len()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<LtmId, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PerLtmPermit {
    fn drop(&mut self) {
        let mut counts = self.limit.counts();
        if let Some(count) = counts.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.id);
            }
        }
    }
}
