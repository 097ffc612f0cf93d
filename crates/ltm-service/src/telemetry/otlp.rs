//! Exports spans to the collector, by OTLP over HTTP.
//!
//! The export never delays a request: spans that do not fit into the queue are dropped and counted. The SDK's own queue is
//! not enough for that, because it logs its first drop only.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ltm_settings::SettingError;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData,
        SpanExporter, SpanProcessor,
    },
};

use super::{log_throttle::LogThrottle, settings::TracingSettings};
use crate::process::version::VERSION;

/// The longest time that a span waits for others in the same message.
const GATHER: Duration = Duration::from_secs(1);
/// The most spans in one message to the collector.
const BATCH: usize = 512;

/// The provider whose spans go to the collector. It exports them on a thread of its own.
pub(crate) fn provider(
    settings: &TracingSettings,
    service: &'static str,
) -> Result<SdkTracerProvider, SettingError> {
    let refused = |error: &(dyn Error + 'static)| SettingError::caused("tracing.endpoint", error);
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(http_client(settings).map_err(|e| refused(&e))?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.traces_url())
        .with_timeout(settings.timeout)
        // Retries may outlast `tracing.timeout`, and hold the queue up.
        .with_retry_policy(RetryPolicy::disabled())
        .build()
        .map_err(|e| refused(&e))?;
    let queue = Arc::new(SpanQueue::new(settings));
    let exporter = CountingExporter {
        inner: exporter,
        queue: queue.clone(),
    };
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(settings.queue)
        .with_max_export_batch_size(BATCH.min(settings.queue))
        .with_scheduled_delay(GATHER)
        .build();
    let batches = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build();
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", VERSION))
        .with_attribute(KeyValue::new("service.instance.id", instance()))
        .build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample)));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(BoundedProcessor { batches, queue })
        .with_sampler(sampler)
        .with_resource(resource)
        .build())
}

/// The client that exports.
fn http_client(settings: &TracingSettings) -> reqwest::Result<reqwest::blocking::Client> {
    let configured = || reqwest::blocking::Client::builder().timeout(settings.timeout);
    let is_encrypted = settings.traces_url().to_lowercase().starts_with("https:");
    match configured().build() {
        // A bare system has no CA certificates. Without TLS, none are needed.
        Err(_) if !is_encrypted => configured().tls_certs_only([]).build(),
        built => built,
    }
}

/// Tells this process from others in traces.
fn instance() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Counts the spans that have ended and are not exported yet, and those that were dropped.
#[derive(Debug)]
struct SpanQueue {
    endpoint: String,
    max: usize,
    waiting: AtomicUsize,
    dropped: Mutex<LogThrottle>,
}

impl SpanQueue {
    fn new(settings: &TracingSettings) -> Self {
        Self {
            endpoint: settings.endpoint.clone(),
            max: settings.queue,
            waiting: AtomicUsize::new(0),
            dropped: Mutex::default(),
        }
    }

    /// Counts one more span; false if the queue is full.
    fn enter(&self) -> bool {
        let more = |waiting: usize| (waiting < self.max).then_some(waiting + 1);
        let entered = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.is_ok()
    }

    fn leave(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
    }

    fn drop_spans(&self, spans: usize, error: &str) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let due = dropped.add(spans as u64, Instant::now());
        drop(dropped);
        if let Some(dropped) = due {
            tracing::warn!(
                endpoint = self.endpoint,
                dropped,
                error,
                "spans were dropped: check that the collector runs and keeps up; requests are not affected"
            );
        }
    }
}

/// The SDK's processor, behind a queue of `tracing.queue` spans.
#[derive(Debug)]
struct BoundedProcessor {
    batches: BatchSpanProcessor,
    queue: Arc<SpanQueue>,
}

impl SpanProcessor for BoundedProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.queue.enter() {
            self.batches.on_end(span);
        } else {
            self.queue.drop_spans(1, "`tracing.queue` is full");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// An exporter that takes exported spans from the queue, and counts those that the collector did not take.
#[derive(Debug)]
struct CountingExporter<E> {
    inner: E,
    queue: Arc<SpanQueue>,
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.inner.export(batch).await;
        self.queue.leave(spans);
        if let Err(error) = &outcome {
            self.queue.drop_spans(spans, &error.to_string());
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_spans_wait_and_no_more_and_each_gives_its_place_back() {
        let queue = SpanQueue::new(&TracingSettings {
            queue: 3,
            ..TracingSettings::default()
        });
        assert_eq!(
            [(); 5].map(|()| queue.enter()),
            [true, true, true, false, false]
        );
        queue.leave(2);
        assert_eq!([(); 3].map(|()| queue.enter()), [true, true, false]);
    }
}
