//! A TCP connection that sends and reads bytes, for what a well-behaved client does not do.

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

    /// Connects with a small receive buffer: the system accepts few bytes before the program reads them.
    pub async fn with_small_buffer(address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_recv_buffer_size(4096)
            .expect("the size can be set");
        let address = address.parse().expect("an address");
        let stream = socket.connect(address).await.expect("a connection");
        Self { stream }
    }

    /// Connects from another address of this machine: `127.0.0.2`.
    pub async fn from(source: &str, address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let source = format!("{source}:0").parse().expect("an address");
        socket.bind(source).expect("an address of this machine");
        let address = address.parse().expect("an address");
        let stream = socket.connect(address).await.expect("a connection");
        Self { stream }
    }

    /// Upgrades to a WebSocket of this path.
    pub async fn upgrade(&mut self, path: &str) {
        let head = self.shake_hands(path, "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }

    /// Asks for a WebSocket of this path, with more headers (`X-A: b\r\n`). Returns the head of the answer.
    pub async fn shake_hands(&mut self, path: &str, headers: &str) -> String {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        self.send(request.as_bytes()).await.expect("it is sent");
        self.head().await
    }

    /// Sends a `GET` of this path with more headers. Returns the head and the body of the answer.
    pub async fn get(&mut self, path: &str, headers: &str) -> (String, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        self.send(request.as_bytes()).await.expect("it is sent");
        self.answer().await
    }

    /// Reads an answer. Returns its head and its body.
    pub async fn answer(&mut self) -> (String, String) {
        let head = self.head().await.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |text| text.parse().expect("a number"));
        let body = self.read(length).await;
        (head, String::from_utf8(body).expect("a body is text"))
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// If the peer has closed the connection.
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

    /// Reads exactly this many bytes.
    pub async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = timeout(LIMIT, self.stream.read_exact(&mut bytes)).await;
        read.expect("bytes in time").expect("as many bytes");
        bytes
    }

    /// Reads the next WebSocket frame: its first byte and its payload. `None` if the connection ends.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let read = async {
            let (first, length) = (self.stream.read_u8().await?, self.stream.read_u8().await?);
            let length = match length {
                126 => u64::from(self.stream.read_u16().await?),
                127 => self.stream.read_u64().await?,
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).expect("it fits into memory")];
            self.stream.read_exact(&mut payload).await?;
            std::io::Result::Ok((first, payload))
        };
        timeout(LIMIT, read).await.expect("a frame in time").ok()
    }

    /// Reads until the peer ends the connection in any way. Returns what came.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset ends the connection, too.
        let _ = timeout(LIMIT, self.stream.read_to_end(&mut rest))
            .await
            .expect("the peer ends the connection in time");
        rest
    }
}

/// A WebSocket frame as a client sends it: masked.
pub fn masked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut bytes = vec![first];
    match payload.len() {
        short @ ..126 => bytes.push(0x80 | u8::try_from(short).expect("it fits")),
        long @ ..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(long).expect("it fits").to_be_bytes());
        }
        longer => {
            bytes.push(0x80 | 127);
            bytes.extend((longer as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}
