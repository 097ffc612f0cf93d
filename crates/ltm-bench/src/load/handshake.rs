//! The WebSocket handshake of a subscriber, on a bare socket.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use ltm_client::Cursor;
use memchr::memmem;
use socket2::{Domain, Socket, Type};

use super::{centrifugo, delivery_check::DeliveryCheck};
use crate::error::Error;

/// What a subscriber connects to, and the messages that it must receive.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    /// `127.0.0.1:8000`
    pub(crate) address: String,
    /// `/ws/1?after=…`
    pub(crate) path: String,
    /// The channel to subscribe to, if the server is Centrifugo.
    pub(crate) centrifugo: Option<String>,
    pub(crate) order: DeliveryCheck,
    /// Whether the subscriber accepts compressed messages (RFC 7692). It counts these, and does not read them.
    pub(crate) compressed: bool,
    /// The address of this machine to connect from, if the system must not choose it.
    pub(crate) source: Option<IpAddr>,
    /// Whether the subscriber connects again, after the last message that it has, if a connection ends.
    pub(crate) resumes: bool,
}

impl Subscription {
    /// Makes the next connection begin after this cursor.
    pub(crate) fn resume_after(&mut self, cursor: Cursor) {
        let end = self.path.find('?').unwrap_or(self.path.len());
        self.path.truncate(end);
        // Writing to a text never fails.
        let _ = write!(self.path, "?after={cursor}");
    }
}

/// The longest wait for an answer.
const WAIT: Duration = Duration::from_secs(30);
/// The most bytes in the head of an answer.
const LONGEST_HEAD: usize = 16 * 1024;

/// Connects and upgrades; returns the socket, and the bytes after the answer. `buffer` limits the receive buffer
/// of the system, in bytes.
pub(crate) fn enter(
    subscription: &Subscription,
    buffer: Option<usize>,
) -> Result<(TcpStream, Vec<u8>), Error> {
    let mut socket = connect(subscription, buffer)?;
    socket.set_read_timeout(Some(WAIT))?;
    socket.set_nodelay(true)?;
    let offer = match subscription.compressed {
        true => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        false => "",
    };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{offer}\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        subscription.path, subscription.address
    );
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    let end = loop {
        if let Some(end) = memmem::find(&answer, b"\r\n\r\n") {
            break end + 4;
        }
        let count = socket.read(&mut part)?;
        answer.extend_from_slice(&part[..count]);
        if count == 0 || answer.len() > LONGEST_HEAD {
            break 0;
        }
    };
    if !answer.starts_with(b"HTTP/1.1 101 ") || end == 0 {
        let said = String::from_utf8_lossy(&answer).into_owned();
        return Err(Error::Handshake(said));
    }
    let mut rest = answer.split_off(end);
    if subscription.compressed && memmem::find(&answer, b"permessage-deflate").is_none() {
        let said = String::from_utf8_lossy(&answer).into_owned();
        return Err(Error::Handshake(said));
    }
    if let Some(channel) = &subscription.centrifugo {
        socket.write_all(&masked(TEXT, centrifugo::hello(channel).as_bytes()))?;
        while !centrifugo::welcomed(&rest).map_err(Error::Handshake)? {
            let count = socket.read(&mut part)?;
            rest.extend_from_slice(&part[..count]);
            if count == 0 || rest.len() > LONGEST_HEAD {
                let said = String::from_utf8_lossy(&rest).into_owned();
                return Err(Error::Handshake(said));
            }
        }
    }
    Ok((socket, rest))
}

/// A text of a WebSocket.
pub(super) const TEXT: u8 = 0x1;
/// The answer to a ping of a WebSocket.
pub(super) const PONG: u8 = 0xa;

/// A frame of at most 125 bytes as a client must send it: masked (RFC 6455 section 5.3), with a mask of zeros.
pub(super) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len().min(125)).unwrap_or(125);
    let head = [0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
    [&head, &payload[..usize::from(length)]].concat()
}

fn connect(subscription: &Subscription, buffer: Option<usize>) -> Result<TcpStream, Error> {
    let address = &subscription.address;
    let (Ok(at), true) = (
        address.parse::<SocketAddr>(),
        buffer.is_some() || subscription.source.is_some(),
    ) else {
        return Ok(TcpStream::connect(address)?);
    };
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    if let Some(size) = buffer {
        socket.set_recv_buffer_size(size)?;
    }
    if let Some(source) = subscription.source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect(&at.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_resumes_after_the_latest_cursor_only() {
        let mut subscription = Subscription {
            address: String::new(),
            path: "/ws/7?after=1-2".into(),
            centrifugo: None,
            order: DeliveryCheck::Log { last: 1 },
            compressed: false,
            source: None,
            resumes: true,
        };
        for (seq, check) in [(2, 33), (3, 4)] {
            subscription.resume_after(Cursor { seq, check });
        }
        assert_eq!(subscription.path, "/ws/7?after=3-4");
    }
}
