//! One thread's fan-out: takes what Redis says, and brings it to the topics and their members.
//!
//! A message costs one write for each socket, and no wake. While a round of visits goes on, what comes is
//! gathered, and goes into the next writes together.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use ltm_service::limit_reached;
use ltm_store::{LiveEvent, LiveEvents};
use tokio::{sync::Notify, task::yield_now};

use crate::fanout::{topic::Topic, topics::Topics};

/// How many members are visited, and events taken, before others of the thread have their turn.
const SLICE: usize = 256;

/// The topics whose members are to be visited.
#[derive(Default)]
pub(crate) struct RunQueue {
    topics: RefCell<VecDeque<Rc<Topic>>>,
    some: Notify,
}

impl RunQueue {
    /// The members of this one are.
    pub(crate) fn push(&self, topic: Rc<Topic>) {
        self.topics.borrow_mut().push_back(topic);
        self.some.notify_one();
    }

    fn pop(&self) -> Option<Rc<Topic>> {
        self.topics.borrow_mut().pop_front()
    }

    fn is_empty(&self) -> bool {
        self.topics.borrow().is_empty()
    }

    /// Visits members of topics in turn, up to a slice.
    fn visit(&self) {
        let mut most = SLICE;
        while most > 0
            && let Some(topic) = self.pop()
        {
            if topic.visit(&mut most) {
                self.topics.borrow_mut().push_back(topic);
            }
        }
    }
}

/// Hands out what is appended, for ever.
pub(crate) async fn fan_out(topics: Rc<Topics>, run_queue: Rc<RunQueue>, mut events: LiveEvents) {
    loop {
        if run_queue.is_empty() {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => take(&topics, event),
                    None => return,
                },
                () = run_queue.some.notified() => {}
            }
        }
        for _ in 0..SLICE {
            let Some(event) = events.try_next() else {
                break;
            };
            take(&topics, event);
        }
        run_queue.visit();
        if !run_queue.is_empty() {
            yield_now().await;
        }
    }
}

fn take(topics: &Rc<Topics>, event: LiveEvent) {
    match event {
        LiveEvent::Entry(id, entry, appended) => {
            let topic = topics.topic(id);
            if topic.is_some_and(|topic| !topic.offer(&entry, appended)) {
                topics.metrics().gap();
                topics.refresh_soon(vec![id]);
            }
        }
        LiveEvent::Subscribed(ids) => topics.refresh_soon(ids),
        LiveEvent::Overflow => {
            limit_reached("gateway.live_queue");
            topics.refresh_soon(topics.ids());
        }
    }
}
