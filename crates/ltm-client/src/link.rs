//! One connection to the gateway.

use ltm_types::{LtmId, ProblemKind};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{Client, Error, socket::Socket, source::Source};

/// A connection over which messages come. It is read when the next one is asked for, and not before.
pub(crate) enum Link {
    Socket(Box<Socket>),
    Source(Box<Source>),
}

impl Link {
    /// Connects: by a WebSocket, or where something between does not let that through, by Server-Sent Events.
    pub(crate) async fn open(
        client: &Client,
        id: LtmId,
        query: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let refused = match Socket::open(client, id, query).await {
            Ok(socket) => return Ok(Self::Socket(Box::new(socket))),
            Err(error) if is_for_lack_of_sockets(&error) => error,
            Err(error) => return Err(error),
        };
        match Source::open(client, id, query).await {
            Ok(source) => Ok(Self::Source(Box::new(source))),
            // It is something else altogether that runs there.
            Err(Error::Answer { .. } | Error::Unreadable { .. }) => Err(refused),
            Err(error) => Err(error),
        }
    }

    /// The next message, or how the connection ended.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Error> {
        match self {
            Self::Socket(socket) => socket.next().await,
            Self::Source(source) => source.next().await,
        }
    }
}

/// Whether a handshake may have failed because something between knows no WebSockets: it answers itself, or the gateway
/// sees no handshake.
fn is_for_lack_of_sockets(error: &Error) -> bool {
    match error {
        Error::Answer { .. } => !error.is_passing(),
        other => other.is(ProblemKind::InvalidRequest),
    }
}
