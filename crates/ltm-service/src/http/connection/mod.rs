//! The connection of a client. It ends if no request arrives on it.

mod progress;
pub(crate) mod upgrade;

use std::{
    cell::Cell,
    future::pending,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{HttpRequest, rt::net::TcpStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    admission::permit::{ConnectionPermit, Refusal},
    settings::HttpSettings,
};
use crate::telemetry::limits_hit::LimitsHit;
use progress::{Progress, too_slow};

/// How long the server keeps a connection that it ends before it has read the request, so that the response reaches a
/// client that is still sending.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// The precision of the framework's clock, which ends the wait for a first request head.
const CLOCK: Duration = Duration::from_millis(500);

/// A connection. The framework limits the time for the first request head and the idle time after that, but waits forever
/// for the rest of a later head. This limits that, too.
pub(crate) struct Connection {
    stream: TcpStream,
    state: ConnectionState,
    first_head: FirstHead,
    /// The longest wait for a request after the first one.
    patience: Duration,
    wait: Option<Wait>,
    progress: Progress,
    /// The end of the time in which the client has to accept bytes.
    deadline: Option<Pin<Box<Sleep>>>,
    permit: ConnectionPermit,
}

/// The wait for the first request. If none arrives in time, the limit is logged.
struct FirstHead {
    requests: Rc<Requests>,
    opened: Instant,
    timeout: Duration,
    limits: LimitsHit,
}

/// The wait for a request after the first one.
struct Wait {
    /// The number of requests when it began.
    after: u64,
    end: Pin<Box<Sleep>>,
}

/// What a connection and its requests share. Clones are the same.
#[derive(Clone)]
pub(crate) struct ConnectionState {
    requests: Rc<Requests>,
    /// Why the server refuses its requests; `None` if it does not.
    pub(crate) refusal: Option<Refusal>,
}

#[derive(Default)]
struct Requests {
    received: Cell<u64>,
    open: Cell<usize>,
    /// Whether the client sends nothing more.
    is_ended: Cell<bool>,
    ended: Notify,
}

/// A request that is being handled: it lives until the response is sent.
pub(crate) struct RequestPermit(Rc<Requests>);

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        settings: &HttpSettings,
        refusal: Option<Refusal>,
        permit: ConnectionPermit,
        limits: LimitsHit,
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
                limits: limits.clone(),
            },
            state,
            patience: settings.keep_alive + settings.header_timeout,
            wait: None,
            progress: Progress::new(settings, limits),
            deadline: None,
            permit,
        }
    }

    /// The bare socket, for a protocol other than HTTP, what its client accepts, and the permit of the connection.
    pub(crate) fn leave_http(self) -> (TcpStream, Progress, ConnectionPermit) {
        (self.stream, self.progress, self.permit)
    }

    /// Whether the client, for which bytes wait, is given up because it reads too slowly.
    fn is_too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let end = self.progress.blocked();
            let deadline = match &mut self.deadline {
                Some(deadline) => {
                    if deadline.deadline() != end {
                        deadline.as_mut().reset(end);
                    }
                    deadline
                }
                none => none.insert(Box::pin(sleep_until(end))),
            };
            if deadline.as_mut().poll(cx).is_pending() {
                return false;
            }
            if self.progress.is_too_slow(&self.stream) {
                return true;
            }
        }
    }

    pub(crate) fn state(&self) -> ConnectionState {
        self.state.clone()
    }

    /// Whether the wait for the next request is over. The framework ends an idle connection, and one without a first head,
    /// earlier.
    fn is_given_up(&mut self, cx: &mut Context<'_>) -> bool {
        let requests = &self.first_head.requests;
        if requests.open.get() > 0 {
            self.wait = None;
            return false;
        }
        let after = requests.received.get();
        if self.wait.as_ref().is_none_or(|wait| wait.after != after) {
            let end = Box::pin(sleep_until(Instant::now() + self.patience));
            self.wait = Some(Wait { after, end });
        }
        let wait = self.wait.as_mut();
        let over = wait.is_some_and(|wait| wait.end.as_mut().poll(cx).is_ready());
        if over {
            self.first_head.limits.hit("http.header_timeout");
        }
        over
    }
}

impl Drop for FirstHead {
    fn drop(&mut self) {
        let nothing_came = self.requests.received.get() == 0;
        if nothing_came && self.opened.elapsed() + CLOCK >= self.timeout {
            self.limits.hit("http.header_timeout");
        }
    }
}

impl ConnectionState {
    /// Waits until the client sends nothing more: it has left, or waits only for its answers.
    async fn ended(&self) {
        while !self.requests.is_ended.get() {
            self.requests.ended.notified().await;
        }
    }

    /// Counts a request that has arrived.
    pub(crate) fn begin(&self) -> RequestPermit {
        let requests = &self.requests;
        requests.received.set(requests.received.get() + 1);
        requests.open.set(requests.open.get() + 1);
        RequestPermit(requests.clone())
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// Waits until the client of a request has ended its side of the connection: it has left, or waits only for the answer. A
/// handler needs this only if its answer takes long and costs more than its work: a client that resets the connection ends
/// the handler.
pub async fn client_ended(request: &HttpRequest) {
    match request.conn_data::<ConnectionState>().cloned() {
        Some(connection) => connection.ended().await,
        None => pending().await,
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            // As if the client had closed it.
            Poll::Pending if self.is_given_up(cx) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) if buffer.filled().len() == before => {
                let requests = &self.state.requests;
                requests.is_ended.set(true);
                requests.ended.notify_waiters();
                Poll::Ready(Ok(()))
            }
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
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(Ok(count)) => {
                self.progress.accepted(count);
                Poll::Ready(Ok(count))
            }
            Poll::Pending if self.is_too_slow(cx) => Poll::Ready(Err(too_slow())),
            outcome => outcome,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
