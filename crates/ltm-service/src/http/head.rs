//! HEAD: the answer to GET without its content (RFC 9110 section 9.3.2), on every path that answers GET.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    HttpMessage, HttpRequest,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, header},
    middleware::Next,
    web::Bytes,
};

/// Marks a request that arrived as HEAD.
#[derive(Clone, Copy)]
struct Head;

/// The middleware that lets the route for GET answer HEAD, and drops the content of the answer unread.
pub(crate) async fn answer_head(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if request.method() != Method::HEAD {
        return next.call(request).await;
    }
    request.extensions_mut().insert(Head);
    let head = request.head_mut();
    head.method = Method::GET;
    // Only GET can open a WebSocket (RFC 6455 section 4.1).
    head.headers.remove(header::UPGRADE);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| BoxBody::new(Unsent(body.size()))))
}

/// Whether a request that a handler receives as GET arrived as HEAD: the content of the answer is not sent. A handler
/// needs this only if its content is expensive before the first byte of it is read.
pub fn is_head(request: &HttpRequest) -> bool {
    request.extensions().contains::<Head>()
}

/// A body that is not sent. Its size is known if the size of the content is.
struct Unsent(BodySize);

impl MessageBody for Unsent {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
