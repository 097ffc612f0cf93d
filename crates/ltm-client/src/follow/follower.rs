//! One subscriber, over any number of connections.

use std::{mem::take, time::Duration};

use ltm_types::{Cursor, LtmRef};
use tokio::time::sleep;

use super::{
    event::{Change, Event, Message},
    transport::Transport,
};
use crate::{Error, http::Http};

/// The longest pause after a gateway drained: the gateway spreads its closes itself.
const SOON: Duration = Duration::from_secs(1);
/// A rejection for a limit counts as at least this many failures.
const OVER_LIMIT: u32 = 4;

/// Where a subscriber begins. After a disconnect it resumes from its cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the current state, a [`Reset`](crate::Reset).
    State,
    /// After a cursor: that of a document, of an answer, or of the last message that your program processed.
    After(Cursor),
    /// With the entries from now on.
    Now,
}

impl Start {
    /// The query parameter of the WebSocket.
    fn query(self) -> Option<(&'static str, String)> {
        match self {
            Self::State => Some(("init", "state".into())),
            Self::After(cursor) => Some(("after", cursor.to_string())),
            Self::Now => None,
        }
    }
}

/// One subscriber, over any number of connections.
pub(crate) struct Follower {
    http: Http,
    ltm: LtmRef,
    /// Where the next connection begins.
    start: Start,
    transport: Option<Transport>,
    /// The pause before the next connection.
    pause: Option<Duration>,
    /// Connections since the last one that made progress.
    failures: u32,
    /// Whether this connection has delivered something new.
    progressed: bool,
    /// Whether the services rejected the last token.
    refused: bool,
    deleted: bool,
    over: bool,
}

impl Follower {
    pub(crate) fn new(http: Http, ltm: LtmRef, start: Start) -> Self {
        Self {
            http,
            ltm,
            start,
            transport: None,
            pause: None,
            failures: 0,
            progressed: false,
            refused: false,
            deleted: false,
            over: false,
        }
    }

