//! What the gateway counts only when somebody asks for its metrics.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::gateway::Gateway;

impl Gateway {
    /// Shows the metrics of the gateway in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics().register(registry);
        registry.register_collector(Box::new(Now(self.clone())));
    }
}

/// What is there when somebody asks.
struct Now(Gateway);

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gateway = &self.0;
        let cache = gateway.backlog().usage();
        let gauges = [
            (
                "subscribers",
                "Subscribers that are connected",
                gateway.drain().taken() as u64,
            ),
            (
                "followed_ltms",
                "LTMs that have a subscriber here",
                gateway.per_ltm_limit().followed() as u64,
            ),
            (
                "followed_lists",
                "Lists of LTMs that have a subscriber here",
                gateway.lists().count() as u64,
            ),
            (
                "draining",
                "1 while the gateway stops, else 0",
                u64::from(gateway.tasks().shutdown().has_begun()),
            ),
            (
                "log_cache_bytes",
                "What the reads that subscribers share take",
                cache.bytes,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            let of = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(of)?;
        }
        let counters = [
            (
                "log_cache_hits",
                "Reads of a log that another subscriber had made",
                cache.hits,
            ),
            (
                "log_cache_misses",
                "Reads of a log that were made",
                cache.misses,
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let of = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(of)?;
        }
        Ok(())
    }
}
