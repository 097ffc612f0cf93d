//! The floor: the cost of writing frames to sockets, and of nothing else.
//!
//! One thread, one `epoll`. It sends the body of each `POST` as a WebSocket text to all connected clients.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
};

use memchr::memmem;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

const LISTENER: Token = Token(usize::MAX);

struct Connection {
    socket: TcpStream,
    request: Vec<u8>,
    subscribed: bool,
}

/// Serves until the process is killed.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(address)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            if event.token() == LISTENER {
                while let Ok((mut socket, _)) = listener.accept() {
                    socket.set_nodelay(true)?;
                    let token = Token(connections.len());
                    poll.registry()
                        .register(&mut socket, token, Interest::READABLE)?;
                    connections.push(Some(Connection {
                        socket,
                        request: Vec::new(),
                        subscribed: false,
                    }));
                }
                continue;
            }
            let place = event.token().0;
            let Some(connection) = &mut connections[place] else {
                continue;
            };
            match answer(connection) {
                Ok(Some(frame)) => write_to_all(&mut connections, &frame),
                Ok(None) => {}
                Err(_) => connections[place] = None,
            }
        }
    }
}

fn write_to_all(connections: &mut [Option<Connection>], frame: &[u8]) {
    for connection in connections.iter_mut().flatten().filter(|c| c.subscribed) {
        let mut rest = frame;
        // The floor waits for a full socket: it must not lose messages either.
        while !rest.is_empty() {
            match connection.socket.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(_) => break,
            }
        }
    }
}

/// Reads and answers a request; returns the frame to send if it was a complete `POST`.
fn answer(connection: &mut Connection) -> io::Result<Option<Vec<u8>>> {
    let mut part = [0; 64 * 1024];
    loop {
        match connection.socket.read(&mut part) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => connection.request.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    let Some(end) = memmem::find(&connection.request, b"\r\n\r\n") else {
        return Ok(None);
    };
    if connection.request.starts_with(b"GET ") {
        connection.request.clear();
        connection.subscribed = true;
        connection.socket.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )?;
        return Ok(None);
    }
    let head = String::from_utf8_lossy(&connection.request[..end]).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1);
    let digits = length.and_then(|rest| rest.lines().next());
    let length: usize = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let Some(body) = connection.request.get(end + 4..end + 4 + length) else {
        return Ok(None);
    };
    let size = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let frame = [&[0x81, 126], &size[..], body].concat();
    connection.request.clear();
    connection
        .socket
        .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")?;
    Ok(Some(frame))
}
