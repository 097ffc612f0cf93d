//! Copies of LTMs.

use std::process::Command;

use ltm_store::{CreateError, Redis, RedisSettings, Store, StoreError};
use ltm_tests::{Follower, Stack, binary, until};
use ltm_types::LtmId;
use reqwest::Method;
use serde_json::json;

use super::{count, counted, numbers, rollback, with_rollbacks};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_the_history_and_no_errors_and_goes_its_own_way() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = counted(api, 5).await;
    let error = json!({"id": "00000000-0000-4000-8000-000000000001", "item": {}});
    api.post(&format!("/ltm/{id}/errors"), &error)
        .await
        .expect(200);
    rollback(api, id, json!({"snapshot": {"index": 2}}))
        .await
        .expect(200);
    count(api, id, 30..33).await;
    let request = api
        .request(Method::POST, &format!("/ltm/{id}/copy"))
        .header("content-type", "application/json");
    let copied = api.send(request).await.expect(200);
    let copy = copied["copy_id"].as_u64().unwrap();
    let (ours, theirs) = (
        with_rollbacks(api, id).await,
        with_rollbacks(api, copy).await,
    );
    for field in [
        "state",
        "snapshots",
        "rollbacks",
        "created_at",
        "updated_at",
        "name",
        "fqn",
        "structure",
        "snapshots_count",
    ] {
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    assert_eq!(theirs["source_id"], id);
    assert_eq!(theirs["errors"], json!([]));
    let listed = api.get("/ltm?playground=true").await.expect(200);
    assert_eq!(listed[0]["id"], copy);
    count(api, copy, [99].into_iter()).await;
    assert_eq!(api.document(id).await["state"], json!({"n": 32}));
    let mut follower = Follower::default();
    let url = stack.gateway.ws(&format!("/ws/{copy}"));
    let at_end = |follower: &Follower| follower.state == json!({"n": 99});
    follower.follow_until(&[url], at_end).await;
    rollback(api, copy, json!({"rollback": {"index": 0}}))
        .await
        .expect(200);
    assert_eq!(numbers(&api.document(copy).await), [0, 1, 2, 3, 4, 5]);
    api.post("/ltm/99/copy", &json!({}))
        .await
        .problem(404, "unknown-ltm");
}

/// What is kept of the source is an error, which a copy leaves out.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_ltm_that_keeps_only_errors_is_whole_and_goes_on() {
    let stack = Stack::with(&[
        ("LTM__API__CHECKPOINT_EVERY", "2"),
        ("LTM__RETENTION__MAX_ENTRIES", "1"),
    ]);
    let api = &stack.api;
    let id = counted(api, 3).await;
    let error = json!({"id": "00000000-0000-4000-8000-000000000001", "item": {}});
    let log = format!("ltm:{{{id}}}:log");
    until("no snapshot is left in the log", async || {
        api.post(&format!("/ltm/{id}/errors"), &error)
            .await
            .expect(200);
        let kept = stack.redis.cli(&["XRANGE", &log, "-", "+"]);
        !kept.contains("snapshot")
    })
    .await;

    let copied = api.post(&format!("/ltm/{id}/copy"), &json!({})).await;
    let copy = copied.expect(200)["copy_id"].as_u64().unwrap();
    let log = format!("ltm:{{{copy}}}:log");
    assert_eq!(stack.redis.cli(&["EXISTS", &log]), "0");
    let document = with_rollbacks(api, copy).await;
    assert_eq!(document["state"], json!({"n": 3}));
    assert_eq!(document["snapshots_count"], 4);
    assert_eq!(document["snapshots"].as_array().unwrap().len(), 1);
    let verify = Command::new(binary("ltm"))
        .args(["verify", "--redis", &stack.redis.url(), &copy.to_string()])
        .output()
        .unwrap();
    assert!(verify.status.success(), "{verify:?}");

    let mut followers = [Follower::of(&document), Follower::default()];
    let url = stack.gateway.ws(&format!("/ws/{copy}"));
    followers[1]
        .follow_until(std::slice::from_ref(&url), |it| {
            it.state == document["state"]
        })
        .await;
    count(api, copy, 4..=4).await;
    for follower in &mut followers {
        follower
            .follow_until(std::slice::from_ref(&url), |it| it.state == json!({"n": 4}))
            .await;
    }
}

/// After each append the API trims the log, while the copy reads it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_succeeds_while_retention_trims_its_source() {
    let stack = Stack::with(&[
        ("LTM__API__CHECKPOINT_EVERY", "1"),
        ("LTM__RETENTION__MAX_ENTRIES", "1"),
    ]);
    let api = &stack.api;
    let id = counted(api, 5).await;
    for n in 10..110 {
        count(api, id, n..=n).await;
        let copied = api
            .post(&format!("/ltm/{id}/copy"), &json!({}))
            .await
            .expect(200);
        let copy = copied["copy_id"].as_u64().unwrap();
        assert_eq!(api.document(copy).await["state"], json!({"n": n}));
    }
}

/// The state was read before a failover, and the log is read after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_state_that_the_log_has_lost_fails_and_leaves_nothing() {
    let stack = Stack::start();
    let (api, redis) = (&stack.api, &stack.redis);
    let begin = async |last: &str| {
        let body = json!({"fqn": "tests.Ltm", "id": 1, "time": "2026-01-01T00:00:00Z"});
        api.post("/ltm", &body).await.expect(200);
        api.append(1, json!({"merge": {"n": last}})).await;
    };
    begin("lost").await;
    let settings = RedisSettings {
        url: redis.url(),
        ..RedisSettings::default()
    };
    let store = Store::new(Redis::open(&settings).unwrap());
    let id = LtmId::new(1).unwrap();
    let lost = store.state(id).await.unwrap();
    for longer in [false, true] {
        redis.cli(&["DEL", "ltm:{1}:log", "ltm:{1}:meta", "ltm:{1}:idem"]);
        if longer {
            begin("kept").await;
        } else {
            let body = json!({"fqn": "tests.Ltm", "id": 1, "time": "2026-01-01T00:00:00Z"});
            api.post("/ltm", &body).await.expect(200);
        }
        let before = redis.cli(&["KEYS", "ltm:{*"]);
        let copied = store.copy(id, lost.clone(), None).await;
        let passing = matches!(copied, Err(CreateError::Store(StoreError::Trimmed(_))));
        assert!(passing, "{copied:?}");
        assert_eq!(redis.cli(&["KEYS", "ltm:{*"]), before);
    }
}
