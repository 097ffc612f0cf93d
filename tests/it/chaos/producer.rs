//! Producers, and the record of the answers that they get.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ltm_tests::{Api, LIMIT};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    PATIENCE,
    story::{Failure, Story},
};

/// What a producer knows about a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The API acknowledged it at this cursor.
    Acknowledged(String),
    /// The API refused it, so it must not be in the log.
    Refused,
    /// The answer was lost, or the API was unavailable, and the producer did not retry.
    Unknown,
}

/// A write, or one snapshot of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) key: String,
    /// Its place in the batch.
    pub(crate) part: usize,
    /// When the producer sent it first, and when its outcome was known.
    pub(crate) during: (Duration, Duration),
    pub(crate) outcome: Outcome,
}

/// How a producer writes. The number of the write decides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Sends a patch, and retries with the same Idempotency-Key until the API answers.
    Insists,
    /// The same, with a merge patch.
    Merges,
    /// The same, with several snapshots in one request.
    Batches,
    /// The same, with the whole state, if it is still as the producer read it.
    Replaces,
    /// The same, with a report of an error.
    Reports,
    /// The same, with a rollback to the first snapshot.
    RollsBack,
    /// The same, with a rollback that the first snapshot is about to follow again.
    Replays,
    /// The same, with a rollback that undoes the first one.
    Undoes,
    /// Sends the write once.
    GivesUp,
    /// The same, with several snapshots in one request.
    BatchesAndGivesUp,
    /// Sends a patch that does not apply.
    CannotApply,
    /// Sends an `If-Match` with a cursor of another log.
    Mismatch,
}

impl Kind {
    fn of(number: usize) -> Self {
        match number % 40 {
            39 => Self::RollsBack,
            19 => Self::Replays,
            21 | 34 => Self::Undoes,
            5 | 25 => Self::Reports,
            3 | 13 | 33 => Self::Merges,
            1 | 14 | 28 => Self::Batches,
            9 | 27 => Self::Replaces,
            7 | 23 | 31 => Self::GivesUp,
            15 => Self::BatchesAndGivesUp,
            11 | 29 => Self::CannotApply,
            17 => Self::Mismatch,
            _ => Self::Insists,
        }
    }

    /// The snapshots of one request.
    fn parts(self) -> usize {
        match self {
            Self::Batches | Self::BatchesAndGivesUp => 3,
            _ => 1,
        }
    }

    /// Whether the API may refuse it, because the state or the history is another one by then.
    fn may_come_too_late(self) -> bool {
        matches!(
            self,
            Self::Replaces | Self::RollsBack | Self::Replays | Self::Undoes
        )
    }
}

/// The key in the item of a snapshot of a batch.
fn key_of(key: &str, part: usize) -> String {
    match part {
        0 => key.to_owned(),
        part => format!("{key}+{part}"),
    }
}

/// The pause between two writes. Without it the producers of all runs together would keep every core busy, and Redis
/// and the services would be late for reasons that are no fault.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes to one LTM. After each failure it retries at the next API.
pub(crate) struct Producer {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) urls: Vec<String>,
    pub(crate) story: Story,
    /// How to create the LTM again, if a fault may remove it.
    pub(crate) recreates: Option<Value>,
}

