//! Subscribers.

use futures_util::{SinkExt, StreamExt};
use ltm_types::Cursor;
use serde_json::{Map, Value};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async, connect_async_with_config,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::WebSocketConfig},
};

use crate::{LIMIT, rfc6902::apply};

/// What a subscriber receives.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Value),
    /// The gateway closed the socket with this code.
    Closed(u16),
    /// The connection ended without a close.
    Lost,
}

/// One WebSocket connection.
pub struct Subscriber {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Pings that came.
    pub pings: usize,
}

impl Subscriber {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If the gateway rejects the handshake, or cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, Box<Error>> {
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let connected = timeout(LIMIT, connect_async_with_config(url, Some(config), true)).await;
        let (socket, _) = connected
            .expect("the gateway answers in time")
            .map_err(Box::new)?;
        Ok(Self { socket, pings: 0 })
    }

    /// Connects with a token.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::connect`].
    pub async fn with_token(url: &str, token: &str) -> Result<Self, Box<Error>> {
        let mut request = url.into_client_request().map_err(Box::new)?;
        let bearer = format!("Bearer {token}");
        let value = bearer.parse().expect("a token is ASCII");
        request.headers_mut().insert("Authorization", value);
        let connected = timeout(LIMIT, connect_async(request)).await;
        let (socket, _) = connected
            .expect("the gateway answers in time")
            .map_err(Box::new)?;
        Ok(Self { socket, pings: 0 })
    }

    /// Connects with a receive buffer of about this size.
    pub async fn with_buffer(address: &str, path: &str, bytes: u32) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_recv_buffer_size(bytes)
            .expect("the size can be set");
        let to = address.parse().expect("an address");
        let stream = socket.connect(to).await.expect("a connection");
        let stream = MaybeTlsStream::Plain(stream);
        let connected = timeout(LIMIT, client_async(format!("ws://{address}{path}"), stream)).await;
        let (socket, _) = connected
            .expect("the gateway answers in time")
            .expect("it takes the subscriber");
        Self { socket, pings: 0 }
    }

    /// The next thing that happens.
    pub async fn hear(&mut self) -> Heard {
        timeout(LIMIT, self.hear_any())
            .await
            .expect("something comes in time")
    }

    async fn hear_any(&mut self) -> Heard {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Message(serde_json::from_str(&text).expect("a message is JSON"));
                }
                Some(Ok(Message::Close(frame))) => {
                    return frame.map_or(Heard::Lost, |frame| Heard::Closed(frame.code.into()));
                }
                Some(Ok(Message::Ping(_))) => self.pings += 1,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Lost,
            }
        }
    }

    /// The next message, which must come.
    pub async fn message(&mut self) -> Value {
        match self.hear().await {
            Heard::Message(message) => message,
            other => panic!("a message was expected: {other:?}"),
        }
    }

    /// The code with which the gateway closes, which must come next.
    pub async fn close_code(&mut self) -> u16 {
        match self.hear().await {
            Heard::Closed(code) => code,
            other => panic!("a close was expected: {other:?}"),
        }
    }

    /// Sends a text.
    pub async fn say(&mut self, text: &str) -> bool {
        self.socket.send(Message::text(text)).await.is_ok()
    }

    /// Closes the connection.
    pub async fn leave(mut self) {
        let _ = timeout(LIMIT, self.socket.close(None)).await;
    }
}

/// A subscriber as the documentation describes it. It checks everything that it receives.
pub struct Follower {
    /// Its cursor.
    pub cursor: Cursor,
    /// Its state.
    pub state: Value,
    /// The cursors of the entries that it received, in order.
    pub seen: Vec<Cursor>,
    /// The reasons of the resets that it received.
    pub resets: Vec<String>,
}

impl Default for Follower {
    fn default() -> Self {
        Self {
            cursor: Cursor::ORIGIN,
            state: Value::Object(Map::new()),
            seen: Vec::new(),
            resets: Vec::new(),
        }
    }
}

impl Follower {
    /// A subscriber that has read a document.
    pub fn of(document: &Value) -> Self {
        Self {
            cursor: cursor(document),
            state: document["state"].clone(),
            ..Self::default()
        }
    }

    /// Applies a message.
    ///
    /// # Panics
    ///
    /// If an entry is missing or comes twice, or its patch does not apply.
    pub fn take(&mut self, message: &Value) {
        let next = cursor(message);
        if let Some(reset) = message.get("reset") {
            self.state = reset["state"].clone();
            self.resets.push(reset["reason"].as_str().unwrap().into());
        } else if message.get("live").is_some() {
            assert_eq!(next, self.cursor, "{message}");
        } else {
            assert_eq!(
                next.seq,
                self.cursor.seq + 1,
                "a gap or a double: {message}"
            );
            if let Some(change) = message.get("snapshot").or(message.get("rollback")) {
                apply(&mut self.state, &change["patch"]).expect("a patch applies");
            }
            self.seen.push(next);
        }
        self.cursor = next;
    }

    /// Follows from its cursor until `until` holds. After each disconnect it connects to the next of the `urls`, which are
    /// base URLs such as `ws://127.0.0.1:8000/ws/1`.
    pub async fn follow_until(&mut self, urls: &[String], until: impl Fn(&Self) -> bool) {
        let began = std::time::Instant::now();
        for url in urls.iter().cycle() {
            if until(self) {
                return;
            }
            assert!(
                began.elapsed() < LIMIT * 2,
                "not there in time, but at {}",
                self.cursor
            );
            let Ok(mut subscriber) =
                Subscriber::connect(&format!("{url}?after={}", self.cursor)).await
            else {
                // No event tells that a gateway is there again.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            while let Heard::Message(message) = subscriber.hear().await {
                self.take(&message);
                if until(self) {
                    return;
                }
            }
        }
    }
}

fn cursor(message: &Value) -> Cursor {
    message["cursor"]
        .as_str()
        .expect("a cursor")
        .parse()
        .expect("a cursor")
}
