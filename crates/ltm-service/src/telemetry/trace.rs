//! Traces, and the spans of the services.
//!
//! Spans use the API of OpenTelemetry and not the spans of the log, so that the level of the log does not decide what is
//! traced.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::HeaderMap,
    middleware::Next,
};
use ltm_settings::SettingError;
use ltm_types::TraceParent;
use opentelemetry::{
    Context, KeyValue, Value,
    context::FutureExt,
    global::{self, BoxedSpan, BoxedTracer},
    trace::{
        Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
        TraceState, Tracer,
    },
};
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::{otlp::provider, settings::TracingSettings};

/// Makes spans; not set if tracing is off.
static TRACER: OnceLock<BoxedTracer> = OnceLock::new();

/// Tracing, until it is stopped.
pub(crate) struct Tracing {
    provider: Option<SdkTracerProvider>,
    timeout: Duration,
}

impl Tracing {
    /// Starts tracing if `tracing.endpoint` is set. It must be called outside of an async runtime.
    ///
    /// # Errors
    ///
    /// `tracing.endpoint` cannot be used.
    pub(crate) fn start(
        settings: &TracingSettings,
        service: &'static str,
    ) -> Result<Self, SettingError> {
        let mut tracing = Self {
            provider: None,
            timeout: settings.timeout,
        };
        if settings.endpoint.is_empty() {
            return Ok(tracing);
        }
        let provider = provider(settings, service)?;
        global::set_tracer_provider(provider.clone());
        TRACER.get_or_init(|| global::tracer("ltm-live"));
        tracing.provider = Some(provider);
        Ok(tracing)
    }

    /// Exports the remaining spans, and waits for that at most `tracing.timeout`.
    pub(crate) fn stop(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown_with_timeout(self.timeout)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// The trace of a request: the caller's, with a span of its own if tracing is on.
pub(crate) fn of_request(request: &ServiceRequest) -> Option<Context> {
    let caller = caller(request.headers());
    let Some(tracer) = TRACER.get() else {
        return caller;
    };
    let parent = caller.unwrap_or_default();
    let span = tracer
        .span_builder(request.method().to_string())
        .with_kind(SpanKind::Server)
        .with_attributes([
            KeyValue::new("http.request.method", request.method().to_string()),
            KeyValue::new("url.path", request.path().to_owned()),
        ]);
    let span = tracer.build_with_context(span, &parent);
    Some(parent.with_span(span))
}

/// The id of a trace.
pub(crate) fn trace_id(context: &Context) -> TraceId {
    context.span().span_context().trace_id()
}

/// The middleware that handles a request within its trace.
pub(crate) async fn within_trace<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let context = request.extensions_mut().remove::<Context>();
    let Some(context) = context else {
        return next.call(request).await;
    };
    let route = request.match_pattern();
    let outcome = next.call(request).with_context(context.clone()).await;
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let span = context.span();
    if span.is_recording() {
        if let (Some(route), Ok(response)) = (route, &outcome) {
            let method = response.request().method();
            span.update_name(format!("{method} {route}"));
            span.set_attribute(KeyValue::new("http.route", route));
        }
        let code = i64::from(status.as_u16());
        span.set_attribute(KeyValue::new("http.response.status_code", code));
        if status.is_server_error() {
            span.set_status(Status::error(""));
        }
    }
    span.end();
    outcome
}

/// The trace that the caller names in `traceparent`. If that is malformed, it is ignored, and a new trace starts.
fn caller(headers: &HeaderMap) -> Option<Context> {
    let parent = headers.get("traceparent")?.to_str().ok()?.trim();
    let mut parents = headers.get_all("traceparent");
    let parent: TraceParent = parent.parse().ok()?;
    if parents.nth(1).is_some() {
        return None;
    }
    let state = headers.get("tracestate").and_then(|it| it.to_str().ok());
    let state = state.and_then(|it| it.parse().ok()).unwrap_or_default();
    Some(remote(parent, state))
}

fn remote(parent: TraceParent, state: TraceState) -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(parent.trace_id),
        SpanId::from(parent.span_id),
        TraceFlags::new(parent.flags),
        true,
        state,
    ))
}

/// A span. It ends when it is dropped.
pub struct Span(BoxedSpan);

impl Span {
    /// The span of a Redis command within the current trace; `None` if there is no trace. `operation` is the command, `name`
    /// its purpose.
    pub fn redis(operation: &'static str, name: &'static str) -> Option<Self> {
        Context::map_current(|context| {
            if !context.has_active_span() {
                return None;
            }
            let Some(tracer) = TRACER.get() else {
                // The entry continues the caller's trace.
                let caller = context.span().span_context().clone();
                return Some(Self(passed_on(caller)));
            };
            let span = tracer
                .span_builder(name)
                .with_kind(SpanKind::Client)
                .with_attributes([
                    KeyValue::new("db.system.name", "redis"),
                    KeyValue::new("db.operation.name", operation),
                ]);
            Some(Self(tracer.build_with_context(span, context)))
        })
    }

    /// The span of a delivery of an entry, from now on; `None` if tracing is off or the trace is not sampled.
    pub fn delivery(parent: TraceParent) -> Option<Self> {
        let tracer = TRACER.get()?;
        if !parent.is_sampled() {
            return None;
        }
        let span = tracer
            .span_builder("deliver")
            .with_kind(SpanKind::Consumer)
            .with_attributes([
                KeyValue::new("messaging.system", "redis"),
                KeyValue::new("messaging.operation.name", "deliver"),
                KeyValue::new("messaging.operation.type", "process"),
                KeyValue::new("messaging.destination.template", "ltm:{database}:{id}:live"),
            ]);
        let parent = remote(parent, TraceState::default());
        Some(Self(tracer.build_with_context(span, &parent)))
    }

    /// The `traceparent` that an entry carries, so that its readers continue the trace; `None` if the trace is not recorded.
    pub fn parent(&self) -> Option<TraceParent> {
        let here = self.0.span_context();
        let carried = here.is_valid() && (here.is_sampled() || TRACER.get().is_none());
        carried.then(|| TraceParent {
            trace_id: u128::from_be_bytes(here.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(here.span_id().to_bytes()),
            flags: here.trace_flags().to_u8(),
        })
    }

    /// Sets an attribute.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(name, value));
    }

    /// Marks it as failed.
    pub fn failed(&mut self, error: &str) {
        self.0.set_status(Status::error(error.to_owned()));
    }

    /// Ends it at `time`.
    pub fn end_at(mut self, time: SystemTime) {
        self.0.end_with_timestamp(time);
    }
}

/// The caller's span, unchanged.
fn passed_on(caller: SpanContext) -> BoxedSpan {
    let parent = Context::new().with_remote_span_context(caller);
    global::tracer("ltm-live")
        .build_with_context(opentelemetry::trace::SpanBuilder::default(), &parent)
}
