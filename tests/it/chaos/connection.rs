//! The ways in which a follower receives messages.

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::StreamExt;
use ltm_client::{Change, Client, Event, Follow, LtmId, Options, Start};
use ltm_tests::{Events, Heard, SigningKey, Subscriber};
use ltm_types::Cursor;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::PATIENCE;

/// A kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// A WebSocket.
    Socket,
    /// A WebSocket that reads slowly, so that the follower falls behind.
    SlowSocket,
    /// Server-Sent Events.
    Events,
    /// The Rust client, which reconnects by itself.
    Client,
    /// The JavaScript client, which does so, too, and begins with the state.
    JavaScript,
    /// A WebSocket with a token that expires soon, and is renewed again and again.
    Renewing,
}

/// The audience of tokens.
pub(crate) const AUDIENCE: &str = "ltm";
/// How long a token is valid, in seconds.
const TOKEN_SECONDS: u64 = 3;
/// The time between two renewals.
const RENEWAL: Duration = Duration::from_secs(1);

/// Makes tokens. Clones have the same key.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<SigningKey>);

impl Tokens {
    pub(crate) fn of(key: SigningKey) -> Self {
        Self(Arc::new(key))
    }

    fn next(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let exp = now.as_secs() + TOKEN_SECONDS;
        let claims =
            json!({"sub": "follower", "aud": AUDIENCE, "exp": exp, "ltm": "*", "can": "read"});
        self.0.token(&claims)
    }
}

/// What a follower receives.
pub(crate) enum Delivery {
    /// Nothing for some time. The client connects again by itself, if it has to.
    Nothing,
    /// A message, which changes the state.
    Message(Value),
    /// What a client shows after a message: `cursor`, `state`, and `reset` with its reason.
    Shown(Value),
}

/// The path of the JavaScript client, if it is built: `make client` does that.
const JAVASCRIPT: &str = "LTM_TEST_CLIENT_JS";
/// The program that follows with it.
const FOLLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it/chaos/follow.mjs");

/// A connection.
pub(crate) enum Connection {
    Socket(Subscriber),
    Events(Events),
    Client(Box<Follow>),
    Renewing {
        subscriber: Subscriber,
        tokens: Tokens,
        renewed: Instant,
        heard: Instant,
    },
    JavaScript {
        lines: Lines<BufReader<ChildStdout>>,
        /// Ends when it is dropped.
        _process: Child,
    },
}

impl Wire {
    /// Every kind that can be used here.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Socket,
            Self::SlowSocket,
            Self::Events,
            Self::Client,
            Self::Renewing,
        ];
        all.extend(std::env::var_os(JAVASCRIPT).map(|_| Self::JavaScript));
        all
    }

    /// Connects to the gateway at `url` for what comes after `cursor`.
    pub(crate) async fn connect(
        self,
        url: &str,
        tokens: &Tokens,
        id: u64,
        cursor: Cursor,
    ) -> Option<Connection> {
        match self {
            Self::Renewing => {
                let url = format!("{url}/ws/{id}?after={cursor}");
                let token = tokens.next();
                let subscriber = timeout(PATIENCE, Subscriber::with_token(&url, &token)).await;
                Some(Connection::Renewing {
                    subscriber: subscriber.ok()?.ok()?,
                    tokens: tokens.clone(),
                    renewed: Instant::now(),
                    heard: Instant::now(),
                })
            }
            Self::Socket | Self::SlowSocket => {
                let url = format!("{url}/ws/{id}?after={cursor}");
                let subscriber = timeout(PATIENCE, Subscriber::connect(&url)).await;
                Some(Connection::Socket(subscriber.ok()?.ok()?))
            }
            Self::Events => {
                let url = url.replacen("ws", "http", 1);
                let request = Events::ask(&format!("{url}/sse/{id}"), Some(&cursor.to_string()));
                let response = timeout(PATIENCE, request.send()).await.ok()?.ok()?;
                let events = (response.status() == 200).then(|| Events::of(response))?;
                Some(Connection::Events(events))
            }
            Self::Client => {
                let server = url.replacen("ws", "http", 1).parse().unwrap();
                let mut options = Options::default();
                options.connect_backoff.max = Duration::from_millis(200);
                let client = Client::builder(server).options(options).build().unwrap();
                let follow = client.follow(LtmId::new(id).unwrap(), Start::After(cursor));
                Some(Connection::Client(Box::new(follow)))
            }
            Self::JavaScript => {
                let client = std::env::var(JAVASCRIPT).ok()?;
                let server = url.replacen("ws", "http", 1);
                let mut process = Command::new("node")
                    .args([FOLLOW, &client, &server, &id.to_string()])
                    .stdout(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
                    .unwrap();
                let lines = BufReader::new(process.stdout.take()?).lines();
                Some(Connection::JavaScript {
                    lines,
                    _process: process,
                })
            }
        }
    }
}

impl Connection {
    /// What comes next; `None` if the follower has to connect again.
    pub(crate) async fn receive(&mut self) -> Option<Delivery> {
        match self {
            Self::Socket(subscriber) => match timeout(PATIENCE, subscriber.hear()).await {
                Ok(Heard::Message(message)) => Some(Delivery::Message(message)),
                _ => None,
            },
            Self::Renewing {
                subscriber,
                tokens,
                renewed,
                heard,
            } => match timeout(RENEWAL, subscriber.hear()).await {
                Ok(Heard::Message(message)) => {
                    if renewed.elapsed() >= RENEWAL {
                        renew(subscriber, tokens).await;
                        *renewed = Instant::now();
                    }
                    *heard = Instant::now();
                    Some(Delivery::Message(message))
                }
                Ok(_) => None,
                Err(_) if heard.elapsed() > PATIENCE => None,
                Err(_) => {
                    renew(subscriber, tokens).await;
                    *renewed = Instant::now();
                    Some(Delivery::Nothing)
                }
            },
            Self::Events(events) => {
                let event = timeout(PATIENCE, events.next()).await.ok()??.json();
                event
                    .get("end")
                    .is_none()
                    .then_some(Delivery::Message(event))
            }
            Self::Client(follow) => {
                let Ok(event) = timeout(PATIENCE, follow.next()).await else {
                    return Some(Delivery::Nothing);
                };
                let Event::Message(message) = event?.ok()? else {
                    return Some(Delivery::Nothing);
                };
                if matches!(message.change, Change::Live) {
                    return Some(Delivery::Nothing);
                }
                let message = serde_json::from_str(message.text()).unwrap();
                Some(Delivery::Message(message))
            }
            Self::JavaScript { lines, .. } => {
                let Ok(line) = timeout(PATIENCE, lines.next_line()).await else {
                    return Some(Delivery::Nothing);
                };
                let shown = serde_json::from_str(&line.unwrap()?).unwrap();
                Some(Delivery::Shown(shown))
            }
        }
    }
}

/// Offers a new token. If the connection is lost, the follower finds out.
async fn renew(subscriber: &mut Subscriber, tokens: &Tokens) {
    let token = json!({"token": tokens.next()});
    subscriber.say(&token.to_string()).await;
}
