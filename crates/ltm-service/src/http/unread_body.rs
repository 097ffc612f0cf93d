//! Request bodies that nobody has read when the response is sent.
//!
//! If a handler drops a body half-way, the server reads the rest of it, and waits forever for the end of a chunked body.
//! If the body lives until the response is sent, the server closes the connection instead.

use std::{
    cell::RefCell,
    error::Error,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    middleware::Next,
    web::Bytes,
};
use futures_util::Stream;

/// The middleware that keeps the body of a request until the response is sent.
pub(crate) async fn keep_body(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<KeepingBody>, actix_web::Error> {
    let kept = SharedPayload(Rc::new(RefCell::new(request.take_payload())));
    request.set_payload(Payload::Stream {
        payload: Box::pin(kept.clone()),
    });
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| KeepingBody { body, _kept: kept }))
}

/// A body that the handler reads and the middleware keeps.
#[derive(Clone)]
struct SharedPayload(Rc<RefCell<Payload>>);

impl Stream for SharedPayload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// The body of a response, with the body of its request.
pub(crate) struct KeepingBody {
    body: BoxBody,
    _kept: SharedPayload,
}

impl MessageBody for KeepingBody {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
