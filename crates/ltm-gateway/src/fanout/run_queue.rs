//! The topics of one thread that have news for their subscribers.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use tokio::sync::Notify;

use crate::fanout::topic::Topic;

/// The topics whose subscribers must be visited, each at most once.
#[derive(Default)]
pub(crate) struct RunQueue {
    topics: RefCell<VecDeque<Rc<Topic>>>,
    pushed: Notify,
}

impl RunQueue {
    /// Schedules a topic that reports news.
    pub(crate) fn push(&self, topic: Rc<Topic>) {
        self.topics.borrow_mut().push_back(topic);
        self.pushed.notify_one();
    }

    /// Whether no topic is scheduled.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.borrow().is_empty()
    }

    /// Waits until a topic is scheduled.
    pub(crate) async fn pushed(&self) {
        self.pushed.notified().await;
    }

    /// Visits up to `budget` subscribers of the scheduled topics. Topics take turns.
    pub(crate) fn visit(&self, mut budget: usize) {
        while budget > 0
            && let Some(topic) = self.pop()
        {
            if topic.visit(&mut budget) {
                self.topics.borrow_mut().push_back(topic);
            }
        }
    }

    fn pop(&self) -> Option<Rc<Topic>> {
        self.topics.borrow_mut().pop_front()
    }
}
