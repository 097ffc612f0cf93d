//! One subscriber, from connection to connection.

use std::{mem::take, time::Duration};

use ltm_types::{Cursor, LtmId};
use tokio::time::sleep;

use crate::{Change, Client, Error, Event, Message, answer::unreadable, link::Link};

/// Within how long to come back after a restart of the gateway, which spreads its closes itself.
const SOON: Duration = Duration::from_secs(1);
/// As which failure the first "over a limit" counts.
const OVER_LIMIT: u32 = 4;

/// Where a subscriber begins. After a disconnect it goes on from where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the state as of now, a [`Reset`](crate::Reset).
    State,
    /// After a cursor: that of a document, of an answer, or of the last message that was heard.
    After(Cursor),
    /// With what comes from now on.
    Now,
}

impl Start {
    /// As the query of the WebSocket says it.
    fn query(self) -> Option<(&'static str, String)> {
        match self {
            Self::State => Some(("init", "state".into())),
            Self::After(cursor) => Some(("after", cursor.to_string())),
            Self::Now => None,
        }
    }
}

/// How far one subscriber is.
pub(crate) struct Follower {
    client: Client,
    id: LtmId,
    /// Where the next connection begins.
    start: Start,
    link: Option<Link>,
    /// How long to wait before the next connection.
    pause: Option<Duration>,
    /// Connections since the last one that got anywhere.
    failures: u32,
    /// Whether this connection has got somewhere.
    moved: bool,
    /// Whether the last token was refused.
    refused: bool,
    deleted: bool,
    over: bool,
}

impl Follower {
    pub(crate) fn new(client: Client, id: LtmId, start: Start) -> Self {
        Self {
            client,
            id,
            start,
            link: None,
            pause: None,
            failures: 0,
            moved: false,
            refused: false,
            deleted: false,
            over: false,
        }
    }

    /// What is heard next; nothing once it is over.
    pub(crate) async fn next(&mut self) -> Option<Result<Event, Error>> {
        // Only now is it known that whoever listens could use the last one.
        if take(&mut self.moved) {
            self.failures = 0;
            self.refused = false;
        }
        while !self.over {
            if let Some(pause) = self.pause {
                sleep(pause).await;
                self.pause = None;
            }
            let heard = match &mut self.link {
                Some(link) => link.next().await,
                None => match self.connect().await {
                    Ok(link) => {
                        self.link = Some(link);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match heard {
                Ok(text) => match Message::read(text) {
                    Ok(message) if self.is_known(&message) => {}
                    Ok(message) => return Some(Ok(self.take(message))),
                    Err(error) => {
                        return Some(Err(self.end(unreadable(self.client.server(), &error))));
                    }
                },
                Err(_) if self.deleted => self.over = true,
                Err(error) => return Some(self.ended(error)),
            }
        }
        None
    }

    async fn connect(&self) -> Result<Link, Error> {
        let start = self.start.query();
        let mut query = Vec::from_iter(start.as_ref().map(|(name, value)| (*name, &**value)));
        query.push(("live", "1"));
        Link::open(&self.client, self.id, &query).await
    }

    /// Whether a message was heard over an earlier connection.
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
            // The next connection would begin with the same.
            Change::Reset(_) => {}
            Change::Deleted => self.deleted = true,
            _ => self.moved = true,
        }
        Event::Message(message)
    }

    /// Begins again with the state: what was sent does not fit what is there.
    pub(crate) fn reject(&mut self, reason: Error) -> Event {
        self.start = Start::State;
        self.link = None;
        self.moved = false;
        self.failures += 1;
        self.disconnected(reason)
    }

    /// What the end of a connection means, or that there was none.
    fn ended(&mut self, error: Error) -> Result<Event, Error> {
        self.link = None;
        let asks_for_token =
            matches!(error, Error::Closed { code: 1008, .. }) || error.asks_for_token();
        if asks_for_token {
            let renews = !self.refused && self.client.tokens().may_renew();
            self.refused = true;
            if !renews {
                return Err(self.end(error));
            }
        }
        match &error {
            Error::Closed { code, .. } => match code {
                1002 | 1003 | 1007 | 1009 | 4404 | 4410 => return Err(self.end(error)),
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
            other if other.is_passing() || asks_for_token => self.failures += 1,
            _ => return Err(self.end(error)),
        }
        Ok(self.disconnected(error))
    }

    fn disconnected(&mut self, reason: Error) -> Event {
        let options = self.client.options();
        let asked = reason.retry_after().unwrap_or_default();
        let pause = options
            .connect_pauses
            .after(self.failures.saturating_sub(1));
        let pause = asked.min(options.longest_asked) + pause;
        self.pause = Some(pause);
        Event::Disconnected { reason, pause }
    }

    /// Nothing comes after that.
    fn end(&mut self, error: Error) -> Error {
        self.over = true;
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follower() -> Follower {
        let client = Client::new("http://localhost:1").unwrap();
        let after = Start::After("3-7".parse().unwrap());
        Follower::new(client, LtmId::new(1).unwrap(), after)
    }

    #[test]
    fn what_was_heard_before_is_not_heard_again_and_what_replaces_it_is() {
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
    fn after_each_end_of_a_connection_it_goes_on_where_that_makes_sense() {
        let closed = |code| Error::Closed {
            code,
            reason: String::new(),
        };
        for code in [1002, 1003, 1007, 1008, 1009, 4404, 4410] {
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
