//! A WebSocket to the gateway.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ltm_types::LtmId;
use reqwest::header::{AUTHORIZATION, RETRY_AFTER};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, Utf8Bytes, client::IntoClientRequest, protocol::WebSocketConfig},
};

use crate::{
    Client, Error, ServerUrl,
    client::{refusal, seconds},
    error::is_refused,
};

/// How long the answer to a close may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A WebSocket over which messages come. It is read when the next message is asked for, and not before.
pub(crate) struct Socket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// How long may be silent before the gateway is asked, and after that.
    half: Duration,
    server: ServerUrl,
}

impl Socket {
    /// Connects, with the token as of now.
    pub(crate) async fn open(
        client: &Client,
        id: LtmId,
        query: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let options = client.options();
        let unreachable = |detail: String| Error::Transport {
            server: client.server().clone(),
            detail,
        };
        let url = client.server().socket(id, query);
        let request = url.as_str().into_client_request();
        let mut request = request.map_err(|e| unreachable(e.to_string()))?;
        if let Some(token) = client.tokens().ask().await? {
            request.headers_mut().insert(AUTHORIZATION, token.header());
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(options.max_message))
            .max_frame_size(Some(options.max_message));
        let connect = connect_async_with_config(request, Some(config), true);
        let failed = match timeout(options.connect_timeout, connect).await {
            Ok(Ok((socket, _))) => {
                return Ok(Self {
                    socket,
                    half: options.silence / 2,
                    server: client.server().clone(),
                });
            }
            Ok(Err(failed)) => failed,
            Err(_) => return Err(unreachable("no answer in time".into())),
        };
        Err(match failed {
            tungstenite::Error::Http(response) => {
                let text = response.body().as_deref().unwrap_or_default();
                let text = String::from_utf8_lossy(text);
                let after = response.headers().get(RETRY_AFTER).and_then(seconds);
                refusal(client.server(), response.status().as_u16(), &text, after)
            }
            tungstenite::Error::Io(error) if is_refused(&error) => Error::Refused {
                server: client.server().clone(),
            },
            other => unreachable(other.to_string()),
        })
    }

    /// The next message, or how the connection ended.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Error> {
        let lost = |detail: String| Error::Lost { detail };
        let mut asked = false;
        loop {
            let message = match timeout(self.half, self.socket.next()).await {
                Ok(Some(Ok(message))) => message,
                // It would come again over the next connection.
                Ok(Some(Err(error @ tungstenite::Error::Capacity(_)))) => {
                    let server = self.server.clone();
                    let detail = error.to_string();
                    return Err(Error::Unreadable { server, detail });
                }
                Ok(Some(Err(error))) => return Err(lost(error.to_string())),
                Ok(None) => return Err(lost("the connection ended".into())),
                Err(_) if asked => return Err(lost("the gateway went silent".into())),
                Err(_) => {
                    asked = true;
                    // What is wrong with the connection shows at the next read.
                    let ping = self.socket.send(tungstenite::Message::Ping("".into()));
                    let _ = timeout(self.half, ping).await;
                    continue;
                }
            };
            asked = false;
            match message {
                tungstenite::Message::Text(text) => return Ok(text),
                tungstenite::Message::Close(close) => {
                    // The gateway waits for the answer that is queued.
                    let _ = timeout(CLOSE_TIMEOUT, self.socket.flush()).await;
                    return Err(match close {
                        Some(frame) => Error::Closed {
                            code: frame.code.into(),
                            reason: frame.reason.to_string(),
                        },
                        None => lost("closed without a reason".into()),
                    });
                }
                // A ping is answered by the library.
                tungstenite::Message::Binary(_)
                | tungstenite::Message::Ping(_)
                | tungstenite::Message::Pong(_)
                | tungstenite::Message::Frame(_) => {}
            }
        }
    }
}
