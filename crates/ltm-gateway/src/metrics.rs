//! What the gateway measures.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use ltm_types::ResetReason;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, counter::Counter, family::Family},
    registry::{Registry, Unit},
};

use crate::{fanout::message::Batch, subscriber::close::CloseCause};

/// The counters of one process. Each thread has it.
#[derive(Clone)]
pub(crate) struct GatewayMetrics {
    deliveries: Counter,
    delivered_bytes: Counter,
    lag: Lag,
    resets: Family<Reason, Counter>,
    catch_ups: Counter,
    gaps: Counter,
    slow: Counter,
    ended: Family<Reason, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl GatewayMetrics {
    pub(crate) fn new() -> Self {
        Self {
            deliveries: Counter::default(),
            delivered_bytes: Counter::default(),
            lag: Lag::default(),
            resets: Family::default(),
            catch_ups: Counter::default(),
            gaps: Counter::default(),
            slow: Counter::default(),
            ended: Family::default(),
        }
    }

    /// A batch went to the sockets of this many subscribers.
    pub(crate) fn delivered(&self, batch: &Batch, subscribers: usize) {
        let (messages, bytes) = (batch.count * subscribers, batch.frames.len() * subscribers);
        self.deliveries.inc_by(messages as u64);
        self.delivered_bytes.inc_by(bytes as u64);
        if let Some(appended) = batch.appended {
            self.lag.observe(since(appended), subscribers as u64);
        }
    }

    /// A subscriber is told to replace its state.
    pub(crate) fn reset(&self, reason: ResetReason, bytes: usize) {
        let reason = reason.as_str();
        self.resets.get_or_create(&Reason { reason }).inc();
        self.single(bytes);
    }

    /// A subscriber is told of one thing by itself: a reset, or what changed in a list.
    pub(crate) fn single(&self, bytes: usize) {
        self.deliveries.inc();
        self.delivered_bytes.inc_by(bytes as u64);
    }

    /// A subscriber begins to read the log.
    pub(crate) fn catch_up(&self) {
        self.catch_ups.inc();
    }

    /// An entry came live that did not continue what was there.
    pub(crate) fn gap(&self) {
        self.gaps.inc();
    }

    /// A subscriber's socket did not take what came.
    pub(crate) fn slow(&self) {
        self.slow.inc();
    }

    /// A subscription has ended.
    pub(crate) fn ended(&self, end: &CloseCause) {
        let reason = end.name();
        self.ended.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        // Rates begin at the first one only where there was a 0 before.
        for reason in ResetReason::ALL {
            let reason = reason.as_str();
            drop(self.resets.get_or_create(&Reason { reason }));
        }
        registry.register(
            "deliveries",
            "Messages handed to subscribers' sockets",
            self.deliveries.clone(),
        );
        registry.register_with_unit(
            "delivered",
            "Their WebSocket frames",
            Unit::Bytes,
            self.delivered_bytes.clone(),
        );
        registry.register_with_unit(
            "delivery_lag",
            "From Redis taking an entry to its write to a subscriber's socket, of the oldest entry in each \
             write; what subscribers read from the log is left out",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register(
            "resets",
            "Subscribers that were told to replace their state, by the reason they were told",
            self.resets.clone(),
        );
        registry.register(
            "catch_ups",
            "How often a subscriber began to read the log, because it came with a cursor or fell behind",
            self.catch_ups.clone(),
        );
        registry.register(
            "gaps",
            "Live entries that did not continue what was there; the log was read instead",
            self.gaps.clone(),
        );
        registry.register(
            "slow_subscribers",
            "How often a subscriber's socket did not take what came, so that it goes on from the log",
            self.slow.clone(),
        );
        registry.register(
            "subscriptions_ended",
            "Subscriptions that ended, by the reason",
            self.ended.clone(),
        );
    }
}

/// How long ago that was, in seconds, by this machine's clock; nothing where the clocks disagree.
#[allow(clippy::cast_precision_loss)]
fn since(micros: u64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_micros());
    now.saturating_sub(u128::from(micros)) as f64 / 1e6
}

/// The upper bounds of the lag's buckets, in seconds.
const BOUNDS: [f64; 16] = [
    0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
    10.0,
];

/// A histogram that takes the same value for many at once: the library's would be asked for each subscriber.
#[derive(Clone, Debug, Default)]
struct Lag(Arc<LagCounts>);

#[derive(Debug, Default)]
struct LagCounts {
    /// Of each bucket; the last one has no bound.
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Lag {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn observe(&self, seconds: f64, times: u64) {
        let bucket = BOUNDS.iter().position(|&bound| seconds <= bound);
        self.0.counts[bucket.unwrap_or(BOUNDS.len())].fetch_add(times, Ordering::Relaxed);
        let micros = (seconds * 1e6) as u64;
        let micros = micros.saturating_mul(times);
        self.0.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl EncodeMetric for Lag {
    #[allow(clippy::cast_precision_loss)]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self
            .0
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.micros.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
