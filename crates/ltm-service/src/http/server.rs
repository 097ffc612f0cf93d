//! The HTTP server that every service runs in.

use std::{future::Future, io, net::TcpListener, rc::Rc, sync::Arc, time::Duration};

use actix_http::{HttpService, Protocol, Request, error::DispatchError};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service,
};
use actix_web::{
    App, Error, HttpMessage,
    body::MessageBody,
    dev::{AppConfig, ServiceRequest, ServiceResponse},
    http::header,
    middleware::{NormalizePath, from_fn},
    rt::net::TcpStream,
    web::{self, ServiceConfig},
};
use ltm_settings::bytes;
use socket2::SockRef;
use tokio::sync::OnceCell;
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder, TracingLogger};

use super::{
    admission::{Admission, admit, permit::REFUSED_AT_ONCE},
    browser::{BrowserPolicy, cors::Origins, guard},
    compression::{Compression, compress},
    connection::{Connection, LINGER, upgrade::upgrade},
    head::answer_head,
    health::Readiness,
    log_access::log_access,
    problem::{self, ProblemLog},
    settings::HttpSettings,
    unread_body,
};
use crate::telemetry::{
    http_metrics::{HttpMetrics, measure},
    metrics::Metrics,
    trace::{self, within_trace},
};

/// The most bytes of a response that wait in memory for a client that reads slowly.
const WRITE_BUFFER: usize = 32 * 1024;

/// An HTTP server that is ready to run.
pub struct Server {
    /// The address that it listens on, such as `0.0.0.0:8000`. Port 0 takes a free port.
    pub listen: String,
    /// Its limits on connections and requests.
    pub http: HttpSettings,
    /// The origins of web pages that may use it.
    pub origins: Origins,
    /// Whether callers need no credential.
    pub open: bool,
    /// Its answer at `/readyz`.
    pub readiness: Readiness,
    /// Its metrics. The server adds those of requests and connections.
    pub metrics: Metrics,
    /// The longest time that open requests may take when it stops.
    pub drain_time: Duration,
    /// The longest time that a client may accept no byte before its connection is closed.
    pub write_stall: Duration,
}

impl Server {
    /// Serves `routes` until `stop` ends, then lets open requests finish.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    pub async fn run(
        self,
        routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let listener = self.bind()?;
        let address = listener.local_addr()?;
        let Self {
            http,
            origins,
            open,
            readiness,
            mut metrics,
            ..
        } = self;
        let browser_policy = web::Data::new(BrowserPolicy::new(origins, &http, open));
        let admission = web::Data::new(Admission::new(http.clone(), metrics.limits()));
        let door = admission.clone();
        let http_metrics = HttpMetrics::new();
        http_metrics.register(metrics.registry(), admission.clone().into_inner());
        let http_metrics = web::Data::new(http_metrics);
        let compression = Compression::new(&http, metrics.limits().clone());
        compression.register(metrics.registry());
        let compression = web::Data::new(compression);
        let problem_log = web::Data::new(ProblemLog::default());
        let metrics = Arc::new(metrics).configure();
        let send_buffer = bytes(http.send_buffer);
        let app = move || {
            App::new()
                .app_data(browser_policy.clone())
                .app_data(admission.clone())
                .app_data(http_metrics.clone())
                .app_data(problem_log.clone())
                .app_data(compression.clone())
                .wrap(from_fn(compress))
                .wrap(from_fn(answer_head))
                .wrap(from_fn(admit))
                .wrap(from_fn(guard))
                .wrap(from_fn(problem::complete))
                .wrap(from_fn(unread_body::keep_body))
                .wrap(NormalizePath::trim())
                .wrap(from_fn(measure))
                .wrap(from_fn(within_trace))
                .wrap(from_fn(log_access))
                .wrap(TracingLogger::<Spans>::new())
                .configure(|config| readiness.configure(config))
                .configure(metrics.clone())
                .configure(routes.clone())
                .default_service(web::to(problem::not_found))
        };
        let builder = actix_server::Server::build()
            .shutdown_timeout(self.drain_time.as_secs().max(1))
            // This limit holds for each worker, and a connection beyond it waits without an answer. So it is higher than
            // ours: by the connections that are being refused, and by one that is closed at once.
            .max_concurrent_connections(
                http.max_connections
                    .get()
                    .saturating_add(REFUSED_AT_ONCE + 1),
            );
        let stopping = builder.graceful_shutdown_signal();
        let service = move || {
            let (stopping, door) = (stopping.clone(), door.clone());
            let app = once(app());
            let upgraded = app.clone();
            let service = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(http.keep_alive)
                .client_request_timeout(http.header_timeout)
                .client_disconnect_timeout(LINGER)
                .h1_write_buffer_size(WRITE_BUFFER)
                .local_addr(address)
                .on_connect_ext(|connection: &Connection, data| {
                    data.insert(connection.state());
                })
                .upgrade(fn_factory(move || {
                    let app = upgraded();
                    async move {
                        let app = Rc::new(app.await?);
                        Ok::<_, ()>(fn_service(move |asked| upgrade(app.clone(), asked)))
                    }
                }))
                .finish(fn_factory(app));
            fn_service(move |stream: TcpStream| {
                prepare(&stream, self.write_stall, send_buffer);
                let peer = stream.peer_addr().ok();
                let connection = door.connect(stream).map_err(DispatchError::Io);
                async move { Ok((connection?, Protocol::Http1, peer)) }
            })
            .and_then(service)
        };
        let server = builder
            .shutdown_signal(stop)
            .listen("http", listener, service)?
            .run();
        if open {
            tracing::warn!(
                %address,
                "anybody who can reach this service may read, write and delete everything: auth.mode is not required"
            );
        }
        tracing::info!(%address, "listening");
        server.await
    }

    fn bind(&self) -> io::Result<TcpListener> {
        let listen = &self.listen;
        TcpListener::bind(listen).map_err(|e| {
            io::Error::new(
                e.kind(),
                format!("cannot listen on {listen}: {e}; is something else running there?"),
            )
        })
    }
}

