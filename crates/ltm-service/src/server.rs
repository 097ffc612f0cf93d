//! The HTTP server that every service runs in.

use std::{any::Any, future::Future, io, net::TcpListener, time::Duration};

use actix_web::{
    App, HttpServer,
    middleware::{NormalizePath, from_fn},
    rt::net::TcpStream,
    web::{self, ServiceConfig},
};
use socket2::SockRef;
use tracing_actix_web::TracingLogger;

use crate::{Origins, Readiness, problem};

/// An HTTP server, ready to run.
pub struct Server {
    /// Where it listens: `0.0.0.0:8000`; port 0 takes a free one.
    pub listen: String,
    /// The origins of pages that may use it.
    pub origins: Origins,
    /// Whether it can do its work.
    pub readiness: Readiness,
    /// How long open requests may go on once it stops.
    pub drain_time: Duration,
    /// After how long a peer that takes no byte is cut off.
    pub write_stall: Duration,
    /// How long a connection is kept that ends before its request was read, so that the answer
    /// reaches a peer that is still sending. A WebSocket is such a connection, and its close is over
    /// only then.
    pub linger: Duration,
}

impl Server {
    /// Serves `routes` until `stop` is done, then lets open requests finish.
    ///
    /// # Errors
    ///
    /// Where the address cannot be listened on.
    pub async fn run(
        self,
        routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let Self {
            listen,
            origins,
            readiness,
            drain_time,
            write_stall,
            linger,
        } = self;
        let listener = TcpListener::bind(&listen).map_err(|e| {
            io::Error::new(
                e.kind(),
                format!("cannot listen on {listen}: {e}; is something else running there?"),
            )
        })?;
        let address = listener.local_addr()?;
        let app = move || {
            App::new()
                .wrap(from_fn(problem::complete))
                .wrap(origins.middleware())
                .wrap(NormalizePath::trim())
                .wrap(TracingLogger::default())
                .configure(|config| readiness.configure(config))
                .configure(routes.clone())
                .default_service(web::to(problem::not_found))
        };
        let server = HttpServer::new(app)
            .on_connect(move |connection, _| prepare(connection, write_stall))
            .client_disconnect_timeout(linger)
            .shutdown_timeout(drain_time.as_secs().max(1))
            .shutdown_signal(stop)
            .listen(listener)?
            .run();
        tracing::info!(%address, "listening");
        server.await
    }
}

fn prepare(connection: &dyn Any, write_stall: Duration) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        // A connection that has ended refuses, and needs neither.
        let _ = send_at_once(stream).and_then(|()| cut_when_stalled(stream, write_stall));
    }
}

/// Small messages do not wait for the acknowledgement of those before (RFC 896).
fn send_at_once(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// Lets the kernel reset a connection whose peer takes nothing: `close` on it would wait for ever.
#[cfg(target_os = "linux")]
fn cut_when_stalled(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(limit))
}

/// Elsewhere keep-alive probes find a dead peer, if not a stalled one.
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
        prepare(&accepted, Duration::from_secs(7));
        assert!(accepted.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(
            SockRef::from(&accepted).tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(7))
        );
    }
}
