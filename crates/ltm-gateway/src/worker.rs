//! What one thread of the gateway does: it listens to Redis for its own subscribers, so that a message wakes
//! one thread, and writes to their sockets itself.

use std::rc::Rc;

use actix_web::rt;
use ltm_store::Live;

use crate::{
    Gateway,
    fan_out::{Due, fan_out},
    settings::bytes,
    topics::Topics,
};

/// One thread of the gateway.
pub(crate) struct Worker {
    pub gateway: Gateway,
    pub topics: Rc<Topics>,
}

impl Worker {
    /// Connects to Redis and begins to follow, in tasks of this thread.
    pub(crate) fn start(gateway: Gateway) -> Self {
        let inner = &gateway.inner;
        let settings = &inner.settings;
        let redis = inner.store.redis().clone();
        let (live, events) = Live::start(redis, bytes(settings.live_queue));
        gateway.listeners().push(live.clone());
        let due = Rc::<Due>::default();
        let audience = inner.audience.clone();
        let topics = Topics::new(
            inner.store.clone(),
            live,
            audience,
            due.clone(),
            inner.metrics.clone(),
            settings,
        );
        rt::spawn(fan_out(topics.clone(), due, events));
        rt::spawn(topics.clone().sweep());
        Self { gateway, topics }
    }
}
