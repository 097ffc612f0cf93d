//! A TCP connection that speaks byte by byte, for what a well-behaved client does not do.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::LIMIT;

/// A connection to a service.
pub struct RawConnection {
    stream: TcpStream,
}

impl RawConnection {
    /// Connects.
    pub async fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        Self { stream }
    }

    /// Connects as one whose system takes few bytes before the program reads them.
    pub async fn with_small_buffer(address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_recv_buffer_size(4096)
            .expect("the size can be set");
        let address = address.parse().expect("an address");
        let stream = socket.connect(address).await.expect("a connection");
        Self { stream }
    }

    /// Becomes a WebSocket of this path.
    pub async fn upgrade(&mut self, path: &str) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.send(request.as_bytes()).await.expect("it is sent");
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// Where the peer has ended the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        timeout(LIMIT, self.stream.write_all(bytes))
            .await
            .expect("the peer takes bytes in time")
    }

    /// Reads the head of an answer, up to its empty line.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = timeout(LIMIT, self.stream.read_u8()).await;
            let byte = read.expect("an answer in time");
            head.push(byte.unwrap_or_else(|e| panic!("{e} after {head:?}")));
        }
        String::from_utf8(head).expect("a head is text")
    }

    /// Reads until the peer ends the connection, in whatever way; gives what came.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = timeout(LIMIT, self.stream.read_to_end(&mut rest))
            .await
            .expect("the peer ends the connection in time");
        rest
    }
}
