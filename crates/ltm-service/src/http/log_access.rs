//! The access log: a line for each request, once its answer is sent or its socket has closed.

use std::{
    cell::Cell,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use actix_web::{
    Error, HttpMessage,
    body::{BodySize, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
    middleware::Next,
    web::{self, Bytes},
};
use tracing_actix_web::RequestId;

use super::{admission::Admission, connection::upgrade::Upgrade};
use crate::telemetry::access_log::{CallerName, TARGET, is_on};

/// The middleware that logs every request.
pub(crate) async fn log_access<B: MessageBody + Unpin>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, LoggedBody<B>>>, Error> {
    if !is_on() {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let mut line = Line::of(&request);
    match next.call(request).await {
        Ok(response) => {
            line.status = response.status();
            let extensions = response.request().extensions();
            line.caller = extensions.get().map(|CallerName(name)| name.clone());
            drop(extensions);
            Ok(response.map_body(|_, body| EitherBody::right(LoggedBody { body, line })))
        }
        Err(error) => {
            line.status = error.as_response_error().status_code();
            Err(error)
        }
    }
}

/// A line. It is written when it is dropped.
///
/// It has no query, because a query may hold a ticket, and no header.
struct Line {
    began: Instant,
    method: Method,
    path: String,
    client: Option<IpAddr>,
    request_id: Option<RequestId>,
    status: StatusCode,
    caller: Option<String>,
    /// The bytes of the content that the server took to send.
    bytes: u64,
    /// The bytes that the socket of an upgrade accepted.
    socket: Option<Rc<Cell<u64>>>,
}

impl Line {
    fn of(request: &ServiceRequest) -> Self {
        let admission = request.app_data::<web::Data<Admission>>();
        let extensions = request.extensions();
        Self {
            began: Instant::now(),
            method: request.method().clone(),
            path: request.path().to_owned(),
            client: admission.and_then(|admission| admission.client(request)),
            request_id: extensions.get().copied(),
            status: StatusCode::OK,
            caller: None,
            bytes: 0,
            socket: extensions.get().map(Upgrade::sent),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let microseconds = self.began.elapsed().as_micros();
        // The socket of a refused handshake has sent the content, too.
        let is_upgraded = self.status == StatusCode::SWITCHING_PROTOCOLS;
        let socket = self.socket.as_ref().filter(|_| is_upgraded);
        let sent = socket.map_or(0, |sent| sent.get());
        // A text is written with its quotes and escapes, so that no client can forge a line.
        tracing::info!(
            target: TARGET,
            method = self.method.as_str(),
            path = self.path.as_str(),
            status = self.status.as_u16(),
            bytes = self.bytes + sent,
            // Beyond 2^53 µs, which are 285 years, it is rounded.
            duration_ms = microseconds as f64 / 1000.0,
            client = self.client.map(tracing::field::display),
            caller = self.caller.as_deref(),
            request_id = self.request_id.map(tracing::field::display),
            "request"
        );
    }
}

/// The body of an answer, with its line.
pub(crate) struct LoggedBody<B> {
    body: B,
    line: Line,
}

impl<B: MessageBody + Unpin> MessageBody for LoggedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let part = Pin::new(&mut self.body).poll_next(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &part {
            self.line.bytes += bytes.len() as u64;
        }
        part
    }
}
