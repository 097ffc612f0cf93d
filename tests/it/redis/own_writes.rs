//! A write whose answer is lost: the API recognises its own entry, and takes no other for it.

use std::io::{Read, Write};

use futures_util::future::join_all;
use ltm_tests::{Api, Cluster, Network, RedisServer, Service, Stack, until};
use reqwest::Method;
use serde_json::{Value, json};

/// A log is trimmed as soon as it holds too much.
const SETTINGS: &[(&str, &str)] = &[("LTM__API__CHECKPOINT_EVERY", "1")];

/// An API that reaches Redis through a network that can fail, and one that reaches it directly.
struct World {
    /// Dropped after the services.
    near: Api,
    far: Api,
    _services: [Service; 2],
    network: Network,
    redis: RedisServer,
}

impl World {
    async fn start() -> Self {
        let redis = RedisServer::start(&[]);
        let network = Network::to(&redis.address()).await;
        let services = [
            Service::api(&redis.url(), SETTINGS),
            Service::api(&format!("redis://{}/0", network.address()), SETTINGS),
        ];
        Self {
            near: Api::at(&services[0]),
            far: Api::at(&services[1]),
            _services: services,
            network,
            redis,
        }
    }

    fn exists(&self, key: &str) -> bool {
        self.redis.cli(&["EXISTS", key]) == "1"
    }
}

fn element(value: &str) -> Value {
    json!({"reason": "execute", "patch": [{"op": "add", "path": "/list/-", "value": value}]})
}

/// How often the state of an LTM has an element.
async fn count(api: &Api, id: u64, value: &str) -> usize {
    let state = api.get(&format!("/ltm/{id}/state")).await.expect(200);
    let list = state["state"]["list"].as_array().unwrap().clone();
    list.iter().filter(|element| *element == value).count()
}

/// As many elements in one request.
fn batch(value: &str, count: usize) -> Value {
    json!({"snapshots": vec![element(value); count]})
}

/// `others` writes hide a write whose answer is lost, and retention removes it.
async fn a_hidden_write(others: usize) -> u16 {
    hidden(&element("once"), 1, &vec![element("other"); others], others).await
}

