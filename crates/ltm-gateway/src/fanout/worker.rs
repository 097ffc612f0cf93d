//! What one thread of the gateway does: it listens to Redis for its own subscribers, so that a message wakes
//! one thread, and writes to their sockets itself.

use std::rc::Rc;

use actix_web::rt;
use ltm_store::Live;

use crate::{
    Gateway,
    fanout::{
        fan_out::{RunQueue, fan_out},
        topics::Topics,
    },
    settings::bytes,
};

/// One thread of the gateway.
pub(crate) struct Worker {
    pub gateway: Gateway,
    pub topics: Rc<Topics>,
}

impl Worker {
    /// Connects to Redis and begins to follow, in tasks of this thread.
    pub(crate) fn start(gateway: Gateway) -> Self {
        let settings = gateway.settings();
        let redis = gateway.store().redis().clone();
        let (live, events) = Live::start(redis, bytes(settings.live_queue));
        gateway.listeners().push(live.clone());
        let due = Rc::<RunQueue>::default();
        let limit = gateway.per_ltm_limit().clone();
        let topics = Topics::new(
            gateway.store().clone(),
            live,
            limit,
            due.clone(),
            gateway.metrics().clone(),
            settings,
        );
        rt::spawn(fan_out(topics.clone(), due, events));
        rt::spawn(topics.clone().sweep());
        Self { gateway, topics }
    }
}