/// The app of one thread. It is made once, and serves both requests and upgrades.
fn once<F, A>(
    app: F,
) -> impl Fn() -> futures_util::future::LocalBoxFuture<'static, Result<Rc<A::Service>, ()>> + Clone
where
    F: IntoServiceFactory<A, Request>,
    A: ServiceFactory<Request, Config = AppConfig, InitError = ()> + 'static,
    A::Service: 'static,
{
    let shared = Rc::new((app.into_factory(), OnceCell::new()));
    move || {
        let shared = shared.clone();
        Box::pin(async move {
            let (app, made) = &*shared;
            let make = async || Ok(Rc::new(app.new_service(AppConfig::default()).await?));
            made.get_or_try_init(make).await.cloned()
        })
    }
}

fn prepare(stream: &TcpStream, write_stall: Duration, send_buffer: usize) {
    // These fail only if the client has closed the connection.
    let _ = send_at_once(stream)
        .and_then(|()| cut_when_stalled(stream, write_stall))
        // By default the system buffers megabytes for each connection.
        .and_then(|()| SockRef::from(stream).set_send_buffer_size(send_buffer));
}

/// A span for each request. Its fields find the request's lines in the log; they are few, because each is formatted for
/// every request, even if it logs no line. A WebSocket has no span, because every message would enter it.
struct Spans;

impl RootSpanBuilder for Spans {
    fn on_request_start(request: &ServiceRequest) -> Span {
        if request.headers().contains_key(header::UPGRADE) {
            return Span::none();
        }
        let id = request.extensions().get::<RequestId>().copied();
        let trace = trace::of_request(request);
        let trace_id = trace.as_ref().map(trace::trace_id);
        if let Some(trace) = trace {
            request.extensions_mut().insert(trace);
        }
        tracing::info_span!(
            "request",
            method = request.method().as_str(),
            path = request.path(),
            request_id = id.map(tracing::field::display),
            trace_id = trace_id.map(tracing::field::display),
        )
    }

    fn on_request_end<B: MessageBody>(_: Span, _: &Result<ServiceResponse<B>, Error>) {}
}

/// Sends small messages without waiting for the acknowledgement of earlier ones (RFC 896).
fn send_at_once(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// Lets the kernel reset a connection whose client accepts no byte: closing such a connection would never end.
#[cfg(target_os = "linux")]
fn cut_when_stalled(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(limit))
}

/// Other systems find a dead client by keep-alive probes, but not one that stalls.
#[cfg(not(target_os = "linux"))]
fn cut_when_stalled(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_connection_sends_at_once_and_is_cut_when_it_stalls() {
        let listener = actix_web::rt::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (_client, (accepted, _)) = tokio::try_join!(client, listener.accept()).unwrap();
        assert!(!accepted.nodelay().unwrap(), "the system's default");
        prepare(&accepted, Duration::from_secs(7), 16 * 1024);
        assert!(accepted.nodelay().unwrap());
        let held = SockRef::from(&accepted).send_buffer_size().unwrap();
        assert!((16 * 1024..=32 * 1024).contains(&held), "{held}");
        #[cfg(target_os = "linux")]
        assert_eq!(
            SockRef::from(&accepted).tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(7))
        );
    }
}
