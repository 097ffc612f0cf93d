//! What each thread of the gateway has: a listener to Redis for its own subscribers, so that an entry wakes
//! one thread, and a fan-out that writes to their sockets.

use std::rc::Rc;

use ltm_store::Live;

use crate::{
    dialect::agui::Translations,
    fanout::{fan_out::fan_out, run_queue::RunQueue, topics::Topics},
    gateway::Gateway,
    settings::bytes,
};

/// One thread of the gateway.
pub(crate) struct Worker {
    pub gateway: Gateway,
    pub topics: Rc<Topics>,
    pub translations: Rc<Translations>,
}

impl Worker {
    /// Connects to Redis and starts the tasks of this thread. If one of them panics, the process stops.
    pub(crate) fn start(gateway: Gateway) -> Self {
        let redis = gateway.store().redis().clone();
        let (live, events) = {
            let mut listeners = gateway.listeners();
            let number = listeners.len() + 1;
            let (live, events) = Live::start(redis, number, bytes(gateway.settings().live_queue));
            listeners.push(live.clone());
            (live, events)
        };
        let run_queue = Rc::<RunQueue>::default();
        let topics = Topics::new(
            gateway.logs().clone(),
            live,
            run_queue.clone(),
            gateway.per_ltm_limit().clone(),
            gateway.tasks().clone(),
            gateway.metrics().clone(),
            gateway.settings(),
        );
        let failure = Failure(topics.clone());
        let fan_out = fan_out(topics.clone(), run_queue, events, gateway.limits().clone());
        gateway.tasks().spawn_local("fan-out", async move {
            let _failure = failure;
            fan_out.await;
        });
        gateway.tasks().spawn_local("sweep", topics.clone().sweep());
        let translations = Translations::new(&gateway.settings().agui_messages);
        Self {
            gateway,
            topics,
            translations,
        }
    }
}

/// Ends the thread's subscriptions when the fan-out ends, which only a panic or the end of the process does:
/// otherwise their sockets would stay open, and silent.
struct Failure(Rc<Topics>);

impl Drop for Failure {
    fn drop(&mut self) {
        self.0.fail();
    }
}

#[cfg(test)]
mod tests;
