//! Random histories compared with a simple model in memory: appends, rollbacks, replays, undos, errors, copies, trims and
//! restarts.

use std::collections::HashMap;

use ltm_tests::{Api, Follower, RedisServer, Service, fold, same, until};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

/// How many histories are tried, unless `PROPTEST_CASES` is set.
const CASES: u32 = 20;

/// How long a smaller history that fails, too, is looked for: one that waits in vain does so each time.
const SHRINK_LIMIT_MS: u32 = 60_000;

/// What is done; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Act {
    Append(Value),
    Batch(Vec<Value>),
    Rollback(u64),
    Replay(u64),
    Undo(u64),
    Error(u8),
    /// Goes on with a copy.
    Copy,
    /// Kills the API and starts another.
    Restart,
    /// A subscriber joins that has everything up to this entry.
    Join(u64),
    /// What is not there is refused.
    Beyond(u64),
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (0u8..5).prop_map(Value::from),
        "[a-c~/é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c~/]{0,2}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn states() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-d]", values(), 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        12 => states().prop_map(Act::Append),
        4 => prop::collection::vec(states(), 1..6).prop_map(Act::Batch),
        3 => any::<u64>().prop_map(Act::Rollback),
        1 => any::<u64>().prop_map(Act::Replay),
        3 => any::<u64>().prop_map(Act::Undo),
        2 => (0u8..3).prop_map(Act::Error),
        1 => Just(Act::Copy),
        1 => Just(Act::Restart),
        2 => any::<u64>().prop_map(Act::Join),
        1 => (0u64..3).prop_map(Act::Beyond),
    ];
    prop::collection::vec(act, 1..40)
}

/// A snapshot: which one it is, and the state after it.
#[derive(Clone, Debug)]
struct Step {
    number: Value,
    state: Value,
}

/// What an LTM must look like.
#[derive(Clone, Default)]
struct Model {
    current: Vec<Step>,
    rollbacks: Vec<(&'static str, Vec<Step>)>,
    /// Each error, what it says, and the place of its latest entry.
    errors: Vec<(String, u64, usize)>,
}

impl Model {
    fn state(&self) -> Value {
        self.current
            .last()
            .map_or_else(|| json!({}), |step| step.state.clone())
    }

    fn go_back(&mut self, reason: &'static str, to: Vec<Step>) {
        let before = std::mem::replace(&mut self.current, to);
        self.rollbacks.push((reason, before));
    }
}

/// The services; they outlive the histories.
struct World {
    redis: RedisServer,
    gateway: Service,
    api_service: Service,
    api: Api,
}

const SETTINGS: &[(&str, &str)] = &[("LTM__API__CHECKPOINT_EVERY", "4")];

impl World {
    fn start() -> Self {
        let redis = RedisServer::start(&[]);
        let gateway = Service::gateway(&redis.url(), SETTINGS);
        let api_service = Service::api(&redis.url(), SETTINGS);
        let api = Api::at(&api_service);
        Self {
            redis,
            gateway,
            api_service,
            api,
        }
    }

    fn restart_api(&mut self) {
        self.api_service.kill();
        self.api_service = Service::api(&self.redis.url(), SETTINGS);
        self.api = Api::at(&self.api_service);
    }
}

/// One history on the services, beside its model.
struct History<'a> {
    world: &'a mut World,
    id: u64,
    model: Model,
    /// The state after each entry of the log.
    states: HashMap<String, Value>,
    /// The cursors of the log, in order.
    log: Vec<String>,
    followers: Vec<Follower>,
    number: u64,
    /// Whether retention is set.
    trims: bool,
}

impl<'a> History<'a> {
    async fn begin(world: &'a mut World, max_entries: Option<u64>) -> Self {
        let body = json!({"fqn": "tests.Model", "state": {"a": 0}, "payload": {"number": 0},
            "retention": {"max_entries": max_entries}});
        let created = world.api.post("/ltm", &body).await.expect(200);
        let mut history = Self {
            id: created["id"].as_u64().unwrap(),
            world,
            model: Model::default(),
            states: HashMap::new(),
            log: Vec::new(),
            followers: vec![Follower::default()],
            number: 0,
            trims: max_entries.is_some(),
        };
        let number = json!({"payload": {"number": 0}, "params": null, "playground": false});
        let state = json!({"a": 0});
        history.model.current.push(Step { number, state });
        history.note(&created);
        history
    }

