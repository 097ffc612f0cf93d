//! Server-Sent Events of the gateway.

use ltm_state::json;
use ltm_types::LtmRef;
use reqwest::{Response, header::CONTENT_TYPE};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{Error, ServerUrl, http::Http};

/// A stream of Server-Sent Events that delivers messages. It is read only when the next message is requested.
pub(crate) struct SseStream {
    response: Response,
    events: Events,
    server: ServerUrl,
}

/// The last event: what a close frame says on a WebSocket.
#[derive(Deserialize)]
struct LastEvent {
    end: Option<Close>,
}

#[derive(Deserialize)]
struct Close {
    code: u16,
    reason: String,
}

impl SseStream {
    /// Requests the events, with the token as of now.
    pub(crate) async fn open(
        http: &Http,
        ltm: &LtmRef,
        query: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let request = http.get(http.server().events(ltm)).query(query);
        let response = http.call(request, |status| status.is_success()).await?;
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let server = http.server().clone();
        if !kind.starts_with("text/event-stream") {
            let detail = format!("its content type is {kind:?}, not text/event-stream");
            return Err(Error::unreadable(&server, detail));
        }
        Ok(Self {
            response,
            events: Events::new(http.options().max_message),
            server,
        })
    }

    /// The next message, or why the stream ended.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Error> {
        loop {
            let event = self.events.next();
            if let Some(text) = event.map_err(|e| Error::unreadable(&self.server, e))? {
                // Only the last event has such a member.
                return match json::read::<LastEvent>(&text) {
                    Ok(LastEvent {
                        end: Some(Close { code, reason }),
                    }) => Err(Error::Closed { code, reason }),
                    _ => Ok(text.into()),
                };
            }
            let lost = |detail: String| Error::Lost { detail };
            match self.response.chunk().await {
                Ok(Some(part)) => self.events.push(&part),
                Ok(None) => return Err(lost("the connection ended".into())),
                Err(error) if error.is_timeout() => {
                    return Err(lost("the gateway went silent".into()));
                }
                Err(error) => return Err(lost(error.to_string())),
            }
        }
    }
}

/// Finds the events in a text that arrives in pieces.
struct Events {
    bytes: Vec<u8>,
    /// How many of them are known to have no end of a line.
    searched: usize,
    data: String,
    limit: usize,
}

impl Events {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            searched: 0,
            data: String::new(),
            limit,
        }
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
    }

    /// The data of the next complete event. The error says what is wrong with one that cannot be accepted.
    fn next(&mut self) -> Result<Option<String>, String> {
        while let Some(length) = self.line() {
            let line: Vec<u8> = self.bytes.drain(..=length).collect();
            let line = std::str::from_utf8(&line).map_err(|e| e.to_string())?;
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
                self.check(self.data.len())?;
            } else if line.is_empty() && !self.data.is_empty() {
                return Ok(Some(std::mem::take(&mut self.data)));
            }
        }
        self.check(self.bytes.len() + self.data.len())?;
        Ok(None)
    }

    /// The index of the end of the first line.
    fn line(&mut self) -> Option<usize> {
        let fresh = &self.bytes[self.searched..];
        let end = fresh.iter().position(|byte| *byte == b'\n');
        let end = end.map(|end| self.searched + end);
        self.searched = if end.is_some() { 0 } else { self.bytes.len() };
        end
    }

    fn check(&self, length: usize) -> Result<(), String> {
        if length > self.limit {
            return Err(format!("an event has more than {} bytes", self.limit));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_do_not_change_the_events() {
        let text =
            "id: 1-2\ndata: {\"a\":1}\n\n: ping\n\nevent: end\r\ndata: {\ndata:}\r\n\r\ndata: half";
        for size in 1..=text.len() {
            let mut events = Events::new(30);
            let mut found = Vec::new();
            for part in text.as_bytes().chunks(size) {
                events.push(part);
                while let Some(data) = events.next().unwrap() {
                    found.push(data);
                }
            }
            assert_eq!(found, ["{\"a\":1}", "{\n}"], "{size}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_refused() {
        for part in [&b"data: aaaa"[..], b"data: aaaa\n"] {
            let mut events = Events::new(30);
            let mut pieces = 0;
            while events.next().is_ok() {
                events.push(part);
                pieces += 1;
            }
            assert!(pieces < 10);
        }
    }
}
