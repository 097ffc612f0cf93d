//! A WebSocket to the gateway.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ltm_types::LtmRef;
use reqwest::{
    StatusCode, Upgraded,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Utf8Bytes,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{Error, ServerUrl, http::Http};

/// How long the answer to a close may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A WebSocket that delivers messages. It is read only when the next message is requested.
pub(crate) struct WebSocket {
    socket: WebSocketStream<Upgraded>,
    /// Half of the longest silence: the client sends a ping after the first half.
    half: Duration,
    server: ServerUrl,
}

impl WebSocket {
    /// Connects, with the token as of now. Proxies and trusted certificates are those of every other request.
    pub(crate) async fn open(
        http: &Http,
        ltm: &LtmRef,
        query: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let options = http.options();
        let opened = timeout(options.connect_timeout, upgrade(http, ltm, query)).await;
        let upgraded = opened.map_err(|_| Error::Transport {
            route: Box::new(http.route().clone()),
            detail: "no answer in time".into(),
        })??;
        let config = WebSocketConfig::default()
            .max_message_size(Some(options.max_message))
            .max_frame_size(Some(options.max_message));
        Ok(Self {
            socket: WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await,
            half: options.silence / 2,
            server: http.server().clone(),
        })
    }

    /// The next message, or why the connection ended.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Error> {
        let lost = |detail: String| Error::Lost { detail };
        let mut pinged = false;
        loop {
            let message = match timeout(self.half, self.socket.next()).await {
                Ok(Some(Ok(message))) => message,
                // The message would come again over the next connection.
                Ok(Some(Err(error @ tungstenite::Error::Capacity(_)))) => {
                    return Err(Error::unreadable(&self.server, error));
                }
                Ok(Some(Err(error))) => return Err(lost(error.to_string())),
                Ok(None) => return Err(lost("the connection ended".into())),
                Err(_) if pinged => return Err(lost("the gateway went silent".into())),
                Err(_) => {
                    pinged = true;
                    // If the connection is broken, the next read fails.
                    let ping = self.socket.send(tungstenite::Message::Ping("".into()));
                    let _ = timeout(self.half, ping).await;
                    continue;
                }
            };
            pinged = false;
            match message {
                tungstenite::Message::Text(text) => return Ok(text),
                tungstenite::Message::Close(close) => {
                    // The library has queued the answer, and the gateway waits for it.
                    let _ = timeout(CLOSE_TIMEOUT, self.socket.flush()).await;
                    return Err(match close {
                        Some(frame) => Error::Closed {
                            code: frame.code.into(),
                            reason: frame.reason.to_string(),
                        },
                        None => lost("closed without a reason".into()),
                    });
                }
                // The library answers pings.
                tungstenite::Message::Binary(_)
                | tungstenite::Message::Ping(_)
                | tungstenite::Message::Pong(_)
                | tungstenite::Message::Frame(_) => {}
            }
        }
    }
}

/// The handshake (RFC 6455, section 4.1).
async fn upgrade(http: &Http, ltm: &LtmRef, query: &[(&str, &str)]) -> Result<Upgraded, Error> {
    let key = generate_key();
    let request = http
        .get(http.server().socket(ltm))
        .query(query)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let response = http
        .call(request, |status| status == StatusCode::SWITCHING_PROTOCOLS)
        .await?;
    let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept != derive_accept_key(key.as_bytes()).as_str()) {
        let detail = "its Sec-WebSocket-Accept does not match the key of the handshake";
        return Err(Error::unreadable(http.server(), detail));
    }
    let upgraded = response.upgrade().await;
    upgraded.map_err(|e| Error::transport(http.route(), &e))
}
