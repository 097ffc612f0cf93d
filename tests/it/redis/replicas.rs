//! `redis.wait_replicas`: an acknowledgement means that the replicas have the write.

use futures_util::future::join_all;
use ltm_tests::{Answer, Replicated, until};
use reqwest::Method;
use serde_json::json;

const WAITING: &[(&str, &str)] = &[
    ("LTM__REDIS__WAIT_REPLICAS", "1"),
    ("LTM__REDIS__WAIT_TIMEOUT", "2s"),
];

#[tokio::test(flavor = "multi_thread")]
async fn with_wait_replicas_a_failover_loses_nothing_that_was_acknowledged() {
    let world = Replicated::start(WAITING).await;
    let api = &world.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    api.append(id, json!({"merge": {"n": 1}})).await;
    world.between.hold();
    let path = format!("/ltm/{id}/snapshots");
    let step = r#"{"reason":"execute","merge":{"n":2}}"#;
    let key = [("Idempotency-Key", "two")];
    // Also when it is asked again: it is in the log, and not where it is safe.
    for _ in 0..2 {
        let refused = api.post_text(&path, step, &key).await;
        let problem = refused.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("0 of 1 replicas have it"), "{detail}");
    }
    world.fail_over();
    let state = until("the API reads from the new primary", async || {
        let state = api.get(&format!("/ltm/{id}/state")).await;
        (state.status == 200).then(|| state.json())
    })
    .await;
    // What was acknowledged is there; what was not may be or not, and lands once.
    assert_eq!(state["state"], json!({"n": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_wait_replicas_a_write_is_acknowledged_once_the_replica_is_back() {
    let world = Replicated::start(WAITING).await;
    let api = &world.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    world.between.hold();
    let path = format!("/ltm/{id}/snapshots");
    let step = r#"{"reason":"execute","merge":{"n":1}}"#;
    let key = [("Idempotency-Key", "one")];
    api.post_text(&path, step, &key)
        .await
        .problem(503, "unavailable");
    world.between.release();
    let answer = until("the API acknowledges the write", async || {
        let answer = api.post_text(&path, step, &key).await;
        if answer.status == 201 {
            Ok(answer)
        } else {
            Err(answer)
        }
    })
    .await;
    assert_eq!(answer.header("idempotent-replayed"), "true");
    assert_eq!(answer.expect(201)["index"], 1);
    assert_eq!(api.document(id).await["snapshots_count"], 2);
}

/// Calls that write, and what answers them once they are acknowledged. Each is sent with a key of its own.
const CALLS: &[(&str, &str, u16)] = &[
    ("POST /ltm", r#"{"fqn":"tests.Ltm","state":{"n":7}}"#, 200),
    ("POST /ltm", r#"{"fqn":"tests.Ltm","key":"k"}"#, 200),
    (
        "POST /ltm/{}/snapshots",
        r#"{"reason":"execute","merge":{"n":1}}"#,
        201,
    ),
    (
        "POST /ltm/{}/snapshots",
        r#"{"snapshots":[{"reason":"execute","merge":{"n":1}},{"reason":"execute","merge":{"n":2}}]}"#,
        201,
    ),
    ("POST /ltm/{}/rollback", r#"{"snapshot":{"index":0}}"#, 200),
    (
        "POST /ltm/{}/errors",
        r#"{"id":"00000000-0000-4000-8000-000000000001"}"#,
        200,
    ),
    ("POST /ltm/{}/copy", "{}", 200),
    ("DELETE /ltm/{}", "", 200),
];

/// Each call has a world of its own, because Redis acknowledges to `WAIT` what a connection wrote last. A repetition writes
/// nothing of its own.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_acknowledged_before_the_replica_has_it_however_often_it_is_sent() {
    join_all(CALLS.iter().map(acknowledged_with_the_replica)).await;
}

async fn acknowledged_with_the_replica(&(call, body, status): &(&str, &'static str, u16)) {
    let world = Replicated::start(WAITING).await;
    let api = &world.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    let (method, path) = call.split_once(' ').unwrap();
    let path = path.replace("{}", &id.to_string());
    let method: Method = method.parse().unwrap();
    let send = async || -> Answer {
        let request = api.request(method.clone(), &path);
        let request = request.header("content-type", "application/json");
        api.send(request.header("Idempotency-Key", "key").body(body))
            .await
    };
    world.between.hold();
    for _ in 0..4 {
        let problem = send().await.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("0 of 1 replicas have it"),
            "{call}: {detail}"
        );
    }
    world.between.release();
    until(&format!("{call} is acknowledged"), async || {
        let answer = send().await;
        if answer.status == status {
            assert_eq!(answer.header("idempotent-replayed"), "true", "{call}");
            return Ok(());
        }
        Err(answer.problem(503, "unavailable"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_without_a_key_is_gone_only_once_the_replica_has_it() {
    let world = Replicated::start(WAITING).await;
    let api = &world.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    let delete = async || {
        let request = api.request(Method::DELETE, &format!("/ltm/{id}"));
        api.send(request).await
    };
    world.between.hold();
    for _ in 0..4 {
        delete().await.problem(503, "unavailable");
    }
    world.between.release();
    until("the API confirms that the LTM is gone", async || {
        let answer = delete().await;
        if answer.status == 410 {
            return Ok(());
        }
        Err(answer.problem(503, "unavailable"))
    })
    .await;
    let deleted = format!("ltm:{{{id}}}:deleted");
    assert_eq!(world.replica.cli(&["EXISTS", &deleted]), "1");
}
