//! The record of a key is written before its LTM, to another slot: what is between the two may be lost.

use futures_util::future::join_all;
use ltm_tests::{Api, Cluster, RedisServer, Replicated, Service, Stack, until};
use serde_json::{Value, json};

use super::{delete, get_or_create, named};

/// Keeps Redis from carrying out the second of the two writes.
fn fail_after_the_record(redis: &RedisServer) {
    redis.cli(&["ACL", "SETUSER", "default", "-xadd"]);
}

fn work_again(redis: &RedisServer) {
    redis.cli(&["ACL", "SETUSER", "default", "+xadd"]);
}

const RECORD: &str = "ltm:key:9:app.Agent:k";

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_ends_between_its_two_writes_is_finished_by_the_next() {
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    fail_after_the_record(&redis);
    let failed = Api::at(&service).post("/ltm", &named("k")).await;
    assert!(failed.status.is_server_error(), "{failed:?}");
    let id: u64 = redis.cli(&["GET", RECORD]).parse().unwrap();
    drop(service);

    work_again(&redis);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let path = "/ltm/by-key/app.Agent/k";
    api.get(path).await.problem(404, "unknown-ltm");
    // A list has met the id, and will remove it.
    api.get("/ltm").await.expect(200);
    let answers = join_all((0..10).map(|_| get_or_create(&api, "k"))).await;
    assert!(answers.iter().all(|it| it["id"] == id), "{answers:?}");
    let created = answers.iter().filter(|it| it["created"] == true).count();
    assert_eq!(created, 1, "{answers:?}");
    assert_eq!(api.get(path).await.expect(200)["id"], id);
    assert_eq!(api.get("/ltm").await.expect(200)[0]["id"], id);
}

