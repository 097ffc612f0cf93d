//! Any sequence of batches gives the same document, log and messages as the same snapshots one by one.

use ltm_tests::{Api, RedisServer, Service, Subscriber};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use super::batch;

/// How many sequences are tried, unless `PROPTEST_CASES` is set.
const CASES: u32 = 20;

/// A request of the sequence.
#[derive(Clone, Debug)]
enum Act {
    Batch(Vec<Value>),
    /// Goes back to a snapshot, counted modulo the snapshots that there are.
    Rollback(u64),
    Error(u8),
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0u8..4).prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
        prop::collection::vec(0u8..4, 0..5).prop_map(Value::from),
        prop::collection::btree_map("[a-c]", 0u8..3, 0..3).prop_map(|it| json!(it)),
    ]
}

/// A change: some of them do not apply.
fn changes() -> impl Strategy<Value = Value> {
    let states = || prop::collection::btree_map("[a-c]", values(), 0..4);
    let paths = || "/[a-c](/([0-3a-c]|-))?";
    let operation = prop_oneof![
        4 => ("/[a-c]", values()).prop_map(|(path, value)| json!({"op": "add", "path": path, "value": value})),
        1 => paths().prop_map(|path| json!({"op": "remove", "path": path})),
        1 => (paths(), paths()).prop_map(|(from, path)| json!({"op": "copy", "from": from, "path": path})),
    ];
    prop_oneof![
        2 => states().prop_map(|state| json!({"reason": "execute", "state": state})),
        2 => states().prop_map(|merge| json!({"reason": "execute", "merge": merge})),
        3 => prop::collection::vec(operation, 0..3).prop_map(|patch| json!({"reason": "execute", "patch": patch})),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => prop::collection::vec(changes(), 1..8).prop_map(Act::Batch),
        1 => any::<u64>().prop_map(Act::Rollback),
        1 => (0u8..3).prop_map(Act::Error),
    ];
    prop::collection::vec(act, 1..12)
}

/// Services with a Redis of their own. Both sides make the same LTMs, with the same ids.
struct Side {
    api: Api,
    gateway: Service,
    _api_service: Service,
    _redis: RedisServer,
}

impl Side {
    fn start() -> Self {
        let settings = [("LTM__API__CHECKPOINT_EVERY", "4")];
        let redis = RedisServer::start(&[]);
        let api_service = Service::api(&redis.url(), &settings);
        Self {
            api: Api::at(&api_service),
            gateway: Service::gateway(&redis.url(), &settings),
            _api_service: api_service,
            _redis: redis,
        }
    }

    async fn post(&self, id: u64, path: &str, body: &Value) -> ltm_tests::Answer {
        self.api.post(&format!("/ltm/{id}/{path}"), body).await
    }

    async fn append(&self, id: u64, body: &Value) -> ltm_tests::Answer {
        self.post(id, "snapshots", body).await
    }

