//! The proof, from the records and the log, that nothing is lost, duplicated or wrong.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use ltm_tests::same;
use ltm_types::Cursor;
use serde_json::Value;

use super::{
    follower::Seen,
    log::{Logged, Loss},
    producer::{Outcome, Write},
    story::{Failure, Story},
};

/// What is known of one LTM.
pub(crate) struct Proof<'a> {
    pub(crate) story: &'a Story,
    /// The log at the end.
    pub(crate) log: &'a [Logged],
    /// What the log lost before.
    pub(crate) losses: &'a [Loss],
    /// Whether a fault may take acknowledged entries.
    pub(crate) may_lose: bool,
}

impl Proof<'_> {
    /// Proves that the log holds every acknowledged write once, no refused write, and each write of unknown
    /// outcome at most once.
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
            let what = format!("{} {wrong}", write.key);
            // Any later fault can have lost what was acknowledged.
            let during = (write.during.0, self.story.now());
            return Err(self.story.failure(what, "", during, &write.key));
        }
        self.batches(writes)?;
        if self.may_lose {
            return Ok(());
        }
        let explained: HashSet<&str> = writes
            .iter()
            .map(|write| match &write.outcome {
                Outcome::Acknowledged(cursor) => cursor.as_str(),
                Outcome::Unknown | Outcome::Refused => write.key.as_str(),
            })
            .collect();
        // The first entry is the creation.
        let unexplained = self.log.iter().skip(1).find(|entry| {
            let is_written = entry
                .key
                .as_deref()
                .is_some_and(|key| explained.contains(key));
            !is_written && !explained.contains(entry.cursor.to_string().as_str())
        });
        if let Some(Logged { cursor, key, .. }) = unexplained {
            let what = format!("the log holds {cursor} (key {key:?}), which no write explains");
            return Err(self
                .story
                .failure(what, "", Default::default(), &cursor.to_string()));
        }
        Ok(())
    }

    /// Proves that the log holds each batch as a whole and in one piece, or nothing of it.
    fn batches(&self, writes: &[Write]) -> Result<(), Failure> {
        let keys = self.log.iter().enumerate();
        let places: HashMap<&str, usize> = keys
            .filter_map(|(place, entry)| Some((entry.key.as_deref()?, place)))
            .collect();
        for batch in writes.chunk_by(|_, next| next.part > 0) {
            let first = places.get(batch[0].key.as_str());
            let is_whole = batch.iter().all(|write| {
                let place = places.get(write.key.as_str()).copied();
                place == first.map(|first| first + write.part)
            });
            if !is_whole {
                let key = &batch[0].key;
                let (who, _) = key.split_once('/').unwrap();
                let what = format!("the batch {key} is in the log in part, or not in one piece");
                return Err(self.story.failure(what, who, batch[0].during, key));
            }
        }
        Ok(())
    }

    /// Proves that a follower received every entry once and in order, held the state that the log gives at
    /// each cursor, and got a reset only if the log had lost its cursor.
    pub(crate) fn followed(&self, who: &str, seen: &[Seen]) -> Result<(), Failure> {
        let known = self.known();
        let mut before = Cursor::ORIGIN;
        let mut since = Duration::ZERO;
        for message in seen {
            let Seen { cursor, state, .. } = message;
            let first = before == Cursor::ORIGIN;
            let wrong = match (&message.reset, &message.error, known.get(cursor)) {
                (_, Some(error), _) => format!("cannot apply a patch: {error}"),
                (_, _, None) => format!("saw {cursor}, which was never in the log"),
                // A client may begin with the state.
                (Some(reason), None, Some(entry))
                    if first && reason == "requested" && same(state, &entry.state) =>
                {
                    (before, since) = (*cursor, message.at);
                    continue;
                }
                // A client ends if the LTM is unknown, which it is while its log is lost. The next one begins anew.
                (Some(reason), ..)
                    if !["forked", "requested"].contains(&reason.as_str())
                        || !self.justifies(&known, before, message) =>
                {
                    format!("got a reset ({reason}) for no reason at {cursor} after {before}")
                }
                (None, _, Some(entry)) if entry.previous != before => {
                    format!("saw {cursor} after {before}")
                }
                (_, _, Some(entry)) if !same(state, &entry.state) => {
                    format!("holds {state} at {cursor}, which is {}", entry.state)
                }
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

    /// Every entry that was ever in the log.
    fn known(&self) -> HashMap<Cursor, &Logged> {
        let lost = self.losses.iter().flat_map(|loss| &loss.entries);
        lost.chain(self.log)
            .map(|entry| (entry.cursor, entry))
            .collect()
    }

    /// Whether a follower at `before` had to get this reset: the log had lost that entry, and the state in the
    /// reset comes from the log after that and without it.
    ///
    /// The end of the log does not tell. The API sends a write again if its answer is lost. The entry then
    /// lands once more under the same cursor, possibly after the reset.
    fn justifies(&self, known: &HashMap<Cursor, &Logged>, before: Cursor, reset: &Seen) -> bool {
        let past = self.losses.iter().filter(|loss| loss.at <= reset.at);
        let since = past.skip_while(|loss| !loss.took(before));
        // Since that loss the log has never been shorter than this.
        let shortest = since.map(|loss| loss.kept.seq).min();
        shortest.is_some_and(|seq| seq <= reset.cursor.seq)
            && !descends(known, reset.cursor, before)
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

/// The state at each cursor, whoever saw it.
pub(crate) struct States<'a> {
    story: &'a Story,
    seen: HashMap<Cursor, (Value, String)>,
}

impl<'a> States<'a> {
    pub(crate) fn new(story: &'a Story) -> Self {
        let seen = HashMap::new();
        Self { story, seen }
    }

    /// Notes what somebody saw, and compares it with what others saw at the same cursor.
    pub(crate) fn observe(
        &mut self,
        by: &str,
        cursor: Cursor,
        state: &Value,
    ) -> Result<(), Failure> {
        let (known, first) = self
            .seen
            .entry(cursor)
            .or_insert_with(|| (state.clone(), by.to_owned()));
        if same(known, state) {
            return Ok(());
        }
        let what = format!("{first} has {known} at {cursor}, and {by} has {state}");
        Err(self
            .story
            .failure(what, by, Default::default(), &cursor.to_string()))
    }
}

/// What is known of an LTM whose first entries retention has removed.
pub(crate) struct TrimmedProof<'a> {
    pub(crate) story: &'a Story,
    /// The last entry that is removed.
    pub(crate) base: Cursor,
    pub(crate) head: Cursor,
    /// Whether a failover may take entries that a follower saw.
    pub(crate) may_fork: bool,
}

impl TrimmedProof<'_> {
    /// Proves that the entries are as many as the writes that landed.
    pub(crate) fn writes(&self, writes: &[Write], may_lose: bool) -> Result<(), Failure> {
        let count = |wanted: fn(&Outcome) -> bool| {
            let found = writes.iter().filter(|write| wanted(&write.outcome));
            found.count() as u64
        };
        // The first entry is the creation.
        let least = 1 + count(|outcome| matches!(outcome, Outcome::Acknowledged(_)));
        let most = least + count(|outcome| *outcome == Outcome::Unknown);
        if may_lose || (least..=most).contains(&self.head.seq) {
            return Ok(());
        }
        let what = format!(
            "{least} to {most} writes landed, and the log ends at {}",
            self.head
        );
        Err(self.story.failure(what, "", Default::default(), ""))
    }

    /// Proves that a follower received every entry once and in order, or a reset if retention had removed the entries.
    pub(crate) fn followed(&self, who: &str, seen: &[Seen]) -> Result<(), Failure> {
        let mut before = Cursor::ORIGIN;
        for message in seen {
            let cursor = message.cursor;
            let right = match message.reset.as_deref() {
                None => message.error.is_none() && cursor.seq == before.seq + 1,
                // A client may begin with the state, and begins anew after a loss.
                Some("requested") => before == Cursor::ORIGIN || self.may_fork,
                Some("trimmed") => self.base.seq >= before.seq || self.may_fork,
                Some(_) => self.may_fork,
            };
            if !right {
                let (reset, error) = (&message.reset, &message.error);
                let what = format!("{who} received {cursor} after {before}: {reset:?} {error:?}");
                let during = (message.at, message.at);
                return Err(self.story.failure(what, who, during, &cursor.to_string()));
            }
            before = cursor;
        }
        if before == self.head {
            return Ok(());
        }
        let what = format!(
            "{who} does not arrive at the end, {}, but at {before}",
            self.head
        );
        let until = self.story.now();
        Err(self.story.failure(what, who, (until, until), ""))
    }
}

/// Whether the history that ends at `cursor` includes the entry `ancestor`.
fn descends(known: &HashMap<Cursor, &Logged>, cursor: Cursor, ancestor: Cursor) -> bool {
    let mut at = cursor;
    while at.seq > ancestor.seq {
        match known.get(&at) {
            Some(entry) => at = entry.previous,
            None => return false,
        }
    }
    at == ancestor
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The cursor of the entry at `seq` on a branch of the log.
    fn at(seq: u64, branch: u64) -> Cursor {
        match seq {
            0 => Cursor::ORIGIN,
            _ => Cursor { seq, check: branch },
        }
    }

    fn logged(cursor: Cursor, previous: Cursor) -> Logged {
        Logged {
            cursor,
            previous,
            key: None,
            state: json!(cursor.to_string()),
        }
    }

    /// A log of three entries.
    fn log() -> Vec<Logged> {
        (1..=3)
            .map(|seq| logged(at(seq, 0), at(seq - 1, 0)))
            .collect()
    }

    /// A failover in second 10 that takes the entries after the first one.
    fn loss() -> Loss {
        Loss::of(log(), &log()[..1], Duration::from_secs(10)).unwrap()
    }

    fn patch(second: u64, cursor: Cursor) -> Seen {
        Seen {
            at: Duration::from_secs(second),
            cursor,
            reset: None,
            error: None,
            state: json!(cursor.to_string()),
        }
    }

    fn reset(second: u64, cursor: Cursor) -> Seen {
        Seen {
            reset: Some("forked".into()),
            ..patch(second, cursor)
        }
    }

    /// What is wrong with a follower that saw this, if the final log holds three entries.
    fn wrong(losses: &[Loss], seen: &[Seen]) -> Option<String> {
        wrong_with(&log(), losses, seen)
    }

    fn wrong_with(log: &[Logged], losses: &[Loss], seen: &[Seen]) -> Option<String> {
        let proof = Proof {
            story: &Story::new(),
            log,
            losses,
            may_lose: false,
        };
        proof
            .followed("follower", seen)
            .err()
            .map(|failure| failure.what)
    }

    #[track_caller]
    fn finds(losses: &[Loss], seen: &[Seen], what: &str) {
        let found = wrong(losses, seen).expect("the proof finds nothing");
        assert!(found.contains(what), "{found}");
    }

    fn all() -> Vec<Seen> {
        (1..=3).map(|seq| patch(seq, at(seq, 0))).collect()
    }

    #[test]
    fn every_entry_once_and_in_order_is_right() {
        assert_eq!(wrong(&[], &all()), None);
    }

    #[test]
    fn a_reset_is_right_if_the_log_lost_the_cursor() {
        let lost = logged(at(2, 7), at(1, 0));
        let before = log().into_iter().take(1).chain([lost]).collect();
        let loss = Loss::of(before, &log()[..1], Duration::from_secs(10)).unwrap();
        let mut seen = vec![patch(1, at(1, 0)), patch(2, at(2, 7))];
        seen.push(reset(11, at(3, 0)));
        assert_eq!(wrong(&[loss], &seen), None);
    }

    #[test]
    fn a_reset_is_right_if_the_lost_entry_came_back_later() {
        let mut seen = all();
        seen.push(reset(11, at(1, 0)));
        seen.extend([patch(12, at(2, 0)), patch(12, at(3, 0))]);
        assert_eq!(wrong(&[loss()], &seen), None);
    }

    #[test]
    fn a_client_that_begins_anew_is_right_only_after_a_loss() {
        let mut seen = all();
        seen.push(Seen {
            reset: Some("requested".into()),
            ..reset(11, at(1, 0))
        });
        finds(&[], &seen, "got a reset (requested) for no reason");
        seen.extend([patch(12, at(2, 0)), patch(12, at(3, 0))]);
        assert_eq!(wrong(&[loss()], &seen), None);
    }

    #[test]
    fn a_reset_is_right_if_a_second_loss_shortened_the_log_before_it() {
        let first = Loss::of(log(), &log()[..2], Duration::from_secs(10)).unwrap();
        let rest = log().into_iter().take(2).collect();
        let second = Loss::of(rest, &[], Duration::from_secs(11)).unwrap();
        let last = [logged(at(1, 7), Cursor::ORIGIN)];
        let mut seen = all();
        seen.push(reset(12, at(1, 7)));
        assert_eq!(wrong_with(&last, &[first, second], &seen), None);
    }

    #[test]
    fn a_reset_without_a_loss_is_found() {
        let mut seen = all();
        seen.push(reset(11, at(3, 0)));
        finds(&[], &seen, "got a reset (forked) for no reason");
        let kept = [patch(1, at(1, 0)), reset(11, at(3, 0))];
        finds(&[loss()], &kept, "got a reset (forked) for no reason");
    }

    #[test]
    fn a_reset_before_the_loss_is_found() {
        let mut seen = all();
        seen.push(reset(9, at(1, 0)));
        finds(&[loss()], &seen, "got a reset (forked) for no reason");
    }

    #[test]
    fn a_reset_whose_state_includes_the_cursor_is_found() {
        let mut seen = all();
        seen.truncate(2);
        seen.push(reset(11, at(3, 0)));
        finds(&[loss()], &seen, "got a reset (forked) for no reason");
    }

    #[test]
    fn a_reset_to_a_state_from_before_the_loss_is_found() {
        let loss = Loss::of(log(), &log()[..2], Duration::from_secs(10)).unwrap();
        let mut seen = all();
        seen.push(reset(11, at(1, 0)));
        finds(&[loss], &seen, "got a reset (forked) for no reason");
    }

    #[test]
    fn a_reset_for_another_reason_is_found() {
        let mut seen = all();
        seen.push(Seen {
            reset: Some("trimmed".into()),
            ..reset(11, at(1, 0))
        });
        finds(&[loss()], &seen, "got a reset (trimmed) for no reason");
    }

    #[test]
    fn a_missed_reset_is_found() {
        let lost = logged(at(2, 7), at(1, 0));
        let before = log().into_iter().take(1).chain([lost]).collect();
        let loss = Loss::of(before, &log()[..1], Duration::from_secs(10)).unwrap();
        let seen = [patch(1, at(1, 0)), patch(2, at(2, 7)), patch(11, at(3, 0))];
        finds(&[loss], &seen, "saw 3-0 after 2-7");
    }

    #[test]
    fn a_duplicate_and_a_gap_are_found() {
        let twice = [patch(1, at(1, 0)), patch(2, at(1, 0))];
        finds(&[], &twice, "saw 1-0 after 1-0");
        let gap = [patch(1, at(1, 0)), patch(2, at(3, 0))];
        finds(&[], &gap, "saw 3-0 after 1-0");
    }

    #[test]
    fn an_entry_that_was_never_in_the_log_is_found() {
        let seen = [patch(1, at(1, 0)), patch(2, at(2, 7))];
        finds(&[], &seen, "saw 2-7, which was never in the log");
    }

    #[test]
    fn a_wrong_state_is_found() {
        let mut seen = all();
        seen[1].state = json!("another");
        finds(&[], &seen, "holds \"another\" at 2-0");
    }

    #[test]
    fn a_batch_that_landed_in_part_or_in_two_pieces_is_found() {
        let writes: Vec<Write> = ["p/1", "p/1+1", "p/1+2"]
            .into_iter()
            .enumerate()
            .map(|(part, key)| Write {
                key: key.into(),
                part,
                during: Default::default(),
                outcome: Outcome::Unknown,
            })
            .collect();
        for (keys, is_right) in [
            (&["p/0", "p/2"][..], true),
            (&["p/0", "p/1", "p/1+1", "p/1+2"], true),
            (&["p/0", "p/1", "p/1+1"], false),
            (&["p/0", "p/1+1", "p/1+2"], false),
            (&["p/0", "p/1", "p/2", "p/1+1", "p/1+2"], false),
        ] {
            let log: Vec<Logged> = keys
                .iter()
                .zip(1..)
                .map(|(key, seq)| Logged {
                    key: Some((*key).into()),
                    ..logged(at(seq, 0), at(seq - 1, 0))
                })
                .collect();
            let proof = Proof {
                story: &Story::new(),
                log: &log,
                losses: &[],
                may_lose: true,
            };
            assert_eq!(proof.writes(&writes).is_ok(), is_right, "{keys:?}");
        }
    }

    #[test]
    fn a_follower_that_never_arrives_is_found() {
        finds(&[], &all()[..2], "does not arrive at the end");
    }
}
