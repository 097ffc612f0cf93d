//! What a client sends. A client need not send anything, so the limits are tight.

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
use ltm_service::{Incoming, LimitsHit};
use tokio::time::Instant;

use crate::{
    settings::{GatewaySettings, bytes},
    subscriber::{close::CloseCause, outbound::Outbound},
};

/// The period of the limit on messages.
const RATE_PERIOD: Duration = Duration::from_secs(10);
/// How many bytes may arrive together with one frame: other small frames in the same packets.
const SLACK: usize = 128 * 1024;

/// How many bytes may still arrive before a frame is complete. The decoder checks the size of a frame only
/// when it has all of it, and would keep any number of bytes until then.
#[derive(Clone)]
pub(crate) struct FrameBudget {
    left: Rc<Cell<usize>>,
    whole: usize,
}

impl FrameBudget {
    pub(crate) fn new(settings: &GatewaySettings) -> Self {
        let whole = bytes(settings.max_frame) + SLACK;
        Self {
            left: Rc::new(Cell::new(whole)),
            whole,
        }
    }

    /// Starts again, for the next frame.
    fn refill(&self) {
        self.left.set(self.whole);
    }

    /// The incoming bytes, as a payload that fails when the budget is spent.
    pub(crate) async fn limit(
        &self,
        request: &HttpRequest,
        incoming: Incoming,
    ) -> Result<web::Payload, actix_web::Error> {
        let limited = LimitedPayload {
            inner: incoming,
            left: self.left.clone(),
        };
        let mut payload: Payload = Payload::Stream {
            payload: Box::pin(limited),
        };
        web::Payload::from_request(request, &mut payload).await
    }
}

struct LimitedPayload {
    inner: Incoming,
    left: Rc<Cell<usize>>,
}

impl Stream for LimitedPayload {
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
    budget: FrameBudget,
    heard: Rc<Cell<Instant>>,
    max_message: usize,
    max_messages: u32,
    counted: u32,
    counting_since: Instant,
    parts: FragmentedText,
    limits: LimitsHit,
}

impl Inbound {
    pub(crate) fn new(
        stream: MessageStream,
        budget: FrameBudget,
        heard: Rc<Cell<Instant>>,
        settings: &GatewaySettings,
        max_messages: u32,
        limits: LimitsHit,
    ) -> Self {
        Self {
            stream: stream.max_frame_size(bytes(settings.max_frame)),
            budget,
            heard,
            max_message: bytes(settings.max_message),
            max_messages,
            counted: 0,
            counting_since: Instant::now(),
            parts: FragmentedText::default(),
            limits,
        }
    }

    /// Reads until the client leaves or breaks a rule; returns why. `on_text` receives each text.
    pub(crate) async fn read(&mut self, outbound: &Outbound, on_text: impl Fn(&str)) -> CloseCause {
        loop {
            let message = match self.stream.recv().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return self.broken(&error),
                None => return CloseCause::Left,
            };
            self.budget.refill();
            self.heard.set(Instant::now());
            let size = match &message {
                Message::Text(text) => text.len(),
                Message::Binary(data) => data.len(),
                Message::Continuation(part) => self.parts.size_with(part),
                Message::Ping(_) => 0,
                Message::Close(_) => return CloseCause::Left,
                Message::Pong(_) | Message::Nop => continue,
            };
            let exceeded = if size > self.max_message {
                Some("gateway.max_message")
            } else {
                (!self.count()).then_some("gateway.max_messages")
            };
            if let Some(setting) = exceeded {
                self.limits.hit(setting);
                return CloseCause::TooMuchText;
            }
            let whole;
            let text = match &message {
                Message::Text(text) => Some(&**text),
                Message::Continuation(part) => match self.parts.take(part) {
                    Ok(text) => {
                        whole = text;
                        whole.as_deref()
                    }
                    Err(end) => return end,
                },
                _ => None,
            };
            if let Some(text) = text {
                on_text(text);
            }
            if let Message::Ping(data) = &message {
                outbound.pong(data);
            }
        }
    }

    /// Reads until the client has answered the close frame. If unread bytes were left, the system would reset the
    /// connection, and the client could lose the close frame.
    pub(crate) async fn finish(&mut self) {
        while let Some(Ok(message)) = self.stream.recv().await {
            self.budget.refill();
            if matches!(message, Message::Close(_)) {
                return;
            }
        }
    }

    /// Why an error of the decoder ends the connection.
    fn broken(&self, error: &ProtocolError) -> CloseCause {
        let too_big = || {
            self.limits.hit("gateway.max_frame");
            CloseCause::FrameTooBig
        };
        let ProtocolError::Io(error) = error else {
            return match error {
                ProtocolError::Overflow => too_big(),
                _ => CloseCause::Malformed,
            };
        };
        let cause = error.get_ref();
        match cause.and_then(|e| e.downcast_ref()) {
            Some(PayloadError::Overflow) => too_big(),
            _ if cause.is_some_and(|e| e.is::<Utf8Error>()) => CloseCause::NotUtf8,
            // Reserved bits are set.
            _ if error.kind() == io::ErrorKind::InvalidData => CloseCause::Malformed,
            _ => CloseCause::Left,
        }
    }

    /// Counts a message; false if the client has sent too many.
    fn count(&mut self) -> bool {
        if self.counting_since.elapsed() > RATE_PERIOD {
            (self.counting_since, self.counted) = (Instant::now(), 0);
        }
        self.counted += 1;
        self.counted <= self.max_messages
    }
}

/// The fragments of an incomplete message. A fragment may end inside a character.
#[derive(Default)]
struct FragmentedText {
    bytes: Vec<u8>,
    is_text: bool,
    /// The number of bytes that are valid UTF-8.
    checked: usize,
}

impl FragmentedText {
    /// The length of the message with the next fragment.
    fn size_with(&self, part: &Item) -> usize {
        match part {
            Item::FirstText(bytes) | Item::FirstBinary(bytes) => bytes.len(),
            Item::Continue(bytes) | Item::Last(bytes) => self.bytes.len() + bytes.len(),
        }
    }

    /// Takes the next fragment; returns the text if this is the last one.
    ///
    /// # Errors
    ///
    /// [`CloseCause::NotUtf8`].
    fn take(&mut self, part: &Item) -> Result<Option<String>, CloseCause> {
        let (bytes, is_last) = match part {
            Item::FirstText(bytes) | Item::FirstBinary(bytes) => {
                *self = Self {
                    is_text: matches!(part, Item::FirstText(_)),
                    ..Self::default()
                };
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        self.bytes.extend_from_slice(bytes);
        if self.is_text {
            let unchecked = self.bytes.get(self.checked..).unwrap_or_default();
            match std::str::from_utf8(unchecked) {
                Ok(_) => self.checked = self.bytes.len(),
                Err(error) if error.error_len().is_none() && !is_last => {
                    self.checked += error.valid_up_to();
                }
                Err(_) => return Err(CloseCause::NotUtf8),
            }
        }
        if !is_last {
            return Ok(None);
        }
        let whole = std::mem::take(self);
        Ok(String::from_utf8(whole.bytes)
            .ok()
            .filter(|_| whole.is_text))
    }
}
