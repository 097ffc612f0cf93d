//! The entries on their way to the members of a topic that belong to traces.

use std::time::SystemTime;

use ltm_service::Span;
use ltm_types::{Entry, LtmId};

/// The most entries of one topic that are traced at once; further ones are only delivered.
const MOST: usize = 64;

/// The entries of one topic that are on their way and belong to traces. A trace has one span for each, not one
/// for each subscriber.
#[derive(Default)]
pub(crate) struct DeliverySpans {
    deliveries: Vec<Delivery>,
}

struct Delivery {
    seq: u64,
    span: Span,
    subscribers: usize,
    /// When the last of them took it; `None` while none has.
    taken: Option<SystemTime>,
}

impl DeliverySpans {
    /// An entry has come, and is a message of so many bytes.
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

    /// The entries after `from` up to `to` went to the sockets of this many members.
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

    /// All members have been visited.
    pub(crate) fn end(&mut self) {
        for mut delivery in self.deliveries.drain(..) {
            let subscribers = i64::try_from(delivery.subscribers).unwrap_or(i64::MAX);
            delivery.span.set("ltm.members", subscribers);
            delivery
                .span
                .end_at(delivery.taken.unwrap_or_else(SystemTime::now));
        }
    }
}