    /// The messages of the whole log, and the document; without the time of the last write.
    async fn seen(&self, id: u64) -> (Vec<Value>, Value) {
        let mut document = self
            .api
            .get(&format!("/ltm/{id}?rollbacks=true"))
            .await
            .expect(200);
        document["updated_at"].take();
        let url = self.gateway.ws(&format!("/ws/{id}?after=0"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        let mut messages = Vec::new();
        while messages
            .last()
            .map_or(&Value::Null, |it: &Value| &it["cursor"])
            != &document["cursor"]
        {
            messages.push(subscriber.message().await);
        }
        (messages, document)
    }
}

/// The time of the nth write, so that both sides write the same.
fn time(nth: u64) -> String {
    format!("2026-01-01T00:00:00.{nth:06}Z")
}

/// Sends the snapshots in batches to one side and one by one to the other. What does not apply, both refuse.
async fn append(batched: &Side, single: &Side, id: u64, mut snapshots: Vec<Value>) {
    let whole = batched.append(id, &batch(&snapshots)).await;
    let wrong = (whole.status != 201).then(|| whole.problem(422, "patch-failed"));
    if let Some(problem) = &wrong {
        let field = problem["field"].as_str().unwrap();
        let (index, rest) = field["snapshots[".len()..].split_once("].").unwrap();
        let rest_of = snapshots.split_off(index.parse().unwrap());
        if !snapshots.is_empty() {
            batched.append(id, &batch(&snapshots)).await.expect(201);
        }
        for snapshot in &snapshots {
            single.append(id, snapshot).await.expect(201);
        }
        let refused = single
            .append(id, &rest_of[0])
            .await
            .problem(422, "patch-failed");
        assert_eq!(refused["field"], rest);
        assert_eq!(refused["operation"], problem["operation"]);
        let detail = format!(
            "`snapshots[{index}]`: {}",
            refused["detail"].as_str().unwrap()
        );
        assert_eq!(problem["detail"], detail);
        return;
    }
    let answer = whole_answer(batched, id).await;
    for snapshot in &snapshots {
        single.append(id, snapshot).await.expect(201);
    }
    assert_eq!(answer, whole_answer(single, id).await);
}

/// What a fresh look says: the cursor and the state.
async fn whole_answer(side: &Side, id: u64) -> Value {
    side.api.get(&format!("/ltm/{id}/state")).await.expect(200)
}

async fn compare(sides: &[Side; 2], acts: Vec<Act>) {
    let [batched, single] = sides;
    let created = json!({"fqn": "tests.Batches", "state": {"a": []}, "time": time(0)});
    let (mut id, mut nth) = (0, 0);
    for side in sides {
        let answer = side.api.post("/ltm", &created).await.expect(200);
        id = answer["id"].as_u64().unwrap();
    }
    for act in acts {
        match act {
            Act::Batch(mut snapshots) => {
                for snapshot in &mut snapshots {
                    nth += 1;
                    snapshot["time"] = time(nth).into();
                }
                append(batched, single, id, snapshots).await;
            }
            Act::Rollback(to) => {
                nth += 1;
                let count = single.api.document(id).await["snapshots_count"]
                    .as_u64()
                    .unwrap();
                let body = json!({"snapshot": {"index": to % count}, "time": time(nth)});
                for side in sides {
                    side.post(id, "rollback", &body).await.expect(200);
                }
            }
            Act::Error(which) => {
                nth += 1;
                let error = format!("00000000-0000-4000-8000-00000000000{which}");
                let body = json!({"id": error, "retrying": true, "time": time(nth)});
                for side in sides {
                    side.post(id, "errors", &body).await.expect(200);
                }
            }
        }
    }
    let (batched_seen, single_seen) = (batched.seen(id).await, single.seen(id).await);
    assert_eq!(batched_seen.0, single_seen.0, "the messages");
    assert_eq!(batched_seen.1, single_seen.1, "the document");
    let count = single_seen.1["snapshots_count"].as_u64().unwrap();
    for index in 0..count {
        let path = format!("/ltm/{id}/state?index={index}");
        let states = [batched, single].map(|side| side.api.get(&path));
        let [one, other] = futures_util::future::join_all(states)
            .await
            .try_into()
            .unwrap();
        let (one, other): (ltm_tests::Answer, ltm_tests::Answer) = (one, other);
        assert_eq!(one.expect(200), other.expect(200), "{path}");
    }
}

#[test]
fn any_batches_equal_the_same_snapshots_one_by_one() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let sides = [Side::start(), Side::start()];
    let mut runner = TestRunner::new(Config {
        cases: std::env::var("PROPTEST_CASES").map_or(CASES, |cases| cases.parse().unwrap()),
        max_shrink_iters: 200,
        max_shrink_time: 60_000,
        ..Config::default()
    });
    let outcome = runner.run(&acts(), |acts| {
        let case = || runtime.block_on(compare(&sides, acts.clone()));
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case));
        ran.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            TestCaseError::fail(text.unwrap_or_else(|| "a panic".into()))
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
