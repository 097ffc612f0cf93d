//! Metrics that the gateway reads only when they are scraped.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::gateway::Gateway;

impl Gateway {
    /// Registers the metrics of the gateway.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics().register(registry);
        registry.register_collector(Box::new(Current(self.clone())));
    }
}

/// Reads the current values at each scrape.
struct Current(Gateway);

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl Collector for Current {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gateway = &self.0;
        let cache = gateway.backlog().usage();
        let gauges = [
            (
                "subscribers",
                "Connected subscribers",
                gateway.drain().taken() as u64,
            ),
            (
                "followed_ltms",
                "LTMs that have a subscriber on this gateway",
                gateway.per_ltm_limit().followed() as u64,
            ),
            (
                "followed_lists",
                "Lists of LTMs that have a subscriber on this gateway",
                gateway.lists().count() as u64,
            ),
            (
                "draining",
                "1 while the gateway drains, otherwise 0",
                u64::from(gateway.tasks().shutdown().has_begun()),
            ),
            (
                "log_cache_bytes",
                "Size of the cache of log reads that subscribers share",
                cache.bytes,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            let encoder = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(encoder)?;
        }
        let counters = [
            (
                "log_cache_hits",
                "Log reads that the cache answered",
                cache.hits,
            ),
            ("log_cache_misses", "Log reads from Redis", cache.misses),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let encoder = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(encoder)?;
        }
        Ok(())
    }
}
