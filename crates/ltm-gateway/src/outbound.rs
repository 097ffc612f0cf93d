//! What one subscriber's socket is sent: the messages of its subscription, and between them the
//! control frames.
//!
//! The connection takes a frame when it has room for one: nothing is queued, and who is slow waits at
//! its cursor. No task stands between the topic and the connection.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::oneshot;

use crate::{
    control::{Control, Next},
    end::End,
    message::Wire,
    subscription::Subscription,
};

/// The body of the answer to a handshake.
pub(crate) struct Outbound {
    control: Control,
    messages: Messages,
    /// What of a message has not been sent.
    rest: Wire,
    ended: Option<oneshot::Sender<End>>,
    /// The library's own body, which would send what its session says: the incoming messages end with
    /// it.
    _session: BoxBody,
}

type Messages = Pin<Box<dyn Stream<Item = Result<Wire, End>>>>;

impl Outbound {
    /// Sends the messages and, before them, what `control` has; `ended` is told why there are no more.
    pub(crate) fn new(
        control: Control,
        subscription: Result<Subscription, End>,
        ended: oneshot::Sender<End>,
        session: BoxBody,
    ) -> Self {
        let messages: Messages = match subscription {
            Ok(subscription) => stream::unfold(subscription, next).boxed_local(),
            Err(end) => stream::iter([Err(end)]).boxed_local(),
        };
        Self {
            control,
            messages,
            rest: Wire::default(),
            ended: Some(ended),
            _session: session,
        }
    }
}

async fn next(mut subscription: Subscription) -> Option<(Result<Wire, End>, Subscription)> {
    Some((subscription.next().await, subscription))
}

impl MessageBody for Outbound {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        match this.control.next(cx.waker()) {
            Next::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
            Next::Ended => return Poll::Ready(None),
            Next::Nothing => {}
        }
        while this.ended.is_some() {
            if let Some(frame) = this.rest.next_frame() {
                return Poll::Ready(Some(Ok(frame)));
            }
            match this.messages.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => this.rest = message,
                Poll::Ready(Some(Err(end))) => {
                    if let Some(ended) = this.ended.take() {
                        // Who is not there any more has ended the socket for another reason.
                        let _ = ended.send(end);
                    }
                }
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Pending
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.control.end();
    }
}
