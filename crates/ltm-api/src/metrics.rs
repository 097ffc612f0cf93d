//! What the service measures.

use std::{fmt, time::Duration};

use ltm_types::Kind;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::Api;

/// The counters of one process.
pub(crate) struct Metrics {
    appends: Family<OfKind, Histogram>,
    entries: Family<OfKind, Counter>,
    entry_bytes: Counter,
    conflicts: Counter,
    created: Counter,
    deleted: Counter,
    checkpoints: Counter,
    trims: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

impl OfKind {
    /// The services write no other kinds.
    fn of(kind: &Kind) -> Self {
        Self {
            kind: match kind {
                Kind::Snapshot => "snapshot",
                Kind::Rollback => "rollback",
                Kind::Error => "error",
                Kind::Deleted => "deleted",
                Kind::Other(_) => "other",
            },
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            // From 100 µs to 6.5 s.
            appends: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(100e-6, 2.0, 17))
            }),
            entries: Family::default(),
            entry_bytes: Counter::default(),
            conflicts: Counter::default(),
            created: Counter::default(),
            deleted: Counter::default(),
            checkpoints: Counter::default(),
            trims: Counter::default(),
        }
    }

    /// An entry was appended, `after` its request had been read.
    pub(crate) fn appended(&self, kind: &Kind, bytes: usize, after: Duration) {
        let labels = OfKind::of(kind);
        self.appends
            .get_or_create(&labels)
            .observe(after.as_secs_f64());
        self.wrote(&labels, bytes);
    }

    /// Others had written to the log meanwhile.
    pub(crate) fn conflict(&self) {
        self.conflicts.inc();
    }

    /// An LTM was created, with its first entry of so many bytes.
    pub(crate) fn created(&self, bytes: usize) {
        self.created.inc();
        self.wrote(&OfKind::of(&Kind::Snapshot), bytes);
    }

    /// An LTM was made as a copy.
    pub(crate) fn copied(&self) {
        self.created.inc();
    }

    /// An LTM was deleted.
    pub(crate) fn deleted(&self) {
        self.deleted.inc();
        self.wrote(&OfKind::of(&Kind::Deleted), 0);
    }

    /// A checkpoint was written.
    pub(crate) fn checkpoint(&self) {
        self.checkpoints.inc();
    }

    /// Entries were removed from the begin of a log.
    pub(crate) fn trimmed(&self) {
        self.trims.inc();
    }

    fn wrote(&self, labels: &OfKind, bytes: usize) {
        self.entries.get_or_create(labels).inc();
        self.entry_bytes.inc_by(bytes as u64);
    }

    fn register(&self, registry: &mut Registry) {
        // Rates begin at the first one only where there was a 0 before.
        for kind in [Kind::Snapshot, Kind::Rollback, Kind::Error, Kind::Deleted] {
            drop(self.entries.get_or_create(&OfKind::of(&kind)));
        }
        registry.register_with_unit(
            "append_duration",
            "From a write's body being read to its entry being in Redis, with waiting for others",
            Unit::Seconds,
            self.appends.clone(),
        );
        registry.register(
            "entries",
            "Entries written to logs, copies aside",
            self.entries.clone(),
        );
        registry.register_with_unit(
            "entry",
            "Their payloads",
            Unit::Bytes,
            self.entry_bytes.clone(),
        );
        registry.register(
            "append_conflicts",
            "Writes that met a log which others had written to, and were made anew for it",
            self.conflicts.clone(),
        );
        registry.register(
            "ltms_created",
            "LTMs created, copies among them",
            self.created.clone(),
        );
        registry.register(
            "ltms_deleted",
            "LTMs deleted, by a request or because they were idle for long",
            self.deleted.clone(),
        );
        registry.register(
            "checkpoints",
            "Checkpoints written",
            self.checkpoints.clone(),
        );
        registry.register(
            "trims",
            "How often entries were removed from the begin of a log",
            self.trims.clone(),
        );
    }
}

impl Api {
    /// Shows the metrics of the service in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.inner.metrics.register(registry);
        registry.register_collector(Box::new(StateCache(self.clone())));
    }
}

/// The states in memory, as they are when somebody asks.
struct StateCache(Api);

impl fmt::Debug for StateCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateCache")
    }
}

impl Collector for StateCache {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let use_of = self.0.states().usage();
        let gauges = [
            (
                "state_cache",
                "What the states held in memory take, about",
                Some(&Unit::Bytes),
                use_of.bytes,
            ),
            (
                "state_cache_states",
                "States held in memory",
                None,
                use_of.states,
            ),
        ];
        for (name, help, unit, value) in gauges {
            let gauge = ConstGauge::new(value);
            let of = encoder.encode_descriptor(name, help, unit, gauge.metric_type())?;
            EncodeMetric::encode(&gauge, of)?;
        }
        let counters = [
            (
                "state_cache_hits",
                "Requests that found the state in memory",
                use_of.hits,
            ),
            (
                "state_cache_misses",
                "Requests that did not, and read it from Redis",
                use_of.misses,
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let of: MetricEncoder<'_> =
                encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(of)?;
        }
        Ok(())
    }
}
