//! One connection to the gateway.

use ltm_types::{LtmRef, ProblemKind};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{sse::SseStream, websocket::WebSocket};
use crate::{Error, http::Http};

/// A connection that delivers messages. It is read only when the next message is requested.
pub(crate) enum Transport {
    WebSocket(Box<WebSocket>),
    Sse(Box<SseStream>),
}

impl Transport {
    /// Opens a WebSocket. If a proxy does not let it through, requests Server-Sent Events instead.
    pub(crate) async fn open(
        http: &Http,
        ltm: &LtmRef,
        query: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let refused = match WebSocket::open(http, ltm, query).await {
            Ok(socket) => return Ok(Self::WebSocket(Box::new(socket))),
            Err(error) if may_lack_websockets(&error) => error,
            Err(error) => return Err(error),
        };
        match SseStream::open(http, ltm, query).await {
            Ok(stream) => Ok(Self::Sse(Box::new(stream))),
            // Another program runs there.
            Err(Error::Answer { .. } | Error::Unreadable { .. }) => Err(refused),
            Err(error) => Err(error),
        }
    }

    /// The next message, or why the connection ended.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Error> {
        match self {
            Self::WebSocket(socket) => socket.next().await,
            Self::Sse(stream) => stream.next().await,
        }
    }
}

/// Whether the handshake may have failed because a proxy does not support WebSockets. The proxy then answers
/// itself, or removes the headers of the handshake.
fn may_lack_websockets(error: &Error) -> bool {
    match error {
        Error::Answer { .. } => !error.is_temporary(),
        other => other.is(ProblemKind::InvalidRequest),
    }
}