    /// Notes the entry that an answer is about.
    fn note(&mut self, answer: &Value) {
        let cursor = answer["cursor"].as_str().unwrap().to_owned();
        self.states.insert(cursor.clone(), self.model.state());
        self.log.push(cursor);
    }

    async fn post(&self, path: &str, body: &Value) -> ltm_tests::Answer {
        let path = format!("/ltm/{}/{path}", self.id);
        self.world.api.post(&path, body).await
    }

    async fn get(&self, path: &str) -> ltm_tests::Answer {
        let path = format!("/ltm/{}{path}", self.id);
        self.world.api.get(&path).await
    }

    async fn go(&mut self, act: &Act) {
        let count = self.model.current.len() as u64;
        match act {
            Act::Append(state) => self.append(state).await,
            Act::Batch(states) => self.batch(states).await,
            Act::Rollback(n) if count > 0 => {
                let index = n % count;
                let body = json!({"snapshot": {"index": index}});
                self.go_back(&body, index, index + 1, "manual").await;
            }
            Act::Replay(n) if count > 0 => {
                let index = n % count;
                let body = json!({"snapshot": {"index": index, "replay": true}});
                self.go_back(&body, index, index, "replay").await;
            }
            Act::Undo(n) if !self.model.rollbacks.is_empty() => self.undo(*n).await,
            Act::Error(which) => self.error(*which).await,
            Act::Copy => self.copy().await,
            Act::Restart => self.world.restart_api(),
            Act::Join(n) => {
                let at = usize::try_from(n % self.log.len() as u64).unwrap();
                let cursor = &self.log[at];
                self.followers.push(Follower {
                    cursor: cursor.parse().unwrap(),
                    state: self.states[cursor].clone(),
                    ..Follower::default()
                });
            }
            Act::Beyond(n) => {
                let body = json!({"snapshot": {"index": count + n}});
                self.post("rollback", &body)
                    .await
                    .problem(422, "invalid-request");
                let body = json!({"rollback": {"index": self.model.rollbacks.len() as u64 + n}});
                self.post("rollback", &body)
                    .await
                    .problem(422, "invalid-request");
                let path = format!("/state?index={}", count + n);
                self.get(&path).await.problem(422, "invalid-request");
            }
            _ => {}
        }
    }

    async fn append(&mut self, state: &Value) {
        self.number += 1;
        let number = json!(self.number);
        let body = json!({"reason": "execute", "item": number, "state": state});
        let appended = self.post("snapshots", &body).await.expect(201);
        assert_eq!(appended["index"], self.model.current.len());
        let state = state.clone();
        self.model.current.push(Step { number, state });
        self.note(&appended);
    }

    async fn batch(&mut self, states: &[Value]) {
        let mut snapshots = Vec::new();
        for state in states {
            self.number += 1;
            let (number, state) = (json!(self.number), state.clone());
            snapshots.push(json!({"reason": "execute", "item": number, "state": state}));
            self.model.current.push(Step { number, state });
        }
        let body = json!({ "snapshots": snapshots });
        let appended = self.post("snapshots", &body).await.expect(201);
        assert_eq!(appended["index"], self.model.current.len() - 1);
        for (cursor, state) in appended["cursors"].as_array().unwrap().iter().zip(states) {
            let cursor = cursor.as_str().unwrap().to_owned();
            self.states.insert(cursor.clone(), state.clone());
            self.log.push(cursor);
        }
    }

