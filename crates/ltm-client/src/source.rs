//! Server-Sent Events of the gateway.

use ltm_state::json;
use ltm_types::LtmId;
use reqwest::{Response, header::CONTENT_TYPE};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{Client, Error, ServerUrl};

/// An answer that goes on, over which messages come. It is read when the next one is asked for, and not before.
pub(crate) struct Source {
    response: Response,
    events: Events,
    server: ServerUrl,
}

/// What the gateway says where it would close a socket.
#[derive(Deserialize)]
struct Last {
    end: Option<Close>,
}

#[derive(Deserialize)]
struct Close {
    code: u16,
    reason: String,
}

impl Source {
    /// Asks for the events, with the token as of now.
    pub(crate) async fn open(
        client: &Client,
        id: LtmId,
        query: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let response = client.events(id, query).await?;
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let server = client.server().clone();
        if !kind.starts_with("text/event-stream") {
            let detail = format!("{kind:?} instead of events");
            return Err(Error::Unreadable { server, detail });
        }
        Ok(Self {
            response,
            events: Events::new(client.options().max_message),
            server,
        })
    }

    /// The next message, or how it ended.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Error> {
        loop {
            let unreadable = |detail| Error::Unreadable {
                server: self.server.clone(),
                detail,
            };
            if let Some(text) = self.events.next().map_err(unreadable)? {
                // Only what ends it is short and has such a member.
                return match json::read::<Last>(&text) {
                    Ok(Last {
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

/// The events in a text that comes in pieces.
struct Events {
    bytes: Vec<u8>,
    /// How many of them have no end of a line.
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

    /// The data of the next event that is there as a whole; says what is wrong with one that cannot be taken.
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

    /// Where the first line ends.
    fn line(&mut self) -> Option<usize> {
        let fresh = &self.bytes[self.searched..];
        let end = fresh.iter().position(|byte| *byte == b'\n');
        let end = end.map(|end| self.searched + end);
        self.searched = if end.is_some() { 0 } else { self.bytes.len() };
        end
    }

    fn check(&self, length: usize) -> Result<(), String> {
        match self.limit {
            limit if length > limit => Err(format!("an event of more than {limit} bytes")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_in_whatever_pieces_they_come() {
        let text =
            "id: 1-2\ndata: {\"a\":1}\n\n: ping\n\nevent: end\r\ndata: {\ndata:}\r\n\r\ndata: half";
        for size in 1..=text.len() {
            let mut events = Events::new(30);
            let mut heard = Vec::new();
            for part in text.as_bytes().chunks(size) {
                events.push(part);
                while let Some(data) = events.next().unwrap() {
                    heard.push(data);
                }
            }
            assert_eq!(heard, ["{\"a\":1}", "{\n}"], "{size}");
        }
    }

    #[test]
    fn what_has_no_end_is_given_up() {
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
