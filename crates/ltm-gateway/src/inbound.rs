//! What comes from a client: nothing is expected but a new token, and little is borne.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    str::Utf8Error,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    error::PayloadError,
    web::{self, Bytes},
};
use actix_ws::{Item, Message, MessageStream, ProtocolError};
use futures_util::Stream;
use ltm_service::{Incoming, limit_reached};
use tokio::time::Instant;

use crate::{GatewaySettings, end::End, outbound::Outbound, pass::Pass, settings::bytes};

/// Over which time messages are counted.
const RATE_PERIOD: Duration = Duration::from_secs(10);
/// What may arrive beside one frame: other small frames that the network delivered together with it.
const SLACK: usize = 128 * 1024;

/// How many bytes may still arrive until a frame is complete. The decoder checks a frame's size
/// only once it is whole, and would hold all of it until then.
#[derive(Clone)]
pub(crate) struct Budget {
    left: Rc<Cell<usize>>,
    whole: usize,
}

impl Budget {
    pub(crate) fn new(settings: &GatewaySettings) -> Self {
        let whole = bytes(settings.max_frame) + SLACK;
        Self {
            left: Rc::new(Cell::new(whole)),
            whole,
        }
    }

    /// To be called at each complete frame.
    fn refill(&self) {
        self.left.set(self.whole);
    }

    /// What comes in, as a payload that breaks off when the budget is spent.
    pub(crate) async fn limit(
        &self,
        request: &HttpRequest,
        incoming: Incoming,
    ) -> Result<web::Payload, actix_web::Error> {
        let limited = Limited {
            inner: incoming,
            left: self.left.clone(),
        };
        let mut payload: Payload = Payload::Stream {
            payload: Box::pin(limited),
        };
        web::Payload::from_request(request, &mut payload).await
    }
}

struct Limited {
    inner: Incoming,
    left: Rc<Cell<usize>>,
}

impl Stream for Limited {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.inner).poll_next(cx);
        if let Poll::Ready(Some(Ok(chunk))) = &next {
            match self.left.get().checked_sub(chunk.len()) {
                Some(left) => self.left.set(left),
                None => return Poll::Ready(Some(Err(PayloadError::Overflow))),
            }
        }
        next
    }
}

/// The reader of one socket.
pub(crate) struct Inbound {
    stream: MessageStream,
    budget: Budget,
    heard: Rc<Cell<Instant>>,
    max_message: usize,
    max_messages: u32,
    counted: u32,
    counting_since: Instant,
    text: PartText,
}

impl Inbound {
    pub(crate) fn new(
        stream: MessageStream,
        budget: Budget,
        heard: Rc<Cell<Instant>>,
        settings: &GatewaySettings,
    ) -> Self {
        Self {
            stream: stream.max_frame_size(bytes(settings.max_frame)),
            budget,
            heard,
            max_message: bytes(settings.max_message),
            max_messages: settings.max_messages,
            counted: 0,
            counting_since: Instant::now(),
            text: PartText::default(),
        }
    }

    /// Reads until the client leaves, says too much or shows what is not good; gives the reason.
    pub(crate) async fn read(&mut self, outbound: &Outbound, pass: Option<&Pass>) -> End {
        loop {
            let message = match self.stream.recv().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return broken(&error),
                None => return End::Left,
            };
            self.budget.refill();
            self.heard.set(Instant::now());
            let size = match &message {
                Message::Text(text) => text.len(),
                Message::Binary(data) => data.len(),
                Message::Continuation(_) | Message::Ping(_) => 0,
                Message::Close(_) => return End::Left,
                Message::Pong(_) | Message::Nop => continue,
            };
            let exceeded = match size > self.max_message {
                true => Some("gateway.max_message"),
                false => (!self.count()).then_some("gateway.max_messages"),
            };
            if let Some(setting) = exceeded {
                limit_reached(setting);
                return End::Talkative;
            }
            if let Message::Continuation(part) = &message
                && !self.text.take(part)
            {
                return End::NotUtf8;
            }
            if let (Message::Text(text), Some(pass)) = (&message, pass)
                && let Err(end) = pass.hear(text).await
            {
                return end;
            }
            if let Message::Ping(data) = &message {
                outbound.pong(data);
            }
        }
    }

    /// Reads on until the client has answered a close, so that its reset does not overtake it.
    pub(crate) async fn finish(&mut self) {
        while let Some(Ok(message)) = self.stream.recv().await {
            self.budget.refill();
            if matches!(message, Message::Close(_)) {
                return;
            }
        }
    }

    /// Counts a message; false where there are too many.
    fn count(&mut self) -> bool {
        if self.counting_since.elapsed() > RATE_PERIOD {
            (self.counting_since, self.counted) = (Instant::now(), 0);
        }
        self.counted += 1;
        self.counted <= self.max_messages
    }
}

/// A text that comes in fragments, which may part a character. Nothing is kept of it but that.
#[derive(Default)]
struct PartText {
    /// The begin of a character; `None` where what comes is no text.
    begun: Option<Vec<u8>>,
}

impl PartText {
    /// Takes the next fragment; false where the text is not UTF-8.
    fn take(&mut self, part: &Item) -> bool {
        let (bytes, is_last) = match part {
            Item::FirstText(bytes) => {
                self.begun = Some(Vec::new());
                (bytes, false)
            }
            Item::FirstBinary(_) => {
                self.begun = None;
                return true;
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let Some(begun) = &mut self.begun else {
            return true;
        };
        begun.extend_from_slice(bytes);
        match std::str::from_utf8(begun) {
            Ok(_) => begun.clear(),
            Err(error) if error.error_len().is_none() && !is_last => {
                begun.drain(..error.valid_up_to());
            }
            Err(_) => return false,
        }
        true
    }
}

/// What an error of the reader says about the client.
fn broken(error: &ProtocolError) -> End {
    let too_big = || {
        limit_reached("gateway.max_frame");
        End::FrameTooBig
    };
    let ProtocolError::Io(error) = error else {
        return match error {
            ProtocolError::Overflow => too_big(),
            _ => End::Malformed,
        };
    };
    let cause = error.get_ref();
    match cause.and_then(|e| e.downcast_ref()) {
        Some(PayloadError::Overflow) => too_big(),
        _ if cause.is_some_and(|e| e.is::<Utf8Error>()) => End::NotUtf8,
        // Reserved bits.
        _ if error.kind() == io::ErrorKind::InvalidData => End::Malformed,
        _ => End::Left,
    }
}