    async fn go_back(&mut self, body: &Value, index: u64, keep: u64, reason: &'static str) {
        let answer = self.post("rollback", body).await;
        if answer.status == 422 && self.first_index().await > keep.saturating_sub(1) {
            return; // It was trimmed.
        }
        let answer = answer.expect(200);
        let kept = i64::try_from(keep).unwrap() - 1;
        assert_eq!(answer["snapshot_index"], kept, "to {index}");
        let to = self.model.current[..usize::try_from(keep).unwrap()].to_vec();
        self.model.go_back(reason, to);
        assert_eq!(answer["snapshots_count"], self.model.current.len());
        self.note(&answer);
    }

    async fn undo(&mut self, n: u64) {
        let index = n % self.model.rollbacks.len() as u64;
        let body = json!({"rollback": {"index": index}});
        let answer = self.post("rollback", &body).await;
        if answer.status == 422 {
            let document = self.document().await;
            assert!(document["first_rollback"].as_u64().unwrap() > index);
            return; // It was trimmed.
        }
        let answer = answer.expect(200);
        assert_eq!(answer["snapshot_index"], Value::Null);
        let (_, to) = self.model.rollbacks[usize::try_from(index).unwrap()].clone();
        self.model.go_back("recover rollback", to);
        self.note(&answer);
    }

    async fn error(&mut self, which: u8) {
        let id = format!("00000000-0000-4000-8000-00000000000{which}");
        self.number += 1;
        let body = json!({"id": id, "item": {"n": self.number}, "retrying": true});
        let answer = self.post("errors", &body).await.expect(200);
        self.model.errors.retain(|(known, ..)| *known != id);
        self.model.errors.push((id, self.number, self.log.len()));
        self.note(&answer);
    }

    /// What was followed so far is checked; then everything goes on with the copy.
    async fn copy(&mut self) {
        self.check().await;
        let copied = self.post("copy", &json!({})).await.expect(200);
        self.id = copied["copy_id"].as_u64().unwrap();
        self.model.errors.clear();
        let document = self.document().await;
        self.states.clear();
        self.log.clear();
        self.note(&document);
        self.followers = vec![Follower::of(&document)];
    }

