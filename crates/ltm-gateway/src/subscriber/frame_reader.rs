//! Reads the frames that a client sends (RFC 6455 section 5). A message may be compressed (RFC 7692 section 6).

use actix_http::ws::{OpCode, Parser, ProtocolError};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt;
use ltm_service::Incoming;

/// The reserved bit that says that a message is compressed, in its first frame.
const COMPRESSED: u8 = 0x40;
/// The bit that says that a frame is a control frame, and what says that it continues a message.
const CONTROL: u8 = 0x08;
const OPCODE: u8 = 0x0f;
/// The most bytes of a frame before its payload.
const HEAD: usize = 14;

/// One frame, unmasked.
#[derive(Debug)]
pub(crate) struct Frame {
    pub opcode: OpCode,
    /// Whether it ends its message.
    pub is_last: bool,
    /// Whether it begins a message that is compressed.
    pub is_compressed: bool,
    pub payload: Bytes,
}

/// Why there is no next frame.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// It is larger than allowed.
    TooBig,
    /// It breaks the protocol.
    Malformed,
    /// The connection has ended.
    Lost,
}

impl From<ProtocolError> for FrameError {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Overflow => Self::TooBig,
            _ => Self::Malformed,
        }
    }
}

/// The frames of one client.
pub(crate) struct FrameReader {
    incoming: Incoming,
    /// What has arrived and is no complete frame yet: not more than the largest frame and one read.
    buffer: BytesMut,
    max_frame: usize,
    /// Whether messages may be compressed.
    inflates: bool,
    /// Whether a message has begun and not ended.
    is_within: bool,
}

impl FrameReader {
    pub(crate) fn new(incoming: Incoming, max_frame: usize, inflates: bool) -> Self {
        Self {
            incoming,
            buffer: BytesMut::new(),
            max_frame,
            inflates,
            is_within: false,
        }
    }

    /// The next frame; `None` after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = self.parse()? {
                return Ok(Some(frame));
            }
            if self.buffer.len() > self.max_frame + HEAD {
                return Err(FrameError::TooBig);
            }
            match self.incoming.next().await {
                // Most clients send nothing for long: they hold no buffer meanwhile.
                Some(Ok(bytes)) if self.buffer.is_empty() => self.buffer = BytesMut::from(bytes),
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(_)) => return Err(FrameError::Lost),
                None => return Ok(None),
            }
        }
    }

    /// Takes a frame, if it has arrived.
    fn parse(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(&first) = self.buffer.first() else {
            self.buffer = BytesMut::new();
            return Ok(None);
        };
        let is_compressed = first & COMPRESSED != 0;
        let begins = first & CONTROL == 0 && first & OPCODE != 0;
        if is_compressed && !(self.inflates && begins) {
            return Err(FrameError::Malformed);
        }
        // The parser knows no extension: it must not see the bit.
        self.mark(first & !COMPRESSED);
        let Some((is_last, opcode, payload)) =
            Parser::parse(&mut self.buffer, true, self.max_frame)?
        else {
            self.mark(first);
            return Ok(None);
        };
        let payload = payload.map(BytesMut::freeze).unwrap_or_default();
        match opcode {
            OpCode::Text | OpCode::Binary | OpCode::Continue => {
                if self.is_within != (opcode == OpCode::Continue) {
                    return Err(FrameError::Malformed);
                }
                self.is_within = !is_last;
            }
            OpCode::Close => drop(Parser::try_parse_close_payload(&payload)?),
            _ => {}
        }
        if !is_last && first & CONTROL != 0 {
            return Err(FrameError::Malformed);
        }
        Ok(Some(Frame {
            opcode,
            is_last,
            is_compressed,
            payload,
        }))
    }

    fn mark(&mut self, first: u8) {
        if let Some(byte) = self.buffer.first_mut() {
            *byte = first;
        }
    }
}
