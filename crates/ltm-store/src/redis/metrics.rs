//! The metrics of the connections to Redis.

use std::time::Duration;

use prometheus_client::{
    metrics::{
        counter::Counter,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The metrics of one client of Redis and its clones.
pub struct RedisMetrics {
    round_trips: Histogram,
    errors: Counter,
    reconnects: Counter,
    live_reconnects: Counter,
    memory_used: Gauge,
    memory_limit: Gauge,
}

impl RedisMetrics {
    pub(crate) fn new() -> Self {
        Self {
            // From 50 µs to 3.3 s.
            round_trips: Histogram::new(exponential_buckets(50e-6, 2.0, 17)),
            errors: Counter::default(),
            reconnects: Counter::default(),
            live_reconnects: Counter::default(),
            memory_used: Gauge::default(),
            memory_limit: Gauge::default(),
        }
    }

    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "redis_round_trip",
            "Time from sending a command or a pipeline to Redis until the answer",
            Unit::Seconds,
            self.round_trips.clone(),
        );
        registry.register(
            "redis_errors",
            "Commands and pipelines that Redis did not answer, or rejected with a temporary error",
            self.errors.clone(),
        );
        registry.register(
            "redis_reconnects",
            "Attempts of all threads to reconnect to Redis",
            self.reconnects.clone(),
        );
        registry.register(
            "live_reconnects",
            "Live connections to Redis that ended; the gateway reads the missed entries from the logs",
            self.live_reconnects.clone(),
        );
        registry.register_with_unit(
            "redis_memory_used",
            "Memory that Redis used at the latest readiness check; of a cluster, the fullest server",
            Unit::Bytes,
            self.memory_used.clone(),
        );
        registry.register_with_unit(
            "redis_memory_limit",
            "maxmemory of Redis at the latest readiness check, 0 for no limit; of a cluster, the fullest server",
            Unit::Bytes,
            self.memory_limit.clone(),
        );
    }

    pub(crate) fn memory(&self, used: u64, limit: u64) {
        let number = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.memory_used.set(number(used));
        self.memory_limit.set(number(limit));
    }

    pub(crate) fn answered(&self, after: Duration) {
        self.round_trips.observe(after.as_secs_f64());
    }

    pub(crate) fn failed(&self) {
        self.errors.inc();
    }

    pub(crate) fn reconnects(&self) {
        self.reconnects.inc();
    }

    pub(crate) fn live_ended(&self) {
        self.live_reconnects.inc();
    }
}
