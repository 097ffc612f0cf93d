//! The way of spans to the collector. It holds nothing up: what does not fit is dropped and counted.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData,
        SpanExporter, SpanProcessor,
    },
};

use super::settings::TracingSettings;
use crate::process::version::VERSION;

/// How often there may be a line about the collector.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// How long spans are gathered before they are sent.
const GATHER: Duration = Duration::from_secs(1);
/// The most spans in one message to the collector.
const BATCH: usize = 512;

/// What sends spans to the collector, from a thread of its own.
pub(crate) fn provider(
    settings: &TracingSettings,
    service: &'static str,
) -> Result<SdkTracerProvider, String> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.traces_url())
        .with_timeout(settings.timeout)
        .build()
        .map_err(|e| format!("setting `tracing.endpoint`: {e}"))?;
    let waiting = Arc::new(Waiting::new(settings));
    let exporter = Exporter {
        inner: exporter,
        waiting: waiting.clone(),
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
        .with_span_processor(Bounded { batches, waiting })
        .with_sampler(sampler)
        .with_resource(resource)
        .build())
}

/// What tells this process from others.
fn instance() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The spans that have ended and have not been sent.
#[derive(Debug)]
struct Waiting {
    endpoint: String,
    most: usize,
    now: AtomicUsize,
    /// Since the last line.
    dropped: AtomicU64,
    logged: Mutex<Option<Instant>>,
}

impl Waiting {
    fn new(settings: &TracingSettings) -> Self {
        Self {
            endpoint: settings.endpoint.clone(),
            most: settings.queue,
            now: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            logged: Mutex::new(None),
        }
    }

    /// Takes a place; false where there is none.
    fn enter(&self) -> bool {
        let more = |now: usize| (now < self.most).then_some(now + 1);
        let entered = self
            .now
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.is_ok()
    }

    fn leave(&self, spans: usize) {
        self.now.fetch_sub(spans, Ordering::Relaxed);
    }

    fn drop_spans(&self, spans: usize, why: &str) {
        self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
        let now = Instant::now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_some_and(|logged| now.duration_since(logged) < LOG_INTERVAL) {
            return;
        }
        *logged = Some(now);
        drop(logged);
        tracing::warn!(
            endpoint = self.endpoint,
            dropped = self.dropped.swap(0, Ordering::Relaxed),
            error = why,
            "spans were dropped: is the collector up? Nothing else is held up by it"
        );
    }
}

/// Lets so many spans wait and no more.
#[derive(Debug)]
struct Bounded {
    batches: BatchSpanProcessor,
    waiting: Arc<Waiting>,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.waiting.enter() {
            self.batches.on_end(span);
        } else {
            self.waiting.drop_spans(1, "`tracing.queue` is full");
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

/// Gives the places back, and says when the collector takes nothing.
#[derive(Debug)]
struct Exporter<E> {
    inner: E,
    waiting: Arc<Waiting>,
}

impl<E: SpanExporter> SpanExporter for Exporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.inner.export(batch).await;
        self.waiting.leave(spans);
        if let Err(error) = &outcome {
            self.waiting.drop_spans(spans, &error.to_string());
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
        let waiting = Waiting::new(&TracingSettings {
            queue: 3,
            ..TracingSettings::default()
        });
        assert_eq!(
            [(); 5].map(|()| waiting.enter()),
            [true, true, true, false, false]
        );
        waiting.leave(2);
        assert_eq!([(); 3].map(|()| waiting.enter()), [true, true, false]);
    }
}