    /// The document with its rollbacks. If the log is trimmed while a body is sent, the body breaks off.
    async fn document(&self) -> Value {
        let path = format!("/ltm/{}?rollbacks=true", self.id);
        let text = until("the API answers with a whole document", async || {
            let request = self.world.api.request(reqwest::Method::GET, &path);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200);
            response.text().await
        });
        serde_json::from_str(&text.await).unwrap()
    }

    async fn first_index(&self) -> u64 {
        let page = self.get("/snapshots?limit=1").await.expect(200);
        page["first_index"].as_u64().unwrap()
    }

    /// Everything that can be seen is what the model says.
    async fn check(&mut self) {
        let history = &*self;
        until(
            "the log is read without being trimmed meanwhile",
            async || history.check_document_and_states().await,
        )
        .await;
        self.check_followers().await;
    }

    /// The document, and the state at each of its snapshots; none if the log is trimmed meanwhile.
    async fn check_document_and_states(&self) -> Option<()> {
        let document = self.document().await;
        self.check_document(&document);
        for index in first_index(&document)..self.model.current.len() {
            let state = self.state(&format!("/state?index={index}")).await?;
            assert_eq!(state, self.model.current[index].state, "index {index}");
        }
        let first_rollback = document["first_rollback"].as_u64().unwrap();
        let listed = document["rollbacks"].as_array().unwrap();
        for (nth, rollback) in listed.iter().enumerate() {
            let number = usize::try_from(first_rollback).unwrap() + nth;
            let (_, steps) = &self.model.rollbacks[number];
            for (index, step) in steps.iter().enumerate().skip(first_index(rollback)) {
                let path = format!("/state?index={index}&rollback={number}");
                assert_eq!(self.state(&path).await?, step.state, "{path}");
            }
        }
        Some(())
    }

    /// A state in the history, unless it was trimmed.
    async fn state(&self, path: &str) -> Option<Value> {
        let answer = self.get(path).await;
        (answer.status != 422).then(|| answer.expect(200)["state"].clone())
    }

    fn check_document(&self, document: &Value) {
        assert_eq!(document["state"], self.model.state());
        assert_eq!(
            document["cursor"].as_str(),
            self.log.last().map(String::as_str)
        );
        assert_eq!(document["snapshots_count"], self.model.current.len());
        check_steps(document, &self.model.current);
        let first = usize::try_from(document["first_rollback"].as_u64().unwrap()).unwrap();
        let listed = document["rollbacks"].as_array().unwrap();
        assert_eq!(first + listed.len(), self.model.rollbacks.len());
        for (rollback, (reason, steps)) in listed.iter().zip(&self.model.rollbacks[first..]) {
            assert_eq!(rollback["reason"], *reason);
            let state = steps.last().map_or(json!({}), |step| step.state.clone());
            assert_eq!(rollback["state"], state);
            check_steps(rollback, steps);
        }
        self.check_errors(document["errors"].as_array().unwrap());
    }

    /// Each error as it was recorded last; only the oldest are no longer kept.
    fn check_errors(&self, listed: &[Value]) {
        let said = |id: &str| listed.iter().find(|error| error["id"] == id);
        let (kept, gone): (Vec<_>, Vec<_>) = self
            .model
            .errors
            .iter()
            .partition(|(id, ..)| said(id).is_some());
        assert_eq!(kept.len(), listed.len());
        for (id, number, _) in &kept {
            assert_eq!(said(id).unwrap()["item"]["n"], *number);
        }
        let oldest_kept = kept.iter().map(|(.., place)| place).min();
        for (.., place) in gone {
            assert!(self.trims && oldest_kept.is_none_or(|oldest| place < oldest));
        }
    }

    async fn check_followers(&mut self) {
        let head: ltm_types::Cursor = self.log.last().unwrap().parse().unwrap();
        let url = self.world.gateway.ws(&format!("/ws/{}", self.id));
        for follower in &mut self.followers {
            let states = &self.states;
            let at_head = |follower: &Follower| {
                if let Some(state) = states.get(&follower.cursor.to_string()) {
                    assert_eq!(&follower.state, state, "at {}", follower.cursor);
                }
                follower.cursor == head
            };
            follower
                .follow_until(std::slice::from_ref(&url), at_head)
                .await;
            assert!(follower.resets.iter().all(|reason| reason == "trimmed"));
        }
    }
}

fn first_index(document: &Value) -> usize {
    usize::try_from(document["first_index"].as_u64().unwrap()).unwrap()
}

/// The snapshots are those of the model, as far as they are kept, and recreate the state from `{}`.
fn check_steps(document: &Value, steps: &[Step]) {
    let snapshots = document["snapshots"].as_array().unwrap();
    let first = first_index(document);
    assert_eq!(first + snapshots.len(), steps.len(), "{document}");
    for (nth, (snapshot, step)) in snapshots.iter().zip(&steps[first..]).enumerate() {
        if nth == 0 && snapshot["reason"] == "trimmed" {
            assert!(
                snapshot["patch"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|operation| { operation["op"] == "add" && operation["path"] != "" })
            );
        } else {
            assert_eq!(snapshot["item"], step.number);
        }
        let folded = fold(&snapshots[..=nth]);
        assert!(same(&folded, &step.state), "{folded} is not {}", step.state);
    }
}

#[test]
fn whatever_is_done_history_and_subscribers_agree_with_the_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = tokio::sync::Mutex::new(World::start());
    let mut runner = TestRunner::new(Config {
        cases: std::env::var("PROPTEST_CASES").map_or(CASES, |cases| cases.parse().unwrap()),
        max_shrink_iters: 200,
        max_shrink_time: SHRINK_LIMIT_MS,
        ..Config::default()
    });
    let retention = prop::option::of(1u64..12);
    let outcome = runner.run(&(acts(), retention), |(acts, max_entries)| {
        let case = async {
            let mut world = world.lock().await;
            let mut history = History::begin(&mut world, max_entries).await;
            for act in &acts {
                history.go(act).await;
            }
            history.check().await;
        };
        // A panic of one case must not poison the world for the next.
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(case)));
        ran.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            TestCaseError::fail(text.unwrap_or_else(|| "a panic".into()))
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
