//! One client's connection, which ends where no request comes on it.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::rt::net::TcpStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    admission::permit::{ConnectionPermit, Refusal},
    settings::HttpSettings,
};
use crate::telemetry::limits_hit::limit_reached;

/// How long a connection is kept that ends before its request was read, so that the answer reaches a
/// peer that is still sending.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// How far the framework's clock may be behind, by which it ends a first head.
const CLOCK: Duration = Duration::from_millis(500);

/// A connection. The framework bounds how long the first head on it takes, and how long it is idle
/// later, but waits for ever for the rest of a later head that has begun.
pub(crate) struct Connection {
    stream: TcpStream,
    state: ConnectionState,
    first_head: FirstHead,
    /// How long the next request may take.
    patience: Duration,
    wait: Option<Wait>,
    permit: ConnectionPermit,
}

/// The wait for the first request, of which a line is written where none came.
struct FirstHead {
    requests: Rc<Requests>,
    opened: Instant,
    timeout: Duration,
}

/// The wait for the next request.
struct Wait {
    /// How many requests there had been when it began.
    after: u64,
    end: Pin<Box<Sleep>>,
}

/// What a connection and its requests know of each other. Clones share it.
#[derive(Clone)]
pub(crate) struct ConnectionState {
    requests: Rc<Requests>,
    /// Why its requests are refused, where they are.
    pub(crate) refusal: Option<Refusal>,
}

#[derive(Default)]
struct Requests {
    begun: Cell<u64>,
    under_way: Cell<usize>,
}

/// A request that is under way, until its answer has been handed over.
pub(crate) struct RequestPermit(Rc<Requests>);

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        settings: &HttpSettings,
        refusal: Option<Refusal>,
        permit: ConnectionPermit,
    ) -> Self {
        let state = ConnectionState {
            requests: Rc::default(),
            refusal,
        };
        Self {
            stream,
            first_head: FirstHead {
                requests: state.requests.clone(),
                opened: Instant::now(),
                timeout: settings.header_timeout,
            },
            state,
            patience: settings.keep_alive + settings.header_timeout,
            wait: None,
            permit,
        }
    }

    /// The connection as it is, for who no longer speaks HTTP on it, and the permit that it holds.
    pub(crate) fn leave_http(self) -> (TcpStream, ConnectionPermit) {
        (self.stream, self.permit)
    }

    pub(crate) fn state(&self) -> ConnectionState {
        self.state.clone()
    }

    /// Whether the next request has been waited for long enough. The framework ends earlier what is
    /// idle, and a first head that does not arrive.
    fn is_given_up(&mut self, cx: &mut Context<'_>) -> bool {
        let requests = &self.first_head.requests;
        if requests.under_way.get() > 0 {
            self.wait = None;
            return false;
        }
        let after = requests.begun.get();
        if self.wait.as_ref().is_none_or(|wait| wait.after != after) {
            let end = Box::pin(sleep_until(Instant::now() + self.patience));
            self.wait = Some(Wait { after, end });
        }
        let wait = self.wait.as_mut();
        let over = wait.is_some_and(|wait| wait.end.as_mut().poll(cx).is_ready());
        if over {
            limit_reached("http.header_timeout");
        }
        over
    }
}

impl Drop for FirstHead {
    fn drop(&mut self) {
        let nothing_came = self.requests.begun.get() == 0;
        if nothing_came && self.opened.elapsed() + CLOCK >= self.timeout {
            limit_reached("http.header_timeout");
        }
    }
}

impl ConnectionState {
    /// A request has come.
    pub(crate) fn begin(&self) -> RequestPermit {
        let requests = &self.requests;
        requests.begun.set(requests.begun.get() + 1);
        requests.under_way.set(requests.under_way.get() + 1);
        RequestPermit(requests.clone())
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            // As if the peer had ended it.
            Poll::Pending if self.is_given_up(cx) => Poll::Ready(Ok(())),
            outcome => outcome,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
