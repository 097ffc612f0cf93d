//! How many subscribers each LTM has, in all threads together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ltm_service::limit_reached;
use ltm_types::LtmId;

use crate::{settings::GatewaySettings, subscriber::close::CloseCause};

/// The subscribers of all LTMs, counted.
pub(crate) struct PerLtmLimit {
    counts: Mutex<HashMap<LtmId, usize>>,
    max_followed: usize,
    max_subscribers: usize,
}

/// One subscriber's place, until it is dropped.
pub(crate) struct PerLtmPermit {
    limit: Arc<PerLtmLimit>,
    id: LtmId,
}

impl PerLtmLimit {
    pub(crate) fn new(settings: &GatewaySettings) -> Self {
        Self {
            counts: Mutex::default(),
            max_followed: settings.max_followed,
            max_subscribers: settings.max_subscribers_per_ltm,
        }
    }

    /// A place for one more subscriber of this LTM.
    ///
    /// # Errors
    ///
    /// [`CloseCause::OverLimit`] where as many LTMs as allowed are followed, or this one by as many.
    pub(crate) fn acquire(self: &Arc<Self>, id: LtmId) -> Result<PerLtmPermit, CloseCause> {
        let mut counts = self.counts();
        let count = counts.get(&id).copied().unwrap_or_default();
        if count == 0 && counts.len() >= self.max_followed {
            return Err(over_limit("gateway.max_followed", "LTMs are followed here"));
        }
        if count >= self.max_subscribers {
            return Err(over_limit(
                "gateway.max_subscribers_per_ltm",
                "subscribers follow this LTM here",
            ));
        }
        counts.insert(id, count + 1);
        Ok(PerLtmPermit {
            limit: self.clone(),
            id,
        })
    }

    /// How many LTMs have a subscriber.
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

fn over_limit(setting: &'static str, what: &str) -> CloseCause {
    limit_reached(setting);
    CloseCause::OverLimit(format!("as many {what} as allowed ({setting})"))
}
