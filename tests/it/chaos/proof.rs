//! The proof, from the record and the log, that nothing was lost, doubled or wrong.

use std::{collections::HashMap, time::Duration};

use ltm_tests::{RedisServer, apply, same};
use ltm_types::Cursor;
use serde_json::{Value, json};

use super::{
    follower::Seen,
    producer::{Outcome, Write},
    story::{Failure, Story},
};

/// An entry as it is in Redis.
pub(crate) struct Logged {
    pub(crate) cursor: Cursor,
    /// The key of the write that it comes from.
    key: Option<String>,
    /// The state after it.
    state: Value,
}

/// The log as it is in Redis.
pub(crate) fn read_log(redis: &RedisServer, id: u64) -> Vec<Logged> {
    let text = redis.cli(&["--json", "XRANGE", &format!("ltm:{{{id}}}:log"), "-", "+"]);
    let entries: Vec<(String, [String; 2])> = serde_json::from_str(&text).unwrap();
    let mut state = json!({});
    let read = |(cursor, [_, payload]): (String, [String; 2])| {
        let payload: Value = serde_json::from_str(&payload).unwrap();
        let change = payload.get("rollback").unwrap_or(&payload);
        apply(&mut state, &change["patch"]).unwrap();
        Logged {
            cursor: cursor.parse().unwrap(),
            key: payload["item"]["key"].as_str().map(str::to_owned),
            state: state.clone(),
        }
    };
    entries.into_iter().map(read).collect()
}

/// What is known of one LTM.
pub(crate) struct Proof<'a> {
    pub(crate) story: &'a Story,
    pub(crate) log: &'a [Logged],
    /// Whether a fault may have taken what was acknowledged.
    pub(crate) may_lose: bool,
    /// Whether a fault may have taken what was not.
    pub(crate) may_fork: bool,
}

impl Proof<'_> {
    /// Every acknowledged write is there once, no refused one is, one of unknown outcome at most once.
    pub(crate) fn writes(&self, writes: &[Write]) -> Result<(), Failure> {
        let mut landed: HashMap<&str, usize> = HashMap::new();
        for key in self.log.iter().filter_map(|entry| entry.key.as_deref()) {
            *landed.entry(key).or_default() += 1;
        }
        let at: HashMap<String, &Logged> = self
            .log
            .iter()
            .map(|entry| (entry.cursor.to_string(), entry))
            .collect();
        for write in writes {
            let times = landed.get(write.key.as_str()).copied().unwrap_or(0);
            let wrong = match &write.outcome {
                _ if times > 1 => format!("landed {times} times"),
                Outcome::Refused if times > 0 => "was refused and is in the log".into(),
                Outcome::Acknowledged(cursor) if !self.may_lose && !at.contains_key(cursor) => {
                    format!("was acknowledged at {cursor} and is not in the log")
                }
                _ => continue,
            };
            let (who, _) = write.key.split_once('/').unwrap();
            let what = format!("{} {wrong}", write.key);
            return Err(self.story.failure(what, who, write.during, &write.key));
        }
        if self.may_lose {
            return Ok(());
        }
        // The creation is the first.
        let known = 1 + writes
            .iter()
            .filter(|write| match &write.outcome {
                Outcome::Acknowledged(_) => true,
                Outcome::Unknown => landed.contains_key(write.key.as_str()),
                Outcome::Refused => false,
            })
            .count();
        if known != self.log.len() {
            let what = format!(
                "{known} entries are accounted for, and {} are in the log",
                self.log.len()
            );
            return Err(self.story.failure(what, "", Default::default(), ""));
        }
        Ok(())
    }

    /// A follower that began with nothing saw every entry once, in order, and held the state that the
    /// log gives; a reset only where its history was lost.
    pub(crate) fn followed(&self, who: &str, seen: &[Seen]) -> Result<(), Failure> {
        let truth: HashMap<Cursor, &Value> = self
            .log
            .iter()
            .map(|entry| (entry.cursor, &entry.state))
            .collect();
        let mut before = Cursor::ORIGIN;
        let mut since = Duration::ZERO;
        for message in seen {
            let Seen { cursor, state, .. } = message;
            let wrong = match (&message.reset, &message.error, truth.get(cursor)) {
                (_, Some(error), _) => format!("cannot apply: {error}"),
                (Some(reason), ..)
                    if !self.may_fork
                        || reason != "forked"
                        || before == Cursor::ORIGIN
                        || truth.contains_key(&before) =>
                {
                    format!("got a reset ({reason}) for no reason at {cursor} after {before}")
                }
                (None, ..) if cursor.seq != before.seq + 1 => {
                    format!("saw {cursor} after {before}")
                }
                (_, _, Some(truth)) if !same(state, truth) => {
                    format!("holds {state} at {cursor}, which is {truth}")
                }
                (_, _, None) if !self.may_fork => format!("saw {cursor}, which is not in the log"),
                _ => {
                    (before, since) = (*cursor, message.at);
                    continue;
                }
            };
            return Err(self.failure(who, &wrong, (since, message.at), *cursor));
        }
        let last = self.log.last().map_or(Cursor::ORIGIN, |entry| entry.cursor);
        if before != last {
            let wrong = format!("does not arrive at the end, {last}, but at {before}");
            let until = self.story.now();
            return Err(self.failure(who, &wrong, (since, until), last));
        }
        Ok(())
    }

    /// Whoever stood at one cursor held one state, whether that history was lost later or not.
    pub(crate) fn agreed(&self, followers: &[(String, Vec<Seen>)]) -> Result<(), Failure> {
        let mut held: HashMap<Cursor, &Value> = HashMap::new();
        for (who, seen) in followers {
            for message in seen {
                let first = held.entry(message.cursor).or_insert(&message.state);
                if !same(first, &message.state) {
                    let (cursor, state) = (message.cursor, &message.state);
                    let wrong = format!("holds {state} at {cursor}, where another holds {first}");
                    return Err(self.failure(who, &wrong, (message.at, message.at), cursor));
                }
            }
        }
        Ok(())
    }

    fn failure(
        &self,
        who: &str,
        wrong: &str,
        during: (Duration, Duration),
        cursor: Cursor,
    ) -> Failure {
        let what = format!("{who} {wrong}");
        self.story.failure(what, who, during, &cursor.to_string())
    }
}
