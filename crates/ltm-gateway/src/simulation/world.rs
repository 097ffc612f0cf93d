//! The logs of a simulation, in memory, and what is true of every entry that ever was in one of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use futures_util::{FutureExt, future::LocalBoxFuture};
use ltm_state::{Continuation, State, judge};
use ltm_store::{Read, Rejection, StoreError, Window, WindowBounds};
use ltm_types::{Cursor, Entry, Kind, LtmId, entry_message};
use tokio::{task::yield_now, time::sleep};

use crate::fanout::log_source::{Heads, LogSource};

/// The longest way of a question to Redis, or of its answer, in milliseconds of the simulation.
const LONGEST_WAY: u64 = 4;

/// The logs. They play the part of Redis.
pub(super) struct World(Mutex<Logs>);

/// What the lock of a [`World`] guards.
pub(super) struct Logs {
    ltms: BTreeMap<LtmId, Log>,
    facts: HashMap<(LtmId, Cursor), Fact>,
    /// The last entries of all LTMs that were deleted.
    deletions: Vec<(LtmId, Cursor)>,
    /// Grows with each action of the story.
    pub now: u64,
    /// How many of the next questions fail.
    pub failing: u32,
    /// Whether a question has failed.
    pub has_failed: bool,
    numbers: u64,
    random: fastrand::Rng,
}

/// One log.
#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    /// The state before the first of them.
    base: State,
    head: Option<Cursor>,
    deleted: Option<Cursor>,
    /// The entries that it lost last, for an API that writes them again.
    lost: Vec<Entry>,
    /// Every head that it has had.
    heads: Vec<Cursor>,
    /// The last action at which there was no such LTM.
    unknown_at: Option<u64>,
    trimmed: bool,
}

/// What is true of an entry.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    /// The entry before it.
    pub previous: Cursor,
    /// The message of the entry.
    pub message: String,
    /// The state after it.
    pub state: String,
    pub snapshots_count: u64,
    /// The action that took it out of its log, if the log does not hold it now.
    pub lost_at: Option<u64>,
    /// Whether its log has lost it at any time.
    pub was_lost: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(Logs {
            ltms: BTreeMap::new(),
            facts: HashMap::new(),
            deletions: Vec::new(),
            now: 0,
            failing: 0,
            has_failed: false,
            numbers: 0,
            random: fastrand::Rng::with_seed(seed),
        }))
    }

    pub(super) fn logs(&self) -> MutexGuard<'_, Logs> {
        self.0.lock().unwrap()
    }

    /// Asks for something of the logs: the question and the answer take their time.
    fn ask<'a, T: 'a>(
        &'a self,
        look: impl FnOnce(&Logs) -> Result<T, StoreError> + 'a,
    ) -> LocalBoxFuture<'a, Result<T, StoreError>> {
        async move {
            let (there, back, fails) = self.logs().ways();
            travel(there).await;
            let answer = if fails {
                // Any failure that is temporary.
                let (have, asked) = (0, 1);
                Err(StoreError::Rejected(Rejection::TooFewReplicas {
                    have,
                    asked,
                }))
            } else {
                look(&self.logs())
            };
            travel(back).await;
            answer
        }
        .boxed_local()
    }
}

async fn travel(millis: u64) {
    if millis == 0 {
        yield_now().await;
    } else {
        sleep(Duration::from_millis(millis)).await;
    }
}

impl Logs {
    /// How long the next question and its answer are under way, and whether it fails.
    fn ways(&mut self) -> (u64, u64, bool) {
        let fails = self.failing > 0;
        self.failing = self.failing.saturating_sub(1);
        self.has_failed |= fails;
        let [there, back] = [(); 2].map(|()| {
            if self.random.bool() {
                0
            } else {
                self.random.u64(0..=LONGEST_WAY)
            }
        });
        (there, back, fails)
    }

    fn log(&mut self, id: LtmId) -> &mut Log {
        self.ltms.entry(id).or_insert_with(|| Log {
            unknown_at: Some(0),
            ..Log::default()
        })
    }

    fn known(&self, id: LtmId) -> Result<(&Log, Cursor), StoreError> {
        let log = self.ltms.get(&id).ok_or(StoreError::Unknown(id))?;
        match (log.head, log.deleted) {
            (Some(head), _) => Ok((log, head)),
            (None, Some(cursor)) => Err(StoreError::Deleted { id, cursor }),
            (None, None) => Err(StoreError::Unknown(id)),
        }
    }

