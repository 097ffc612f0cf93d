//! The Rust client with real services: the promises to programs that follow or write.

mod follow;
mod producer;
mod proxy;
mod tokens;

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use ltm_client::{Backoff, Change, Client, Error, Event, LtmId, Message, Options, Status, View};
use ltm_tests::LIMIT;
use tokio::time::timeout;

/// A client that is quick to try again.
fn hasty() -> Options {
    let backoff = Backoff {
        min: Duration::from_millis(2),
        max: Duration::from_millis(50),
    };
    Options {
        write_backoff: backoff,
        connect_backoff: backoff,
        ..Options::default()
    }
}

/// A hasty client of what answers at this address.
fn client(address: &str) -> Client {
    with(address, hasty())
}

fn with(address: &str, options: Options) -> Client {
    let server = format!("http://{address}").parse().unwrap();
    Client::builder(server).options(options).build().unwrap()
}

fn ltm(id: u64) -> LtmId {
    LtmId::new(id).unwrap()
}

/// What comes next, which must come.
async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> Option<T> {
    let next = timeout(LIMIT, stream.next()).await;
    next.expect("something comes in time")
}

/// The next event, which must be one.
async fn event(stream: &mut (impl Stream<Item = Result<Event, Error>> + Unpin)) -> Event {
    next(stream).await.expect("it goes on").unwrap()
}

/// The next message, over as many connections as it takes.
async fn message(stream: &mut (impl Stream<Item = Result<Event, Error>> + Unpin)) -> Message {
    loop {
        if let Event::Message(message) = event(stream).await {
            return message;
        }
    }
}

/// Why the next disconnect is, whatever comes before it.
async fn disconnect(stream: &mut (impl Stream<Item = Result<Event, Error>> + Unpin)) -> Error {
    loop {
        if let Event::Disconnected { reason, .. } = event(stream).await {
            return reason;
        }
    }
}

/// The cursor at which it is live next, whatever comes before that.
async fn live(stream: &mut (impl Stream<Item = Result<Event, Error>> + Unpin)) -> String {
    loop {
        let message = message(stream).await;
        if matches!(message.change, Change::Live) {
            return message.cursor.to_string();
        }
    }
}

/// The first view for which that holds.
async fn view_where(
    views: &mut (impl Stream<Item = Result<(Event, View), Error>> + Unpin),
    holds: impl Fn(&View) -> bool,
) -> View {
    loop {
        let (_, view) = next(views).await.expect("it goes on").unwrap();
        if holds(&view) {
            return view;
        }
    }
}

fn is_live(view: &View) -> bool {
    view.status == Status::Live
}