impl Producer {
    /// Writes until `stop` is set.
    pub(crate) async fn run(self, stop: Arc<AtomicBool>) -> Result<Vec<Write>, Failure> {
        let apis: Vec<Api> = self
            .urls
            .iter()
            .map(|url| Api::impatient(url, PATIENCE))
            .collect();
        let mut writes = Vec::new();
        for number in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let key = format!("{}/{number}", self.name);
            let began = self.story.now();
            let outcomes = self.write(&key, number, &apis).await?;
            let during = (began, self.story.now());
            self.story
                .tell(&self.name, format_args!("{key}: {outcomes:?}"));
            let parts = outcomes.into_iter().enumerate();
            writes.extend(parts.map(|(part, outcome)| Write {
                key: key_of(&key, part),
                part,
                during,
                outcome,
            }));
            sleep(PAUSE).await;
        }
        Ok(writes)
    }

    /// Writes; returns the outcome of each snapshot.
    async fn write(&self, key: &str, number: usize, apis: &[Api]) -> Result<Vec<Outcome>, Failure> {
        let kind = Kind::of(number);
        let hopeless = matches!(kind, Kind::CannotApply | Kind::Mismatch);
        let began = (self.story.now(), Instant::now());
        // A retry sends the same request: a key belongs to one content.
        let mut base = None;
        for attempt in 0.. {
            if began.1.elapsed() > LIMIT {
                return Err(self.failure(began.0, format!("{key} never gets an answer")));
            }
            let api = &apis[attempt % apis.len()];
            match self.send(key, number, kind, &mut base, api).await {
                Some((200 | 201, answer)) if !hopeless => {
                    let one = std::slice::from_ref(&answer["cursor"]);
                    let all = answer["cursors"].as_array().map_or(one, Vec::as_slice);
                    let cursors = all.iter().map(|it| it.as_str().unwrap().to_owned());
                    return Ok(cursors.map(Outcome::Acknowledged).collect());
                }
                Some((412 | 422, _)) if hopeless => return Ok(vec![Outcome::Refused]),
                Some((409 | 412 | 422, _)) if kind.may_come_too_late() => {
                    return Ok(vec![Outcome::Refused]);
                }
                Some((404, _)) if self.recreates.is_some() => self.recreate(api).await,
                Some((503, _)) | None => {}
                Some((status, answer)) => {
                    let what = format!("{key} got the answer {status}: {answer}");
                    return Err(self.failure(began.0, what));
                }
            }
            if matches!(kind, Kind::GivesUp | Kind::BatchesAndGivesUp) {
                return Ok(vec![Outcome::Unknown; kind.parts()]);
            }
            sleep(Duration::from_millis(20)).await;
        }
        unreachable!("the attempts never end")
    }

    /// Sends a write once; `None` if there is no complete answer.
    async fn send(
        &self,
        key: &str,
        number: usize,
        kind: Kind,
        base: &mut Option<Value>,
        api: &Api,
    ) -> Option<(u16, Value)> {
        let member = (number % 5).to_string();
        // Some are so long that a follower that reads slowly falls behind.
        let text = format!("{key} {}", "x".repeat(number % 7 * 300));
        let change = json!({"op": "add", "path": format!("/{member}"), "value": text});
        let step = |how: &str, change: Value| json!({"reason": "execute", "item": {"key": key}, how: change});
        let mut expected = (kind == Kind::Mismatch).then(|| "\"1-1\"".to_owned());
        let (path, body) = match kind {
            Kind::RollsBack => ("rollback", json!({"snapshot": {"index": 0}})),
            Kind::Replays => (
                "rollback",
                json!({"snapshot": {"index": 0, "replay": true}}),
            ),
            Kind::Undoes => ("rollback", json!({"rollback": {"index": 0}})),
            Kind::Reports => {
                let id = format!("00000000-0000-4000-8000-{number:012}");
                (
                    "errors",
                    json!({"id": id, "reason": "execute", "item": {"key": key}}),
                )
            }
            Kind::Merges => ("snapshots", step("merge", json!({member: {key: text}}))),
            Kind::Replaces => {
                if base.is_none() {
                    let state = format!("/ltm/{}/state", self.id);
                    let read = api.request(Method::GET, &state).send().await.ok()?;
                    let read: Value = read.json().await.ok()?;
                    // Without a state, the answer is a problem, and the next attempt may get one.
                    read.get("state")?;
                    *base = Some(read);
                }
                let read = base.as_ref()?;
                let mut state = read["state"].clone();
                state[member] = text.into();
                expected = Some(format!("\"{}\"", read["cursor"].as_str()?));
                ("snapshots", step("state", state))
            }
            Kind::CannotApply => {
                let wrong = json!({"op": "test", "path": "", "value": "never"});
                ("snapshots", step("patch", json!([wrong, change])))
            }
            Kind::Batches | Kind::BatchesAndGivesUp => {
                let snapshot = |part| {
                    let mut snapshot = step("patch", json!([change]));
                    snapshot["item"]["key"] = key_of(key, part).into();
                    snapshot
                };
                let snapshots: Vec<Value> = (0..kind.parts()).map(snapshot).collect();
                ("snapshots", json!({ "snapshots": snapshots }))
            }
            Kind::Insists | Kind::GivesUp | Kind::Mismatch => {
                ("snapshots", step("patch", json!([change])))
            }
        };
        let mut request = api
            .request(Method::POST, &format!("/ltm/{}/{path}", self.id))
            .header("Idempotency-Key", key)
            .json(&body);
        if let Some(cursor) = expected {
            request = request.header("If-Match", cursor);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }

    /// Creates the LTM again, unless another producer was faster.
    async fn recreate(&self, api: &Api) {
        let mut body = self.recreates.clone().unwrap_or_default();
        body["id"] = self.id.into();
        let request = api.request(Method::POST, "/ltm").json(&body);
        if let Ok(response) = request.send().await
            && response.status() == StatusCode::OK
        {
            self.story.tell(&self.name, "created the LTM again");
        }
    }

    fn failure(&self, since: Duration, what: String) -> Failure {
        let during = (since, self.story.now());
        self.story.failure(what, &self.name, during, "")
    }
}