/// Gets or creates keys until the API is gone. Returns the answers that arrived.
async fn create_until_it_is_gone(api: Api, first: usize) -> Vec<(String, Value)> {
    let mut answers = Vec::new();
    for number in first.. {
        let key = format!("key-{number}");
        let request = api.request(reqwest::Method::POST, "/ltm");
        match request.json(&named(&key)).send().await {
            Ok(response) => match response.json().await {
                Ok(answer) => answers.push((key, answer)),
                Err(_) => break,
            },
            Err(_) => break,
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn however_an_api_is_killed_each_key_leads_to_one_ltm_and_no_acknowledged_one_is_lost() {
    let redis = RedisServer::start(&[]);
    for round in 0..6 {
        let mut service = Service::api(&redis.url(), &[]);
        let api = Api::at(&service);
        let first = round * 1000;
        // Two tasks for the same keys.
        let tasks: Vec<_> = (0..8)
            .map(|task| create_until_it_is_gone(api.clone(), first + task / 2 * 100))
            .map(tokio::spawn)
            .collect();
        let seen = format!("ltm:key:9:app.Agent:key-{}", first + round);
        until("some keys are bound", async || {
            redis.cli(&["EXISTS", &seen]) == "1"
        })
        .await;
        service.kill();
        let answers = join_all(tasks).await;
        let acknowledged: Vec<_> = answers.into_iter().flat_map(Result::unwrap).collect();

        let service = Service::api(&redis.url(), &[]);
        let api = Api::at(&service);
        for (key, answer) in &acknowledged {
            let found = get_or_create(&api, key).await;
            assert_eq!(
                (&found["id"], &found["created"]),
                (&answer["id"], &json!(false))
            );
        }
        let records = redis.cli(&["KEYS", "ltm:key:*"]);
        for record in records.lines() {
            let key = record.strip_prefix("ltm:key:9:app.Agent:").unwrap();
            let found = get_or_create(&api, key).await;
            assert_eq!(redis.cli(&["GET", record]), found["id"].to_string());
        }
        let rows = api.get("/ltm?limit=1000").await.expect(200);
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), records.lines().count());
        let ids: std::collections::BTreeSet<_> = rows.iter().map(|it| it["key"].as_str()).collect();
        assert_eq!(ids.len(), rows.len(), "a key has two LTMs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_never_leads_to_an_ltm_of_another_key() {
    let stack = Stack::start();
    let api = &stack.api;
    fail_after_the_record(&stack.redis);
    let failed = api.post("/ltm", &named("k")).await;
    assert!(failed.status.is_server_error(), "{failed:?}");
    work_again(&stack.redis);
    let id: u64 = stack.redis.cli(&["GET", RECORD]).parse().unwrap();
    // A producer chooses the id that the key is bound to.
    let other = json!({"fqn": "app.Agent", "id": id, "state": {"mine": true}});
    api.post("/ltm", &other).await.expect(200);
    let path = "/ltm/by-key/app.Agent/k";
    api.get(path).await.problem(404, "unknown-ltm");
    let answers = join_all((0..10).map(|_| get_or_create(api, "k"))).await;
    let created = answers.iter().filter(|it| it["created"] == true).count();
    assert_eq!(created, 1, "{answers:?}");
    assert!(answers.iter().all(|it| it["id"] == answers[0]["id"]));
    assert_ne!(answers[0]["id"], id);
    assert_eq!(api.get(path).await.expect(200)["id"], answers[0]["id"]);
    assert_eq!(api.document(id).await["state"], json!({"mine": true}));
}

const WAITING: &[(&str, &str)] = &[
    ("LTM__REDIS__WAIT_REPLICAS", "1"),
    ("LTM__REDIS__WAIT_TIMEOUT", "2s"),
];

#[tokio::test(flavor = "multi_thread")]
async fn with_wait_replicas_neither_a_new_nor_a_found_ltm_is_acknowledged_before_the_replica_has_it_and_its_key()
 {
    let world = Replicated::start(WAITING).await;
    let api = &world.api;
    world.between.hold();
    for _ in 0..4 {
        let refused = api.post("/ltm", &named("k")).await;
        let problem = refused.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("0 of 1 replicas have it"), "{detail}");
    }
    world.between.release();
    let found = until("the API acknowledges the LTM", async || {
        let answer = api.post("/ltm", &named("k")).await;
        if answer.status == 200 {
            return Ok(answer.json());
        }
        Err(answer.problem(503, "unavailable"))
    })
    .await;
    assert_eq!(found["created"], false);
    assert_eq!(world.replica.cli(&["GET", RECORD]), found["id"].to_string());
    world.fail_over();
    let path = "/ltm/by-key/app.Agent/k";
    let document = until("the API reads from the new primary", async || {
        let answer = api.get(path).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(document["id"], found["id"]);
}

/// Without `wait_replicas`, a failover takes the record only together with the LTM, which is written later.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_loses_a_creation_leaves_a_key_that_works() {
    let world = Replicated::start(&[]).await;
    let api = &world.api;
    let kept = get_or_create(api, "kept").await;
    world.until_replicated(kept["id"].as_u64().unwrap()).await;
    world.between.hold();
    get_or_create(api, "lost").await;
    world.fail_over();
    let again = until("the new primary answers", async || {
        let answer = api.post("/ltm", &named("lost")).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(again["created"], true);
    let kept_again = get_or_create(api, "kept").await;
    assert_eq!(kept_again["id"], kept["id"]);
    assert_eq!(kept_again["created"], false);
}

async fn on_a_cluster(replicas: bool, settings: &[(&str, &str)]) -> (Cluster, Service) {
    let cluster = Cluster::start(replicas).await;
    let nodes = cluster.nodes();
    let settings = [&cluster.settings(&nodes), settings].concat();
    let service = Service::api("redis://127.0.0.1:1/0", &settings);
    Api::at(&service).until_ready_is(200).await;
    (cluster, service)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_keys_and_their_ltms_are_on_different_primaries_and_all_works() {
    let (cluster, service) = on_a_cluster(false, &[]).await;
    let api = Api::at(&service);
    for number in 0..24 {
        let key = format!("key-{number}");
        let answers = join_all((0..4).map(|_| get_or_create(&api, &key))).await;
        let created = answers.iter().filter(|it| it["created"] == true).count();
        assert_eq!(created, 1, "{answers:?}");
        let path = format!("/ltm/by-key/app.Agent/{key}");
        let step = json!({"reason": "execute", "merge": {"n": number}});
        api.post(&format!("{path}/snapshots"), &step)
            .await
            .expect(201);
        let document = api.get(&path).await.expect(200);
        assert_eq!(
            (&document["id"], &document["state"]),
            (&answers[0]["id"], &json!({"n": number}))
        );
    }
    let records = |server: &RedisServer| server.cli(&["KEYS", "ltm:key:*"]).lines().count();
    let counts: Vec<usize> = cluster.primaries.iter().map(records).collect();
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    delete(&api, "/ltm/by-key/app.Agent/key-0")
        .await
        .expect(200);
    api.post("/ltm", &named("key-0"))
        .await
        .problem(410, "deleted-ltm");
    let reused = api.post("/ltm?reuse=true", &named("key-0")).await;
    assert_eq!(reused.expect(200)["created"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_wait_replicas_holds_for_the_record_of_the_key_too() {
    let (cluster, service) = on_a_cluster(true, WAITING).await;
    let api = Api::at(&service);
    let found = get_or_create(&api, "k").await;
    let on_replicas: Vec<Value> = cluster
        .replicas
        .iter()
        .filter(|it| it.cli(&["KEYS", RECORD]) == RECORD)
        .map(|_| json!(true))
        .collect();
    assert_eq!(on_replicas.len(), 1, "one replica has the record");
    assert_eq!(found["created"], true);
    assert_eq!(get_or_create(&api, "k").await["id"], found["id"]);
}
