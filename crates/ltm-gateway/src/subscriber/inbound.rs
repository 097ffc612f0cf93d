//! What a client sends. A client need not send anything, so the limits are tight.

use std::{cell::Cell, rc::Rc, time::Duration};

use actix_http::ws::OpCode;
use ltm_service::LimitsHit;
use tokio::time::Instant;

use crate::{
    compression::inflate::inflate,
    settings::{GatewaySettings, bytes},
    subscriber::{
        close::CloseCause,
        frame_reader::{Frame, FrameError, FrameReader},
        outbound::Outbound,
    },
};

/// The period of the limit on messages.
const RATE_PERIOD: Duration = Duration::from_secs(10);
/// The reader of one socket.
pub(crate) struct Inbound {
    frames: FrameReader,
    heard: Rc<Cell<Instant>>,
    max_message: usize,
    max_messages: u32,
    counted: u32,
    counting_since: Instant,
    message: PartialMessage,
    limits: LimitsHit,
}

impl Inbound {
    pub(crate) fn new(
        frames: FrameReader,
        heard: Rc<Cell<Instant>>,
        settings: &GatewaySettings,
        max_messages: u32,
        limits: LimitsHit,
    ) -> Self {
        Self {
            frames,
            heard,
            max_message: bytes(settings.max_message),
            max_messages,
            counted: 0,
            counting_since: Instant::now(),
            message: PartialMessage::default(),
            limits,
        }
    }

    /// Reads until the client leaves or breaks a rule; returns why. `on_text` receives each text.
    pub(crate) async fn read(&mut self, outbound: &Outbound, on_text: impl Fn(&str)) -> CloseCause {
        loop {
            let frame = match self.frames.next().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return CloseCause::Left,
                Err(error) => return self.broken(&error),
            };
            self.heard.set(Instant::now());
            let size = match frame.opcode {
                OpCode::Close => return CloseCause::Left,
                OpCode::Pong => continue,
                OpCode::Ping => 0,
                _ => self.message.size_with(&frame),
            };
            if size > self.max_message {
                return self.too_much("gateway.max_message");
            }
            if !self.count() {
                return self.too_much("gateway.max_messages");
            }
            if frame.opcode == OpCode::Ping {
                outbound.pong(&frame.payload);
                continue;
            }
            match self.message.take(&frame, self.max_message) {
                Ok(None) => {}
                Ok(Some(text)) => on_text(&text),
                Err(CloseCause::TooMuchText) => return self.too_much("gateway.max_message"),
                Err(cause) => return cause,
            }
        }
    }

    /// Reads until the client has answered the close frame. If unread bytes were left, the system would reset the
    /// connection, and the client could lose the close frame.
    pub(crate) async fn finish(&mut self) {
        while let Ok(Some(frame)) = self.frames.next().await {
            if frame.opcode == OpCode::Close {
                return;
            }
        }
    }

    /// Why an error ends the connection.
    fn broken(&self, error: &FrameError) -> CloseCause {
        match error {
            FrameError::TooBig => {
                self.limits.hit("gateway.max_frame");
                CloseCause::FrameTooBig
            }
            FrameError::Malformed => CloseCause::Malformed,
            FrameError::Lost => CloseCause::Left,
        }
    }

    fn too_much(&self, setting: &'static str) -> CloseCause {
        self.limits.hit(setting);
        CloseCause::TooMuchText
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
struct PartialMessage {
    bytes: Vec<u8>,
    is_text: bool,
    is_compressed: bool,
    /// The number of bytes that are valid UTF-8.
    checked: usize,
}

impl PartialMessage {
    /// The length of the message with the next frame.
    fn size_with(&self, frame: &Frame) -> usize {
        let before = match frame.opcode {
            OpCode::Continue => self.bytes.len(),
            _ => 0,
        };
        before + frame.payload.len()
    }

    /// Takes the next frame; returns the text if it ends a text of at most `longest` bytes.
    ///
    /// # Errors
    ///
    /// [`CloseCause::NotUtf8`]; [`CloseCause::TooMuchText`] or [`CloseCause::Malformed`] if the message is compressed and
    /// its text is longer, or it cannot be inflated.
    fn take(&mut self, frame: &Frame, longest: usize) -> Result<Option<String>, CloseCause> {
        if frame.opcode != OpCode::Continue {
            *self = Self {
                is_text: frame.opcode == OpCode::Text,
                is_compressed: frame.is_compressed,
                ..Self::default()
            };
        }
        self.bytes.extend_from_slice(&frame.payload);
        if self.is_text && !self.is_compressed {
            self.check(frame.is_last)?;
        }
        if !frame.is_last {
            return Ok(None);
        }
        let whole = std::mem::take(self);
        if !whole.is_text {
            return Ok(None);
        }
        let text = if whole.is_compressed {
            inflate(&whole.bytes, longest)?
        } else {
            whole.bytes
        };
        let text = String::from_utf8(text).map_err(|_| CloseCause::NotUtf8)?;
        Ok(Some(text))
    }

    /// Checks the bytes that have come since the last check.
    fn check(&mut self, is_last: bool) -> Result<(), CloseCause> {
        let unchecked = self.bytes.get(self.checked..).unwrap_or_default();
        match std::str::from_utf8(unchecked) {
            Ok(_) => self.checked = self.bytes.len(),
            Err(error) if error.error_len().is_none() && !is_last => {
                self.checked += error.valid_up_to();
            }
            Err(_) => return Err(CloseCause::NotUtf8),
        }
        Ok(())
    }
}
