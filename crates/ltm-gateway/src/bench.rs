//! What `make guard` counts; nothing else uses it.

use std::{io, rc::Rc};

use futures_util::{FutureExt, future::LocalBoxFuture};
use ltm_service::LimitsHit;
use ltm_types::{Cursor, Entry, LtmId};

use crate::{
    compression::{limits::CompressionLimits, negotiation::Agreement},
    fanout::{
        live_subscriber::LiveSubscriber,
        topic::{Offered, Topic, TopicBounds},
    },
    metrics::GatewayMetrics,
    settings::{GatewaySettings, bytes},
    subscriber::{
        large_messages::LargeMessages,
        outbound::{Outbound, Peer},
    },
};

/// An LTM with live subscribers, whose sockets accept everything.
pub struct Delivery {
    topic: Rc<Topic>,
}

impl Delivery {
    /// An LTM without entries, and so many subscribers. If `compressed`, all of them can inflate messages.
    pub fn new(id: LtmId, subscribers: usize, compressed: bool) -> Self {
        let settings = GatewaySettings::default();
        let bounds = TopicBounds {
            window: bytes(settings.window),
            batch: bytes(settings.queue),
            compression: CompressionLimits::new(&settings),
        };
        let topic = Topic::new(id, bounds, GatewayMetrics::new());
        let has_news = topic.restart(None, Some(Cursor::ORIGIN), false);
        debug_assert!(!has_news, "nobody follows yet");
        let agreement = compressed.then_some(Agreement {
            takeover: true,
            max_window_bits: None,
        });
        for _ in 0..subscribers {
            let large = LargeMessages::new(usize::MAX, LimitsHit::default());
            let outbound = Rc::new(Outbound::new(Rc::new(Sink), agreement, large));
            topic.join(&LiveSubscriber::new(outbound, Cursor::ORIGIN));
            if compressed {
                topic.begin_inflating();
            }
        }
        Self { topic }
    }

    /// Delivers the next entry to all; false if it is not the next one.
    pub fn deliver(&self, entry: &Entry) -> bool {
        let is_next = self.topic.offer(entry, 0) == Offered::News;
        let mut budget = usize::MAX;
        while self.topic.visit(&mut budget) {}
        is_next
    }
}

/// A socket that accepts everything.
struct Sink;

impl Peer for Sink {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn writable(&self) -> LocalBoxFuture<'_, io::Result<()>> {
        async { Ok(()) }.boxed_local()
    }

    fn shut_down(&self) {}
}
