//! Logs as Redis holds them, and the entries that they lost.

use std::{
    collections::HashSet,
    thread::sleep,
    time::{Duration, Instant},
};

use ltm_tests::{LIMIT, RedisServer, apply};
use ltm_types::Cursor;
use serde_json::{Value, json};

/// An entry of a log.
pub(crate) struct Logged {
    pub(crate) cursor: Cursor,
    /// The cursor of the entry before it.
    pub(crate) previous: Cursor,
    /// The Idempotency-Key of the write that it comes from.
    pub(crate) key: Option<String>,
    /// The state after it.
    pub(crate) state: Value,
}

/// The entries that a log lost in a failover, or when Redis came back empty.
pub(crate) struct Loss {
    /// Before this time, every service still reads the log with these entries.
    pub(crate) at: Duration,
    /// The last entry that the log kept.
    pub(crate) kept: Cursor,
    /// The lost entries, in order.
    pub(crate) entries: Vec<Logged>,
}

/// Reads the log of one LTM; a missing log is empty.
pub(crate) fn read_log(redis: &RedisServer, id: u64) -> Vec<Logged> {
    read_log_with(redis, &["--json"], id)
}

/// The same, wherever the log is in a cluster.
pub(crate) fn read_log_on_cluster(redis: &RedisServer, id: u64) -> Vec<Logged> {
    read_log_with(redis, &["-c", "--json"], id)
}

fn read_log_with(redis: &RedisServer, options: &[&str], id: u64) -> Vec<Logged> {
    let log = format!("ltm:{{{id}}}:log");
    let began = Instant::now();
    let entries: Vec<(String, [String; 2])> = loop {
        let text = redis.cli(&[options, &["XRANGE", &log, "-", "+"]].concat());
        // After a failover a cluster answers with an error until all nodes know of it.
        match serde_json::from_str(&text) {
            Ok(entries) => break entries,
            Err(_) if began.elapsed() < LIMIT => sleep(Duration::from_millis(50)),
            Err(error) => panic!("{error}: {text}"),
        }
    };
    let mut state = json!({});
    let mut previous = Cursor::ORIGIN;
    let read = |(cursor, [_, payload]): (String, [String; 2])| {
        let payload: Value = serde_json::from_str(&payload).unwrap();
        let change = payload.get("rollback").unwrap_or(&payload);
        // An error has no patch.
        if let Some(patch) = change.get("patch") {
            apply(&mut state, patch).unwrap();
        }
        let cursor = cursor.parse().unwrap();
        Logged {
            cursor,
            previous: std::mem::replace(&mut previous, cursor),
            key: payload["item"]["key"].as_str().map(str::to_owned),
            state: state.clone(),
        }
    };
    entries.into_iter().map(read).collect()
}

/// The cursor up to which retention has removed entries from the log.
pub(crate) fn read_base(redis: &RedisServer, id: u64) -> Cursor {
    let base = redis.cli(&["HGET", &format!("ltm:{{{id}}}:base"), "cursor"]);
    base.trim().parse().unwrap_or(Cursor::ORIGIN)
}

/// The cursor of the last entry.
pub(crate) fn read_head(redis: &RedisServer, id: u64) -> Cursor {
    let head = redis.cli(&["HGET", &format!("ltm:{{{id}}}:meta"), "cursor"]);
    head.trim().parse().unwrap()
}

impl Loss {
    /// Compares a log before and after a failover that the services notice at the time `at`; `None` if it
    /// lost nothing.
    pub(crate) fn of(before: Vec<Logged>, after: &[Logged], at: Duration) -> Option<Self> {
        let survivors: HashSet<Cursor> = after.iter().map(|entry| entry.cursor).collect();
        let survives = |entry: &Logged| survivors.contains(&entry.cursor);
        let kept = before.iter().rfind(|entry| survives(entry));
        let kept = kept.map_or(Cursor::ORIGIN, |entry| entry.cursor);
        let entries: Vec<Logged> = before
            .into_iter()
            .filter(|entry| !survives(entry))
            .collect();
        (!entries.is_empty()).then_some(Self { at, kept, entries })
    }

    /// Whether it took the entry with this cursor.
    pub(crate) fn took(&self, cursor: Cursor) -> bool {
        self.entries.iter().any(|entry| entry.cursor == cursor)
    }
}
