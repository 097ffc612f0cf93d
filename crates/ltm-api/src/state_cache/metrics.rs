//! The metrics of the cache.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::cache::StateCache;

impl StateCache {
    /// Shows the usage of `cache` in `registry`.
    pub(crate) fn register(cache: &Arc<Self>, registry: &mut Registry) {
        registry.register_collector(Box::new(CacheCollector(cache.clone())));
    }
}

/// Reads the usage of the cache when Prometheus scrapes.
struct CacheCollector(Arc<StateCache>);

impl fmt::Debug for CacheCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheCollector")
    }
}

impl Collector for CacheCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let usage = self.0.usage();
        let gauges = [
            (
                "state_cache",
                "Approximate memory of the cached states",
                Some(&Unit::Bytes),
                usage.bytes,
            ),
            ("state_cache_states", "Cached states", None, usage.states),
        ];
        for (name, help, unit, value) in gauges {
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, unit, gauge.metric_type())?;
            EncodeMetric::encode(&gauge, metric)?;
        }
        let counters = [
            (
                "state_cache_hits",
                "Requests that found the state in the cache",
                usage.hits,
            ),
            (
                "state_cache_misses",
                "Requests that loaded the state from Redis",
                usage.misses,
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let metric: MetricEncoder<'_> =
                encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}