/// `others` hide a write of `writes` elements whose answer is lost, and retention removes it.
async fn hidden(write: &Value, writes: usize, others: &[Value], elements: usize) -> u16 {
    let world = World::start().await;
    let body = json!({"fqn": "tests.Ltm", "state": {"list": []}, "retention": {"max_entries": 1}});
    let created = world.near.post("/ltm", &body).await.expect(200);
    let id = created["id"].as_u64().unwrap();
    let path = format!("/ltm/{id}/snapshots");
    world.far.post(&path, &element("first")).await.expect(201);

    world.network.hold_answers();
    let far = world.far.clone();
    let sent = tokio::spawn({
        let (path, write) = (path.clone(), write.clone());
        async move { far.post(&path, &write).await }
    });
    let log = format!("ltm:{{{id}}}:log");
    until("the write is in the log", async || {
        let found = world.redis.cli(&["XRANGE", &log, "3", "3"]);
        found.contains("once")
    })
    .await;
    for other in others {
        world.near.post(&path, other).await.expect(201);
    }
    let last = (2 + writes).to_string();
    until("retention has removed the write", async || {
        world.redis.cli(&["XRANGE", &log, &last, &last]).is_empty()
    })
    .await;
    world.network.cut();
    world.network.release();
    let status = sent.await.unwrap().status.as_u16();
    assert_eq!(count(&world.near, id, "once").await, writes, "{status}");
    assert_eq!(count(&world.near, id, "other").await, elements);
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_answer_is_lost_lands_once_although_batches_hide_it_and_retention_removes_it()
{
    let (once, other) = (batch("once", 3), batch("other", 25));
    assert_eq!(hidden(&once, 3, &[other.clone(), other], 50).await, 201);
}

/// A batch takes the place of the word of the one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_word_is_gone_is_of_unknown_outcome_and_not_written_again() {
    let (once, other) = (batch("once", 3), batch("other", 16));
    assert_eq!(hidden(&once, 3, &[other.clone(), other], 32).await, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_lands_once_although_others_write_and_retention_removes_it() {
    assert_eq!(a_hidden_write(12).await, 201);
}

/// Redis remembers only the latest writes: the API cannot know, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_too_many_others_hide_is_of_unknown_outcome_and_not_written_again() {
    assert_eq!(a_hidden_write(40).await, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_answer_is_lost_creates_one_ltm_even_if_it_is_deleted_meanwhile() {
    for deleted in [false, true] {
        let world = World::start().await;
        world.far.create(json!({"n": 0})).await;
        // The answer of the script that creates cannot be read: the connection ends.
        world.network.garble("$2\r\nok", "#2\r\nok");
        let far = world.far.clone();
        let sent = tokio::spawn(async move {
            let body = json!({"fqn": "tests.Ltm", "state": {"n": 1}});
            far.post("/ltm", &body).await
        });
        until("the LTM exists", async || world.exists("ltm:{2}:meta")).await;
        world.network.hold_answers();
        if deleted {
            let request = world.near.request(Method::DELETE, "/ltm/2");
            world.near.send(request).await.expect(200);
        }
        world.network.release();
        let answer = sent.await.unwrap();
        // Each try may have ended in the same way.
        if answer.status == 200 {
            assert_eq!(answer.expect(200)["id"], 2);
        } else {
            answer.problem(503, "unavailable");
        }
        assert!(!world.exists("ltm:{3}:meta"));
    }
}

/// Two APIs on a cluster, whose client may send a command twice.
async fn on_a_cluster() -> (Cluster, [Service; 2]) {
    let cluster = Cluster::start(false).await;
    let nodes = cluster.nodes();
    let settings = cluster.settings(&nodes);
    let settings = [&settings[..], SETTINGS].concat();
    let start = || Service::api("redis://127.0.0.1:1/0", &settings);
    let services = [start(), start()];
    for service in &services {
        Api::at(service).until_ready_is(200).await;
    }
    (cluster, services)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_the_same_write_of_two_writers_lands_twice() {
    let (_cluster, services) = on_a_cluster().await;
    let apis = services.each_ref().map(Api::at);
    let (id, _) = apis[0].create(json!({"list": []})).await;
    let mut body = element("same");
    body["time"] = json!("2026-01-01T00:00:00Z");
    let path = format!("/ltm/{id}/snapshots");
    for _ in 0..50 {
        for answer in join_all(apis.iter().map(|api| api.post(&path, &body))).await {
            answer.expect(201);
        }
    }
    assert_eq!(count(&apis[0], id, "same").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_a_taken_id_is_refused_although_the_request_is_the_same() {
    let (_cluster, services) = on_a_cluster().await;
    let api = Api::at(&services[0]);
    let body = json!({"fqn": "tests.Ltm", "id": 42, "time": "2026-01-01T00:00:00Z", "state": {}});
    api.post("/ltm", &body).await.expect(200);
    api.post("/ltm", &body).await.problem(409, "id-taken");
    let request = api.request(Method::DELETE, "/ltm/42");
    api.send(request).await.expect(200);
    api.post("/ltm", &body).await.problem(409, "id-taken");
}

/// An LTM to which `behind` has written once, and `other` so often since that the log is trimmed beyond that. Returns its id
/// and the path for snapshots.
async fn leave_behind(behind: &Api, other: &Api, others: &[Value]) -> (u64, String) {
    let body = json!({"fqn": "tests.Ltm", "state": {"list": []}, "retention": {"max_entries": 1}});
    let created = other.post("/ltm", &body).await.expect(200);
    let id = created["id"].as_u64().unwrap();
    let path = format!("/ltm/{id}/snapshots");
    behind.post(&path, &element("first")).await.expect(201);
    for write in others {
        other.post(&path, write).await.expect(201);
    }
    (id, path)
}

/// An API that has not written for a while knows an old head. Its write is not of unknown outcome for that.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_a_writer_that_is_far_behind_writes() {
    let (_cluster, services) = on_a_cluster().await;
    let apis = services.each_ref().map(Api::at);
    for others in [vec![element("other"); 40], vec![batch("other", 25); 3]] {
        let (id, path) = leave_behind(&apis[1], &apis[0], &others).await;
        apis[1].post(&path, &element("last")).await.expect(201);
        assert_eq!(count(&apis[0], id, "last").await, 1);
    }
}

/// An older version of the services appends without a word.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_a_writer_that_is_far_behind_an_older_version_is_refused_at_most_once() {
    let (cluster, services) = on_a_cluster().await;
    let apis = services.each_ref().map(Api::at);
    let others = vec![element("other"); 40];
    let (id, path) = leave_behind(&apis[1], &apis[0], &others).await;
    let server = &cluster.primaries[cluster.place(id)];
    until("the log is trimmed", async || {
        let log = format!("ltm:{{{id}}}:log");
        server.cli(&["XRANGE", &log, "3", "3"]).is_empty()
    })
    .await;
    server.cli(&["DEL", &format!("ltm:{{{id}}}:idem")]);
    let answer = apis[1].post(&path, &element("last")).await;
    answer.problem(503, "unavailable");
    assert_eq!(count(&apis[0], id, "last").await, 0);
    apis[1].post(&path, &element("last")).await.expect(201);
    assert_eq!(count(&apis[0], id, "last").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_lands_meanwhile_is_not_refused_because_of_itself() {
    let world = World::start().await;
    let (id, _) = world.near.create(json!({})).await;
    let path = format!("/ltm/{id}/snapshots");
    for n in 0..100 {
        // `far` holds an older state. It reads this one after it has looked for the Idempotency-Key.
        let before = world.near.append(id, json!({"merge": {"n": n}})).await;
        let expected = format!("\"{}\"", before["cursor"].as_str().unwrap());
        let write = async |api: &Api| {
            let request = api.request(Method::POST, &path);
            let request = request.header("Idempotency-Key", format!("write {n}"));
            let request = request.header("If-Match", &expected);
            let body = json!({"reason": "execute", "merge": {"own": n}});
            let answer = api.send(request.json(&body)).await;
            assert!(answer.status.is_success(), "{n}: {}", answer.text);
            serde_json::from_str::<Value>(&answer.text).unwrap()["cursor"].clone()
        };
        let (one, other) = tokio::join!(write(&world.near), write(&world.far));
        assert_eq!(one, other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_key_is_lost_meanwhile_is_sent_again_and_no_internal_error() {
    let stack = Stack::start();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let address = stack.redis.address();
    // A failover that loses the last writes, again and again.
    let loser = std::thread::spawn(move || {
        let lose = "for _, key in ipairs(redis.call('KEYS', 'ltm:created:*')) do redis.call('DEL', key) end";
        let command = format!(
            "*3\r\n$4\r\nEVAL\r\n${}\r\n{lose}\r\n$1\r\n0\r\n",
            lose.len()
        );
        let mut redis = std::net::TcpStream::connect(address).unwrap();
        let mut answer = [0; 5];
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            redis.write_all(command.as_bytes()).unwrap();
            redis.read_exact(&mut answer).unwrap();
        }
    });
    let (mut created, mut lost) = (0, 0);
    for number in 0..10_000 {
        let request = stack.api.request(Method::POST, "/ltm");
        let request = request.header("Idempotency-Key", number.to_string());
        let answer = request
            .json(&json!({"fqn": "tests.Ltm"}))
            .send()
            .await
            .unwrap();
        match answer.status().as_u16() {
            200 => created += 1,
            503 => lost += 1,
            status => panic!("{status}: {}", answer.text().await.unwrap()),
        }
        if created > 0 && lost > 0 {
            break;
        }
    }
    stop.send(()).unwrap();
    loser.join().unwrap();
    assert!(
        created > 0 && lost > 0,
        "{created} were created, {lost} lost"
    );
}