    /// The head of a log; `None` if there is no such LTM.
    pub(super) fn head(&self, id: LtmId) -> Option<Cursor> {
        self.ltms.get(&id)?.head
    }

    /// The cursor of the deletion, if the LTM was deleted.
    pub(super) fn deleted(&self, id: LtmId) -> Option<Cursor> {
        self.ltms.get(&id)?.deleted
    }

    /// Whether an LTM of this id was deleted with this entry.
    pub(super) fn was_deleted_at(&self, id: LtmId, cursor: Cursor) -> bool {
        self.deletions.contains(&(id, cursor))
    }

    /// Every head that the log has had.
    pub(super) fn heads_of(&self, id: LtmId) -> &[Cursor] {
        self.ltms.get(&id).map_or(&[], |log| &log.heads)
    }

    pub(super) fn fact(&self, id: LtmId, cursor: Cursor) -> Option<&Fact> {
        self.facts.get(&(id, cursor))
    }

    /// Whether retention has removed entries of the log.
    pub(super) fn was_trimmed(&self, id: LtmId) -> bool {
        self.ltms.get(&id).is_some_and(|log| log.trimmed)
    }

    /// Whether there was no such LTM at this action, or later.
    pub(super) fn was_unknown_since(&self, id: LtmId, since: u64) -> bool {
        self.ltms.get(&id).is_none_or(|log| {
            let is_unknown = log.head.is_none() && log.deleted.is_none();
            is_unknown || log.unknown_at.is_some_and(|at| at >= since)
        })
    }

    /// Appends a snapshot whose payload has about this size. Creates the LTM if it is not there; `None` if it was
    /// deleted.
    pub(super) fn append(&mut self, id: LtmId, size: usize) -> Option<Entry> {
        self.numbers += 1;
        let payload = format!(
            r#"{{"time":"2026-01-01T00:00:00Z","reason":"{}","item":null,"patch":[{{"op":"add","path":"/n","value":{}}}],"execute_queue":[],"transitions_queue":[]}}"#,
            "x".repeat(size),
            self.numbers,
        );
        let now = self.now;
        let log = self.log(id);
        if log.deleted.is_some() {
            return None;
        }
        if log.head.is_none() {
            log.unknown_at = Some(now);
        }
        let entry = Entry::after(
            log.head.unwrap_or(Cursor::ORIGIN),
            Kind::Snapshot,
            payload.into(),
        );
        self.write(id, entry.clone());
        Some(entry)
    }

