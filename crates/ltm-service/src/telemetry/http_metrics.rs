//! The metrics of connections and requests.

use std::{fmt, sync::Arc, time::Instant};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::http::admission::Admission;

/// The metrics of requests. Clones share them.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: Family<Outcome, Counter>,
    durations: Family<Call, Histogram>,
}

/// No label has a value that a client chooses: a route is a pattern, and a method is one that routes have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    method: &'static str,
    route: String,
    status: u16,
}

impl HttpMetrics {
    pub(crate) fn new() -> Self {
        Self {
            requests: Family::default(),
            // From 100 µs to 13 s.
            durations: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(100e-6, 2.0, 18))
            }),
        }
    }

    /// Registers them, with the number of connections that `admission` has accepted.
    pub(crate) fn register(&self, registry: &mut Registry, admission: Arc<Admission>) {
        registry.register(
            "http_requests",
            "Requests that were answered; a WebSocket handshake has status 101",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to the head of its response",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register_collector(Box::new(Connections(admission)));
    }

    fn answered(&self, method: &Method, route: Option<String>, status: u16, began: Instant) {
        let call = Call {
            method: known(method),
            route: route.unwrap_or_else(|| "none".into()),
        };
        let durations = self.durations.get_or_create(&call);
        durations.observe(began.elapsed().as_secs_f64());
        drop(durations);
        let Call { method, route } = call;
        let outcome = Outcome {
            method,
            route,
            status,
        };
        self.requests.get_or_create(&outcome).inc();
    }
}

/// The method as a label: one that a route may have, or `other`.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The middleware that measures every request.
pub(crate) async fn measure<B: MessageBody>(
    http_metrics: web::Data<HttpMetrics>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let began = Instant::now();
    let (method, route) = (request.method().clone(), request.match_pattern());
    let outcome = next.call(request).await;
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    http_metrics.answered(&method, route, status.as_u16(), began);
    outcome
}

/// The number of open connections, at the time of a scrape.
struct Connections(Arc<Admission>);

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let open = ConstGauge::new(self.0.connections() as u64);
        let help = "Open connections, including WebSockets";
        let of = encoder.encode_descriptor("http_connections", help, None, open.metric_type())?;
        open.encode(of)
    }
}
