//! The fan-out of one thread: it passes what Redis publishes to the topics, and what is new in a topic to
//! its subscribers.
//!
//! An entry costs one write per socket and wakes no task. Entries that arrive during a round of visits are
//! collected, and share the next writes.

use std::rc::Rc;

use ltm_service::LimitsHit;
use ltm_store::{LiveEvent, LiveEvents};
use tokio::task::yield_now;

use crate::fanout::{run_queue::RunQueue, topic::Offered, topics::Topics};

/// How many events the fan-out takes, and how many subscribers it visits, before it lets other tasks of
/// the thread run.
const SLICE: usize = 256;

/// Delivers what Redis publishes. It never ends by itself.
#[allow(
    clippy::expect_used,
    reason = "a thread without a listener delivers nothing: the process has to stop"
)]
pub(crate) async fn fan_out(
    topics: Rc<Topics>,
    run_queue: Rc<RunQueue>,
    mut events: LiveEvents,
    limits: LimitsHit,
) {
    loop {
        if run_queue.is_empty() {
            tokio::select! {
                // Always in this order, so that a simulation can be repeated.
                biased;
                event = events.next() => {
                    let event = event.expect("the listener to Redis does not end");
                    take(&topics, &run_queue, event, &limits);
                }
                () = run_queue.pushed() => {}
            }
        }
        for _ in 0..SLICE {
            let Some(event) = events.try_next() else {
                break;
            };
            take(&topics, &run_queue, event, &limits);
        }
        run_queue.visit(SLICE);
        if !run_queue.is_empty() {
            yield_now().await;
        }
    }
}

fn take(topics: &Rc<Topics>, run_queue: &RunQueue, event: LiveEvent, limits: &LimitsHit) {
    match event {
        LiveEvent::Entry(id, entry, appended) => {
            #[cfg(test)]
            injected::panic_at(&entry);
            let Some(topic) = topics.topic(id) else {
                return;
            };
            match topic.offer(&entry, appended) {
                Offered::News => run_queue.push(topic),
                Offered::Nothing => {}
                Offered::Gap => {
                    topics.metrics().gap();
                    topics.refresh_soon(vec![id]);
                }
            }
        }
        LiveEvent::Subscribed(ids) => topics.refresh_soon(ids),
        LiveEvent::Overflow => {
            limits.hit("gateway.live_queue");
            topics.refresh_soon(topics.ids());
        }
    }
}

/// A fault that a test of the worker injects.
#[cfg(test)]
pub(crate) mod injected {
    use ltm_types::Entry;

    /// An entry with this text makes the fan-out of a thread panic.
    pub(crate) const POISON: &str = "make the fan-out panic";

    pub(super) fn panic_at(entry: &Entry) {
        assert!(!entry.payload.contains(POISON), "a test injects a panic");
    }
}
