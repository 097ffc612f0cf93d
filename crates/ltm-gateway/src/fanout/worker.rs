//! What one thread of the gateway does: it listens to Redis for its own subscribers, so that a message wakes
//! one thread, and writes to their sockets itself.

use std::rc::Rc;

use actix_web::rt;
use ltm_store::Live;

use crate::{
    fanout::{fan_out::fan_out, run_queue::RunQueue, topics::Topics},
    gateway::Gateway,
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
        let run_queue = Rc::<RunQueue>::default();
        let limit = gateway.per_ltm_limit().clone();
        let topics = Topics::new(
            gateway.store().clone(),
            live,
            limit,
            run_queue.clone(),
            gateway.metrics().clone(),
            settings,
        );
        rt::spawn(fan_out(topics.clone(), run_queue, events));
        rt::spawn(topics.clone().sweep());
        Self { gateway, topics }
    }
}
