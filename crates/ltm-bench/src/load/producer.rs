//! A producer on a bare socket.

use std::collections::HashMap;

use ltm_client::LtmId;

use super::http::Http;
use crate::{
    error::Error,
    targets::channel::{Channel, Kind},
};

/// The approximate bytes of a message without its filling.
const ENVELOPE: usize = 230;

/// A producer with a connection of its own.
pub(crate) struct Producer {
    kind: Kind,
    http: Http,
    /// Tells its messages from those of other producers, if the messages have no cursor of a log.
    number: usize,
    /// The number of messages that it wrote to each channel.
    written: HashMap<LtmId, u64>,
}

impl Producer {
    pub(crate) fn new(kind: Kind, http: Http, number: usize) -> Self {
        Self {
            kind,
            http,
            number,
            written: HashMap::new(),
        }
    }

    /// Appends one entry whose message has about `size` bytes. `at` is the time in it, in nanoseconds.
    pub(crate) fn append(&mut self, channel: &Channel, at: u64, size: usize) -> Result<(), Error> {
        if self.kind == Kind::Live {
            return self.snapshot(channel, body(at, size).as_bytes());
        }
        let patch = patch(size);
        let written = self.written.entry(channel.id).or_default();
        *written += 1;
        let message = format!(
            r#"{{"id":{},"cursor":"{written}-{:020}","snapshot":{{"time":"2026-01-01T00:00:00.000000Z","reason":"execute","item":{{"at":{at}}},"patch":{patch},"execute_queue":[],"transitions_queue":[]}}}}"#,
            channel.id, self.number
        );
        if self.kind == Kind::Centrifugo {
            return self.publish(channel, &message);
        }
        let path = format!("/pub/{}", channel.id);
        self.http.post(&path, message.as_bytes())?;
        Ok(())
    }

    /// Publishes a message through the HTTP API of Centrifugo, whose errors have the status 200.
    fn publish(&mut self, channel: &Channel, message: &str) -> Result<(), Error> {
        let body = format!(r#"{{"channel":"{}","data":{message}}}"#, channel.id);
        let answer = self.http.post("/api/publish", body.as_bytes())?;
        if answer.starts_with(br#"{"result":"#) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&answer).into_owned();
        Err(Error::Answer(said))
    }

    /// Appends a snapshot with this body.
    pub(crate) fn snapshot(&mut self, channel: &Channel, body: &[u8]) -> Result<(), Error> {
        let path = format!("/api/v0/ltm/{}/snapshots", channel.id);
        self.http.post(&path, body)?;
        Ok(())
    }
}

/// A patch for a message of about `size` bytes.
fn patch(size: usize) -> String {
    let fill = "x".repeat(size.saturating_sub(ENVELOPE));
    format!(r#"[{{"op":"replace","path":"/text","value":"{fill}"}}]"#)
}

/// The body of an append.
pub(super) fn body(at: u64, size: usize) -> String {
    let patch = patch(size);
    format!(r#"{{"reason":"execute","item":{{"at":{at}}},"patch":{patch}}}"#)
}
