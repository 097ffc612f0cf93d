//! `ltm tail`: follows an LTM through the gateway.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::{SinkExt, StreamExt};
use ltm_types::Cursor;
use reqwest::header::AUTHORIZATION;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, client::IntoClientRequest, protocol::CloseFrame},
};

use crate::{
    args::TailArgs,
    client::{misunderstood, refusal},
    error::{Error, is_refused, passes},
    message::Message,
    output::{Output, printable},
    server_url::ServerUrl,
    token::Token,
};

/// How long the handshake may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the answer to a close may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// After so much silence the gateway is asked whether it is there; after as much again it is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// Pauses between connections.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Prints what the LTM does, until it is deleted.
pub(crate) async fn run(
    server: &ServerUrl,
    token: Option<&Token>,
    args: &TailArgs,
    output: Output,
) -> Result<(), Error> {
    let mut tail = Tail {
        server,
        token,
        args,
        output,
        position: args.after,
        reached: false,
        live: false,
        pauses: pauses(),
    };
    loop {
        let Interruption(reason) = tail.follow().await?;
        let pause = tail.pauses.next().unwrap_or(LONGEST_PAUSE);
        let seconds = pause.as_secs_f64();
        output.note(&format!("{reason}; connecting again in {seconds:.1} s"));
        sleep(pause).await;
    }
}

/// Why a connection ended that is worth another one.
struct Interruption(String);

/// How far one subscriber is, from connection to connection.
struct Tail<'a> {
    server: &'a ServerUrl,
    token: Option<&'a Token>,
    args: &'a TailArgs,
    output: Output,
    /// The cursor after which to go on.
    position: Option<Cursor>,
    /// Whether there was a connection.
    reached: bool,
    /// Whether it was said that it is live.
    live: bool,
    pauses: ExponentialBackoff,
}

impl Tail<'_> {
    /// Follows over one connection, as long as it lasts.
    async fn follow(&mut self) -> Result<Interruption, Error> {
        let mut socket = match self.connect().await? {
            Ok(socket) => socket,
            Err(interruption) => return Ok(interruption),
        };
        let mut asked = false;
        loop {
            let message = match timeout(SILENCE, socket.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Ok(Interruption(format!("disconnected: {error}"))),
                Ok(None) => return Ok(Interruption("disconnected".into())),
                Err(_) if asked => return Ok(Interruption("the gateway went silent".into())),
                Err(_) => {
                    asked = true;
                    // What is wrong with the connection shows at the next read.
                    let _ = socket.send(tungstenite::Message::Ping("".into())).await;
                    continue;
                }
            };
            asked = false;
            match message {
                tungstenite::Message::Text(text) => self.take(&text)?,
                tungstenite::Message::Close(close) => {
                    // The gateway waits for the answer that is queued.
                    let _ = timeout(CLOSE_TIMEOUT, socket.flush()).await;
                    return self.closed(close);
                }
                // A ping is answered by the library.
                tungstenite::Message::Binary(_)
                | tungstenite::Message::Ping(_)
                | tungstenite::Message::Pong(_)
                | tungstenite::Message::Frame(_) => {}
            }
        }
    }

    async fn connect(&mut self) -> Result<Result<Socket, Interruption>, Error> {
        let id = self.args.id;
        let position = self.position.map(|cursor| cursor.to_string());
        let mut query = Vec::from_iter(position.as_deref().map(|cursor| ("after", cursor)));
        if self.args.state && position.is_none() {
            query.push(("init", "state"));
        }
        query.push(("live", "1"));
        let url = self.server.socket(id, &query);
        let request = url.as_str().into_client_request();
        let mut request = request.map_err(|e| self.unreachable(e.to_string()))?;
        if let Some(token) = self.token {
            request.headers_mut().insert(AUTHORIZATION, token.header());
        }
        let failed = match timeout(CONNECT_TIMEOUT, connect_async(request)).await {
            Ok(Ok((socket, _))) => {
                self.reached = true;
                return Ok(Ok(socket));
            }
            Ok(Err(tungstenite::Error::Http(response))) => {
                let status = response.status().as_u16();
                let text = response.body().as_deref().unwrap_or_default();
                let refused = refusal(self.server, status, &String::from_utf8_lossy(text));
                if !passes(status) {
                    return Err(refused);
                }
                return Ok(Err(Interruption(refused.to_string())));
            }
            Ok(Err(tungstenite::Error::Io(error))) if is_refused(&error) => {
                Error::Refused(self.server.clone())
            }
            Ok(Err(error)) => self.unreachable(error.to_string()),
            Err(_) => self.unreachable("no answer in time".into()),
        };
        // A server that was never there is rather a wrong address.
        if !self.reached {
            return Err(failed);
        }
        Ok(Err(Interruption(failed.to_string())))
    }

    fn unreachable(&self, detail: String) -> Error {
        Error::Transport {
            server: self.server.clone(),
            detail,
        }
    }

    /// Prints a message, unless it was printed over an earlier connection.
    fn take(&mut self, text: &str) -> Result<(), Error> {
        let message: Message<'_> =
            serde_json::from_str(text).map_err(|e| misunderstood(self.server, &e))?;
        self.pauses = pauses();
        let known = self
            .position
            .is_some_and(|position| message.cursor.seq <= position.seq);
        if message.is_live() {
            if !self.live {
                self.live = true;
                let id = self.args.id;
                self.output
                    .note(&format!("following LTM {id} live; Ctrl-C ends it"));
            }
        } else if known && !message.is_reset() {
            return Ok(());
        } else if self.output.json() {
            self.output.line(text)?;
        } else if let Some(line) = message.line(self.output) {
            self.output.line(&line)?;
        }
        self.position = Some(message.cursor);
        Ok(())
    }

    /// What a close of the gateway means.
    fn closed(&self, close: Option<CloseFrame>) -> Result<Interruption, Error> {
        let Some(CloseFrame { code, reason }) = close else {
            return Ok(Interruption("disconnected".into()));
        };
        let (id, code, reason) = (self.args.id, u16::from(code), printable(&reason));
        match code {
            4404 => Err(Error::Ended(format!("there is no LTM {id}"))),
            4410 => Err(Error::Ended(format!("LTM {id} was deleted"))),
            1008 | 1009 => Err(Error::Ended(format!(
                "the gateway ended it: {reason} ({code})"
            ))),
            _ => Ok(Interruption(format!("disconnected: {reason} ({code})"))),
        }
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(SHORTEST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}
