//! A client of Server-Sent Events.

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

use crate::LIMIT;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Its name, or an empty text.
    pub name: String,
    /// Its data.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON")
    }
}

/// A stream of events.
pub struct Events {
    response: Response,
    unread: Vec<u8>,
}

impl Events {
    /// Asks for the events at this address, after one with this id.
    pub fn ask(url: &str, last: Option<&str>) -> RequestBuilder {
        let request = Client::new().get(url).header("Accept", "text/event-stream");
        match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        }
    }

    /// The stream with which the service answers.
    pub async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self::of(response)
    }

    /// The stream in this answer.
    pub fn of(response: Response) -> Self {
        Self {
            response,
            unread: Vec::new(),
        }
    }

    /// The next event, or `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let lines: Vec<u8> = self.unread.drain(..end + 2).collect();
                let lines = String::from_utf8(lines).expect("UTF-8");
                match read(&lines) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let more = timeout(LIMIT, self.response.chunk()).await;
            self.unread.extend(more.expect("something comes").ok()??);
        }
    }
}

/// The event in these lines, or `None` for a comment.
fn read(lines: &str) -> Option<Event> {
    let mut event = Event::default();
    for line in lines
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(':'))
    {
        let (name, value) = line.split_once(": ").expect("a field");
        match name {
            "id" => event.id = value.into(),
            "event" => event.name = value.into(),
            "data" => event.data = value.into(),
            _ => panic!("{line}"),
        }
    }
    (event != Event::default()).then_some(event)
}
