//! What one subscriber's socket is sent: the messages of its subscription, and between them the
//! control frames (pings, pongs, the close) of its session.
//!
//! The connection takes a piece when it has room for one: nothing is queued, and who is slow waits in
//! its cursor. No task stands between the topic and the connection.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use actix_http::ws::{OpCode, Parser};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::oneshot;

use crate::{end::End, subscription::Subscription};

/// The body of the answer to a handshake.
pub(crate) struct Outbound {
    /// What the session sends; it ends after the close.
    control: Pin<Box<BoxBody>>,
    messages: Messages,
    rest: Fragments,
    ended: Option<oneshot::Sender<End>>,
}

type Messages = Pin<Box<dyn Stream<Item = Result<ByteString, End>>>>;

impl Outbound {
    /// Sends the messages beside what `control` sends; `ended` is told why there are no more.
    pub(crate) fn new(
        control: BoxBody,
        subscription: Result<Subscription, End>,
        fragment: usize,
        ended: oneshot::Sender<End>,
    ) -> Self {
        let messages: Messages = match subscription {
            Ok(subscription) => stream::unfold(subscription, next).boxed_local(),
            Err(end) => stream::iter([Err(end)]).boxed_local(),
        };
        Self {
            control: Box::pin(control),
            messages,
            rest: Fragments::new(fragment),
            ended: Some(ended),
        }
    }
}

async fn next(mut subscription: Subscription) -> Option<(Result<ByteString, End>, Subscription)> {
    Some((subscription.next().await, subscription))
}

impl MessageBody for Outbound {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(control) = this.control.as_mut().poll_next(cx) {
            return Poll::Ready(control);
        }
        if this.ended.is_none() {
            return Poll::Pending;
        }
        loop {
            if let Some(frame) = this.rest.next() {
                return Poll::Ready(Some(Ok(frame)));
            }
            match this.messages.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => this.rest.begin(message),
                Poll::Ready(Some(Err(end))) => {
                    if let Some(ended) = this.ended.take() {
                        // Who is not there any more has ended the socket for another reason.
                        let _ = ended.send(end);
                    }
                    return Poll::Pending;
                }
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// One message as WebSocket frames, a big one in fragments, so that pings can go between (RFC 6455
/// section 5.4).
struct Fragments {
    size: usize,
    rest: Bytes,
    begun: bool,
    done: bool,
}

impl Fragments {
    fn new(size: usize) -> Self {
        Self {
            size,
            rest: Bytes::new(),
            begun: false,
            done: true,
        }
    }

    fn begin(&mut self, message: ByteString) {
        (self.rest, self.begun, self.done) = (message.into_bytes(), false, false);
    }

    fn next(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let part = self.rest.split_to(self.rest.len().min(self.size));
        self.done = self.rest.is_empty();
        let opcode = if self.begun {
            OpCode::Continue
        } else {
            OpCode::Text
        };
        let mut frame = BytesMut::new();
        Parser::write_message(&mut frame, part, opcode, self.done, false);
        self.begun = true;
        Some(frame.freeze())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_comes_out_of_its_frames_as_it_went_in(length in 0usize..200_000, size in 1usize..70_000) {
            let text: String = "0123456789ä".chars().cycle().take(length).collect();
            let mut fragments = Fragments::new(size);
            fragments.begin(text.clone().into());
            let (mut read, mut ended) = (Vec::new(), false);
            while let Some(frame) = fragments.next() {
                prop_assert!(frame.len() <= size + 10 && !ended);
                let mut frame = BytesMut::from(frame);
                let (last, opcode, payload) = Parser::parse(&mut frame, false, size).unwrap().unwrap();
                prop_assert_eq!(opcode == OpCode::Text, read.is_empty());
                read.extend(payload.unwrap_or_default());
                ended = last;
            }
            prop_assert!(ended && read == text.as_bytes());
        }
    }
}
