//! The counters of the gateway.

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

/// The counters of one process. Clones share them.
#[derive(Clone)]
pub(crate) struct GatewayMetrics {
    deliveries: Counter,
    delivered_bytes: Counter,
    saved_bytes: Counter,
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
            saved_bytes: Counter::default(),
            lag: Lag::default(),
            resets: Family::default(),
            catch_ups: Counter::default(),
            gaps: Counter::default(),
            slow: Counter::default(),
            ended: Family::default(),
        }
    }

    /// Counts a batch that went to the sockets of this many subscribers.
    pub(crate) fn delivered(&self, batch: &Batch, subscribers: usize) {
        let (messages, bytes) = (batch.count * subscribers, batch.frames.len() * subscribers);
        self.deliveries.inc_by(messages as u64);
        self.delivered_bytes.inc_by(bytes as u64);
        if let Some(appended) = batch.appended {
            self.lag.observe(since(appended), subscribers as u64);
        }
    }

    /// Counts a reset.
    pub(crate) fn reset(&self, reason: ResetReason, bytes: usize) {
        let reason = reason.as_str();
        self.resets.get_or_create(&Reason { reason }).inc();
        self.single(bytes);
    }

    /// Counts a message to a single subscriber: a reset, or a change of a list.
    pub(crate) fn single(&self, bytes: usize) {
        self.deliveries.inc();
        self.delivered_bytes.inc_by(bytes as u64);
    }

    /// Counts the bytes that compression has saved.
    pub(crate) fn saved(&self, bytes: usize) {
        self.saved_bytes.inc_by(bytes as u64);
    }

    /// Counts a subscriber that starts to read the log.
    pub(crate) fn catch_up(&self) {
        self.catch_ups.inc();
    }

    /// Counts a live entry that does not continue its topic.
    pub(crate) fn gap(&self) {
        self.gaps.inc();
    }

    /// Counts a subscriber whose socket did not accept a message.
    pub(crate) fn slow(&self) {
        self.slow.inc();
    }

    /// Counts a subscription that ended.
    pub(crate) fn ended(&self, cause: &CloseCause) {
        let reason = cause.name();
        self.ended.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        // A rate includes the first reset only if the counter was 0 before.
        for reason in ResetReason::ALL {
            let reason = reason.as_str();
            drop(self.resets.get_or_create(&Reason { reason }));
        }
        registry.register(
            "deliveries",
            "Messages handed to the sockets of subscribers",
            self.deliveries.clone(),
        );
        registry.register_with_unit(
            "delivered",
            "WebSocket frames handed to the sockets of subscribers, in their size without compression",
            Unit::Bytes,
            self.delivered_bytes.clone(),
        );
        registry.register_with_unit(
            "compression_saved",
            "Bytes of these WebSocket frames that were not sent, because the frames were compressed",
            Unit::Bytes,
            self.saved_bytes.clone(),
        );
        registry.register_with_unit(
            "delivery_lag",
            "Time from the append of an entry in Redis to its write to the socket of a subscriber, for the \
             oldest entry in each write; without entries that subscribers read from the log",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register(
            "resets",
            "Resets sent to subscribers, by reason",
            self.resets.clone(),
        );
        registry.register(
            "catch_ups",
            "How often a subscriber started to read the log, because it connected with a cursor or fell behind",
            self.catch_ups.clone(),
        );
        registry.register(
            "gaps",
            "Live entries that did not continue the topic, so that the gateway read the log",
            self.gaps.clone(),
        );
        registry.register(
            "slow_subscribers",
            "How often the socket of a subscriber did not accept a message, so that the subscriber continues from the log",
            self.slow.clone(),
        );
        registry.register(
            "subscriptions_ended",
            "Subscriptions that ended, by reason",
            self.ended.clone(),
        );
    }
}

/// The time since then, in seconds, by the clock of this machine; 0 if that moment is in the future.
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

/// A histogram that counts one value for many subscribers at once. The library's histogram would need one call
/// per subscriber.
#[derive(Clone, Debug, Default)]
struct Lag(Arc<LagCounts>);

#[derive(Debug, Default)]
struct LagCounts {
    /// The count of each bucket; the last one has no bound.
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
