//! `/metrics`: the metrics of the process, in the text format of Prometheus (version 0.0.4).

use std::{fmt, sync::Arc};

use actix_web::{HttpResponse, http::header, web};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, prometheus_text},
    metrics::{MetricType, counter::ConstCounter, info::Info},
    registry::Registry,
};

use super::{limits_hit::LimitsHit, process_metrics::ProcessMetrics};
use crate::process::version::COMMIT;

/// The content type of that format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The prefix of the names of our own metrics.
const PREFIX: &str = "ltm";

/// The metrics of a process.
pub struct Metrics {
    registry: Registry,
    limits: LimitsHit,
}

impl Metrics {
    /// The metrics of every service: its build, its process, the limits that it reached.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessMetrics));
        let limits = LimitsHit::default();
        let mut metrics = Self { registry, limits };
        let limits = LimitCounts(metrics.limits.clone());
        let own = metrics.registry();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("commit", COMMIT)]);
        own.register("build", "Version and commit of this program", build);
        own.register_collector(Box::new(limits));
        metrics
    }

    /// The registry for our own metrics. Their names begin with `ltm_`.
    pub fn registry(&mut self) -> &mut Registry {
        self.registry.sub_registry_with_prefix(PREFIX)
    }

    /// The limits that the process has reached, for all parts of it.
    pub fn limits(&self) -> &LimitsHit {
        &self.limits
    }

    pub(crate) fn configure(
        self: Arc<Self>,
    ) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
        move |config| {
            config
                .app_data(web::Data::from(self.clone()))
                .route("/metrics", web::get().to(metrics));
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

async fn metrics(metrics: web::Data<Metrics>) -> HttpResponse {
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &metrics.registry) {
        Ok(()) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
            .body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// The limits that were reached.
#[derive(Debug)]
struct LimitCounts(LimitsHit);

impl Collector for LimitCounts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help =
            "How often a limit was reached, by its setting; docs/limits.md explains each limit";
        let mut hits = encoder.encode_descriptor("limits_hit", help, None, MetricType::Counter)?;
        for (setting, times) in self.0.counts() {
            let labels = [("limit", setting)];
            let of = hits.encode_family(&labels)?;
            ConstCounter::new(times).encode(of)?;
        }
        Ok(())
    }
}