    /// The next event; `None` after the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Event, Error>> {
        // The caller asks again, so it could use the last message.
        if take(&mut self.progressed) {
            self.failures = 0;
            self.refused = false;
        }
        while !self.over {
            if let Some(pause) = self.pause {
                sleep(pause).await;
                self.pause = None;
            }
            let received = match &mut self.transport {
                Some(transport) => transport.next().await,
                None => match self.connect().await {
                    Ok(transport) => {
                        self.transport = Some(transport);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match received {
                Ok(text) => match Message::read(text) {
                    Ok(message) if self.is_known(&message) => {}
                    Ok(message) => return Some(Ok(self.take(message))),
                    Err(error) => {
                        return Some(Err(self.end(Error::unreadable(self.http.server(), error))));
                    }
                },
                Err(_) if self.deleted => self.over = true,
                Err(error) => return Some(self.ended(error)),
            }
        }
        None
    }

    // By a unique reference: an upgraded connection cannot be shared between threads.
    async fn connect(&mut self) -> Result<Transport, Error> {
        let start = self.start.query();
        let mut query = Vec::from_iter(start.as_ref().map(|(name, value)| (*name, &**value)));
        query.push(("live", "1"));
        Transport::open(&self.http, &self.ltm, &query).await
    }

    /// Whether an earlier connection has delivered this message.
    fn is_known(&self, message: &Message) -> bool {
        let marks = matches!(
            message.change,
            Change::Live | Change::Reset(_) | Change::Deleted
        );
        let Start::After(position) = self.start else {
            return false;
        };
        !marks && message.cursor.seq <= position.seq
    }

    fn take(&mut self, message: Message) -> Event {
        self.start = Start::After(message.cursor);
        match message.change {
            // The next connection would begin with the same reset, so it is no progress.
            Change::Reset(_) => {}
            Change::Deleted => self.deleted = true,
            _ => self.progressed = true,
        }
        Event::Message(message)
    }

    /// Begins again with the state, because a message did not fit the view.
    pub(crate) fn reject(&mut self, reason: Error) -> Event {
        self.start = Start::State;
        self.transport = None;
        self.progressed = false;
        self.failures += 1;
        self.disconnected(reason)
    }

    /// Reacts to the end of a connection, or to a failed attempt.
    fn ended(&mut self, error: Error) -> Result<Event, Error> {
        self.transport = None;
        let asks_for_token =
            matches!(error, Error::Closed { code: 4401, .. }) || error.rejects_token();
        if asks_for_token {
            let renews = !self.refused && self.http.tokens().may_renew();
            self.refused = true;
            if !renews {
                return Err(self.end(error));
            }
        }
        match &error {
            Error::Closed { code, .. } => match code {
                1002 | 1003 | 1007 | 1008 | 1009 | 4403 | 4404 | 4410 => {
                    return Err(self.end(error));
                }
                1012 => {
                    let pause = SOON.mul_f64(fastrand::f64());
                    self.pause = Some(pause);
                    return Ok(Event::Disconnected {
                        reason: error,
                        pause,
                    });
                }
                1013 => self.failures = (self.failures + 1).max(OVER_LIMIT),
                4409 => {
                    self.start = Start::State;
                    self.failures += 1;
                }
                _ => self.failures += 1,
            },
            Error::Lost { .. } => self.failures += 1,
            other if other.is_temporary() || asks_for_token => self.failures += 1,
            _ => return Err(self.end(error)),
        }
        Ok(self.disconnected(error))
    }

    fn disconnected(&mut self, reason: Error) -> Event {
        let options = self.http.options();
        let asked = reason.retry_after().unwrap_or_default();
        let pause = options
            .connect_backoff
            .pause(self.failures.saturating_sub(1));
        let pause = asked.min(options.max_retry_after) + pause;
        self.pause = Some(pause);
        Event::Disconnected { reason, pause }
    }

    /// Ends the stream.
    fn end(&mut self, error: Error) -> Error {
        self.over = true;
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, token::Tokens};

    fn follower() -> Follower {
        let server = "http://localhost:1".parse().unwrap();
        let http = Http::new("test", server, Tokens::None, Options::default()).unwrap();
        let after = Start::After("3-7".parse().unwrap());
        Follower::new(http, "1".parse().unwrap(), after)
    }

    #[test]
    fn a_message_comes_once_and_a_reset_always() {
        for (text, known) in [
            (r#"{"cursor":"3-7","error":{}}"#, true),
            (r#"{"cursor":"2-7","unheard_of":1}"#, true),
            (r#"{"cursor":"4-7","error":{}}"#, false),
            (r#"{"cursor":"3-7","live":true}"#, false),
            (r#"{"cursor":"3-7","deleted":true}"#, false),
            (
                r#"{"cursor":"2-9","reset":{"reason":"forked","state":{},"snapshots_count":1}}"#,
                false,
            ),
        ] {
            let message = text.parse().unwrap();
            assert_eq!(follower().is_known(&message), known, "{text}");
        }
    }

    #[test]
    fn the_close_code_decides_how_a_subscriber_goes_on() {
        let closed = |code| Error::Closed {
            code,
            reason: String::new(),
        };
        for code in [1002, 1003, 1007, 1008, 1009, 4401, 4403, 4404, 4410] {
            let mut follower = follower();
            assert!(
                follower.ended(closed(code)).is_err() && follower.over,
                "{code}"
            );
        }
        for (code, failures, start) in [
            (1000, 1, follower().start),
            (1011, 1, follower().start),
            (1012, 0, follower().start),
            (1013, OVER_LIMIT, follower().start),
            (4409, 1, Start::State),
        ] {
            let mut follower = follower();
            let Ok(Event::Disconnected { pause, .. }) = follower.ended(closed(code)) else {
                panic!("{code} ends it");
            };
            assert_eq!((follower.failures, follower.start), (failures, start));
            assert_eq!(follower.pause, Some(pause));
            assert!(code != 1012 || pause <= SOON);
        }
    }
}
