//! Traces of deliveries: the entries on their way to the live subscribers of a topic.

use std::time::SystemTime;

use ltm_service::Span;
use ltm_types::{Entry, LtmId};

/// The maximum number of entries of one topic that are traced at once. Further ones get no span.
const MOST: usize = 64;

/// The spans of the entries of one topic that are being delivered. A trace has one span per entry and thread,
/// not one per subscriber.
#[derive(Default)]
pub(crate) struct DeliverySpans {
    deliveries: Vec<Delivery>,
}

struct Delivery {
    seq: u64,
    span: Span,
    subscribers: usize,
    /// When the last of these subscribers took it; `None` while none has.
    taken: Option<SystemTime>,
}

impl DeliverySpans {
    /// Starts a span if the entry belongs to a trace. `bytes` is the size of its message.
    pub(crate) fn begin(&mut self, id: LtmId, entry: &Entry, bytes: usize) {
        let Some(parent) = entry.trace_parent() else {
            return;
        };
        if self.deliveries.len() >= MOST {
            return;
        }
        let Some(mut span) = Span::delivery(parent) else {
            return;
        };
        span.set("ltm.id", id.to_string());
        span.set("ltm.cursor", entry.cursor.to_string());
        span.set("ltm.bytes", i64::try_from(bytes).unwrap_or(i64::MAX));
        self.deliveries.push(Delivery {
            seq: entry.cursor.seq,
            span,
            subscribers: 0,
            taken: None,
        });
    }

    /// Notes that the entries after `from`, up to `to`, went to the sockets of this many subscribers.
    pub(crate) fn written(&mut self, from: u64, to: u64, subscribers: usize) {
        if self.deliveries.is_empty() || subscribers == 0 {
            return;
        }
        let now = SystemTime::now();
        let deliveries = self.deliveries.iter_mut();
        for delivery in deliveries.filter(|it| from < it.seq && it.seq <= to) {
            delivery.subscribers += subscribers;
            delivery.taken = Some(now);
        }
    }

    /// Ends all spans: every subscriber has been visited.
    pub(crate) fn end(&mut self) {
        for mut delivery in self.deliveries.drain(..) {
            let subscribers = i64::try_from(delivery.subscribers).unwrap_or(i64::MAX);
            delivery.span.set("ltm.subscribers", subscribers);
            delivery
                .span
                .end_at(delivery.taken.unwrap_or_else(SystemTime::now));
        }
    }
}