    fn write(&mut self, id: LtmId, entry: Entry) {
        let number = self.numbers;
        let log = self.log(id);
        let previous = log.head.unwrap_or(Cursor::ORIGIN);
        let fact = Fact {
            previous,
            message: entry_message(id, previous, &entry).text.to_string(),
            state: format!(r#"{{"n":{number}}}"#),
            snapshots_count: entry.cursor.seq,
            lost_at: None,
            was_lost: false,
        };
        log.head = Some(entry.cursor);
        log.heads.push(entry.cursor);
        let cursor = entry.cursor;
        log.entries.push(entry);
        let known = self.facts.entry((id, cursor)).or_insert(fact);
        known.lost_at = None;
    }

    /// Takes the last `count` entries out of the log, as a failover does, but never all of them.
    pub(super) fn lose(&mut self, id: LtmId, count: usize) {
        let now = self.now;
        let Some(log) = self.ltms.get_mut(&id).filter(|log| log.head.is_some()) else {
            return;
        };
        let least = usize::from(log.base.cursor == Cursor::ORIGIN);
        let kept = log.entries.len().saturating_sub(count).max(least);
        if kept >= log.entries.len() {
            return;
        }
        log.lost = log.entries.split_off(kept);
        let head = log
            .entries
            .last()
            .map_or(log.base.cursor, |last| last.cursor);
        log.head = Some(head);
        log.heads.push(head);
        for entry in &log.lost {
            lose_fact(&mut self.facts, id, entry.cursor, now);
        }
    }

    /// Takes the LTM away without a trace, as a Redis that comes back empty does.
    pub(super) fn lose_all(&mut self, id: LtmId) {
        let now = self.now;
        let log = self.log(id);
        let heads = std::mem::take(&mut log.heads);
        for &cursor in &heads {
            lose_fact(&mut self.facts, id, cursor, now);
        }
        let log = Log {
            heads,
            unknown_at: Some(now),
            ..Log::default()
        };
        self.ltms.insert(id, log);
    }

    /// Writes the first entry again that the log has lost, if it still fits: an API repeats it.
    pub(super) fn repeat(&mut self, id: LtmId) -> Option<Entry> {
        let log = self.ltms.get_mut(&id)?;
        let fits = log.lost.first()?.continues(log.head?);
        if !fits {
            return None;
        }
        let entry = log.lost.remove(0);
        self.write(id, entry.clone());
        Some(entry)
    }

    /// Removes the oldest entries, down to `left`.
    pub(super) fn trim(&mut self, id: LtmId, left: usize) {
        let Some(log) = self.ltms.get_mut(&id) else {
            return;
        };
        let count = log.entries.len().saturating_sub(left);
        for entry in log.entries.drain(..count) {
            log.base.fold(&entry).unwrap();
            log.trimmed = true;
        }
    }

    /// Deletes the LTM, if it is there. Returns its last entry.
    pub(super) fn delete(&mut self, id: LtmId) -> Option<Entry> {
        let log = self.ltms.get_mut(&id)?;
        let entry = Entry::after(log.head.take()?, Kind::Deleted, "{}".into());
        log.deleted = Some(entry.cursor);
        log.entries.clear();
        log.base = State::default();
        self.deletions.push((id, entry.cursor));
        Some(entry)
    }

    /// Writes a copy of a log under an id that is not taken. No entry of it is published.
    pub(super) fn copy(&mut self, from: LtmId, to: LtmId) {
        let count = self.ltms.get(&from).map_or(0, |log| log.entries.len());
        if self.head(to).is_none() && self.deleted(to).is_none() {
            for _ in 0..count {
                self.append(to, 1);
            }
        }
    }
}

fn lose_fact(facts: &mut HashMap<(LtmId, Cursor), Fact>, id: LtmId, cursor: Cursor, now: u64) {
    if let Some(fact) = facts.get_mut(&(id, cursor)) {
        (fact.lost_at, fact.was_lost) = (Some(now), true);
    }
}

impl Log {
    /// What the script `read.lua` returns.
    fn window(&self, head: Cursor, after: Cursor, bounds: WindowBounds) -> Window {
        let (mut bytes, mut entries) = (0, Vec::new());
        for entry in self.entries.iter().filter(|entry| entry.cursor > after) {
            if bytes >= bounds.bytes || entries.len() >= bounds.entries {
                break;
            }
            bytes += entry.payload.len();
            entries.push(entry.clone());
        }
        Window { entries, head }
    }
}

impl LogSource for World {
    fn heads<'a>(&'a self, ids: &'a [LtmId]) -> LocalBoxFuture<'a, Result<Heads, StoreError>> {
        self.ask(|logs| Ok(ids.iter().map(|&id| Ok(logs.head(id))).collect()))
    }

    fn head(&self, id: LtmId) -> LocalBoxFuture<'_, Result<Cursor, StoreError>> {
        self.ask(move |logs| Ok(logs.known(id)?.1))
    }

    fn read_after(
        &self,
        id: LtmId,
        after: Cursor,
        bounds: WindowBounds,
    ) -> LocalBoxFuture<'_, Result<Read, StoreError>> {
        self.ask(move |logs| {
            let (log, head) = logs.known(id)?;
            let window = log.window(head, after, bounds);
            Ok(match judge(after, head, window.entries.first()) {
                Continuation::Continues => Read::Continues(window),
                Continuation::Trimmed => Read::Trimmed,
                Continuation::Forked => Read::Forked,
            })
        })
    }

    fn state(&self, id: LtmId) -> LocalBoxFuture<'_, Result<State, StoreError>> {
        self.ask(move |logs| {
            let (log, _) = logs.known(id)?;
            let mut state = log.base.clone();
            for entry in &log.entries {
                state.fold(entry).unwrap();
            }
            Ok(state)
        })
    }
}
