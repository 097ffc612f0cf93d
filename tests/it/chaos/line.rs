//! The ways in which a follower receives messages.

use std::time::Duration;

use futures_util::StreamExt;
use ltm_client::{Client, Event, Follow, LtmId, Options, Start};
use ltm_tests::{Events, Heard, Subscriber};
use ltm_types::Cursor;
use serde_json::Value;
use tokio::time::timeout;

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
}

/// A connection.
pub(crate) enum Line {
    Socket(Subscriber),
    Events(Events),
    Client(Box<Follow>),
}

impl Wire {
    /// Every kind.
    pub(crate) const ALL: [Self; 4] = [Self::Socket, Self::SlowSocket, Self::Events, Self::Client];

    /// Connects to the gateway at `url` for what comes after `cursor`.
    pub(crate) async fn connect(self, url: &str, id: u64, cursor: Cursor) -> Option<Line> {
        match self {
            Self::Socket | Self::SlowSocket => {
                let url = format!("{url}/ws/{id}?after={cursor}");
                let subscriber = timeout(PATIENCE, Subscriber::connect(&url)).await;
                Some(Line::Socket(subscriber.ok()?.ok()?))
            }
            Self::Events => {
                let url = url.replacen("ws", "http", 1);
                let request = Events::ask(&format!("{url}/sse/{id}"), Some(&cursor.to_string()));
                let response = timeout(PATIENCE, request.send()).await.ok()?.ok()?;
                let events = (response.status() == 200).then(|| Events::of(response))?;
                Some(Line::Events(events))
            }
            Self::Client => {
                let server = url.replacen("ws", "http", 1).parse().unwrap();
                let mut options = Options::default();
                options.connect_backoff.max = Duration::from_millis(200);
                let client = Client::builder(server).options(options).build().unwrap();
                let follow = client.follow(LtmId::new(id).unwrap(), Start::After(cursor));
                Some(Line::Client(Box::new(follow)))
            }
        }
    }
}

impl Line {
    /// The next message; `None` if the follower has to connect again.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        match self {
            Self::Socket(subscriber) => match timeout(PATIENCE, subscriber.hear()).await {
                Ok(Heard::Message(message)) => Some(message),
                _ => None,
            },
            Self::Events(events) => {
                let event = timeout(PATIENCE, events.next()).await.ok()??.json();
                event.get("end").is_none().then_some(event)
            }
            Self::Client(follow) => loop {
                match timeout(PATIENCE, follow.next()).await.ok()?? {
                    Ok(Event::Message(message)) => {
                        let message: Value = serde_json::from_str(message.text()).unwrap();
                        if message.get("live").is_none() {
                            return Some(message);
                        }
                    }
                    Ok(Event::Disconnected { .. }) => {}
                    Err(_) => return None,
                }
            },
        }
    }
}
