//! Getting or creating an LTM with a key.

use futures_util::future::join_all;
use ltm_tests::Stack;
use serde_json::{Value, json};

use super::{delete, get_or_create, named};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_creates_and_every_later_one_finds() {
    let stack = Stack::start();
    let api = &stack.api;
    let created = get_or_create(api, "3f2c").await;
    assert_eq!(created["created"], true);
    let id = created["id"].as_u64().unwrap();
    let appended = api.append(id, json!({"merge": {"n": 1}})).await;
    // The rest of the request changes nothing.
    let again =
        json!({"fqn": "app.Agent", "key": "3f2c", "state": {"n": 9}, "name": "other", "id": 77});
    let found = api.post("/ltm", &again).await.expect(200);
    let expected = json!({"id": id, "cursor": appended["cursor"], "created": false});
    assert_eq!(found, expected);
    let document = api.document(id).await;
    assert_eq!(document["state"], json!({"n": 1}));
    assert_eq!(document["key"], "3f2c");
    assert_eq!(document["name"], "Agent");
    let rows = api.get("/ltm").await.expect(200);
    assert_eq!(rows[0]["key"], "3f2c");
    assert_eq!(rows.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_unique_within_its_class_only_and_an_ltm_needs_none() {
    let stack = Stack::start();
    let api = &stack.api;
    let one = get_or_create(api, "k").await;
    let other = json!({"fqn": "app.Other", "key": "k"});
    let other = api.post("/ltm", &other).await.expect(200);
    assert_eq!(other["created"], true);
    assert_ne!(one["id"], other["id"]);
    let none = api.post("/ltm", &json!({"fqn": "app.Agent"})).await;
    let none = none.expect(200);
    assert_eq!(none["created"], true);
    let document = api.document(none["id"].as_u64().unwrap()).await;
    assert_eq!(document["key"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_at_once_one_creates() {
    let stack = Stack::start();
    for round in 0..5 {
        let key = format!("key-{round}");
        let answers = join_all((0..20).map(|_| get_or_create(&stack.api, &key))).await;
        let created = answers.iter().filter(|it| it["created"] == true).count();
        assert_eq!(created, 1, "{answers:?}");
        assert!(answers.iter().all(|it| it["id"] == answers[0]["id"]));
    }
    let rows = stack.api.get("/ltm").await.expect(200);
    assert_eq!(rows.as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_ltm_keeps_its_key_until_a_request_asks_to_reuse_it() {
    let stack = Stack::start();
    let api = &stack.api;
    let first = get_or_create(api, "k").await;
    let deleted = delete(api, "/ltm/by-key/app.Agent/k").await.expect(200);
    let gone = api.post("/ltm", &named("k")).await;
    let gone = gone.problem(410, "deleted-ltm");
    assert_eq!(gone["field"], "key");
    assert_eq!(gone["cursor"], deleted["cursor"]);
    assert!(gone["detail"].as_str().unwrap().contains("?reuse=true"));
    let path = "/ltm/by-key/app.Agent/k";
    api.get(path).await.problem(410, "deleted-ltm");

    let reuse = "/ltm?reuse=true";
    let answers = join_all((0..10).map(|_| async { api.post(reuse, &named("k")).await })).await;
    let answers: Vec<Value> = answers.into_iter().map(|it| it.expect(200)).collect();
    let created = answers.iter().filter(|it| it["created"] == true).count();
    assert_eq!(created, 1, "{answers:?}");
    assert!(answers.iter().all(|it| it["id"] == answers[0]["id"]));
    assert_ne!(answers[0]["id"], first["id"]);
    assert_eq!(api.get(path).await.expect(200)["id"], answers[0]["id"]);
    // The old id stays deleted.
    let old = format!("/ltm/{}", first["id"]);
    api.get(&old).await.problem(410, "deleted-ltm");
    let refused = api.post(reuse, &json!({"fqn": "app.Agent"})).await;
    assert_eq!(refused.problem(422, "invalid-request")["field"], "reuse");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_1_to_255_bytes_and_a_path_can_name_it() {
    let stack = Stack::start();
    let api = &stack.api;
    for key in ["k".repeat(255), "é/?#%2F 𝄞\\\"".into()] {
        assert_eq!(get_or_create(api, &key).await["created"], true, "{key}");
    }
    for key in ["", &"k".repeat(256), "a\u{0}b", "a\nb", "\u{7f}", ".", ".."] {
        let refused = api.post("/ltm", &named(key)).await;
        let problem = refused.problem(422, "invalid-request");
        assert_eq!(problem["field"], "key", "{key:?}");
    }
    let dots = json!({"fqn": "..", "key": "k"});
    let refused = api
        .post("/ltm", &dots)
        .await
        .problem(422, "invalid-request");
    assert_eq!(refused["field"], "fqn");
    let lone = r#"{"fqn":"app.Agent","key":"\ud800"}"#;
    let refused = api.post_text("/ltm", lone, &[]).await;
    refused.problem(422, "invalid-request");
    assert_eq!(stack.redis.cli(&["KEYS", "ltm:key:*"]).lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_beside_a_key_keeps_its_promises() {
    let stack = Stack::start();
    let api = &stack.api;
    let once = [("idempotency-key", "once")];
    let body = named("k").to_string();
    let created = api.post_text("/ltm", &body, &once).await.expect(200);
    api.append(created["id"].as_u64().unwrap(), json!({"merge": {"n": 1}}))
        .await;
    // The answer of the first request, whatever happened since.
    let again = api.post_text("/ltm", &body, &once).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(200), created);
    let other = named("other").to_string();
    let reused = api.post_text("/ltm", &other, &once).await;
    reused.problem(422, "key-reused");
    let found = api
        .post_text("/ltm", &body, &[("idempotency-key", "two")])
        .await;
    assert_eq!(found.header("idempotent-replayed"), "");
    assert_eq!(found.expect(200)["created"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_id_beside_a_key_is_used_unless_another_ltm_has_it() {
    let stack = Stack::start();
    let api = &stack.api;
    api.post("/ltm", &json!({"fqn": "tests.Ltm", "id": 5}))
        .await
        .expect(200);
    let with_id = |id: Value| json!({"fqn": "app.Agent", "key": "k", "id": id});
    let taken = api.post("/ltm", &with_id(json!(5))).await;
    taken.problem(409, "id-taken");
    api.get("/ltm/by-key/app.Agent/k")
        .await
        .problem(404, "unknown-ltm");
    let created = api.post("/ltm", &with_id(json!("6"))).await.expect(200);
    assert_eq!(
        (&created["id"], &created["created"]),
        (&json!(6), &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_no_key() {
    let stack = Stack::start();
    let api = &stack.api;
    get_or_create(api, "k").await;
    let path = "/ltm/by-key/app.Agent/k";
    let copy = api.post(&format!("{path}/copy"), &json!({})).await;
    let copy = copy.expect(200)["copy_id"].as_u64().unwrap();
    assert_eq!(api.document(copy).await["key"], Value::Null);
    assert_ne!(api.get(path).await.expect(200)["id"], copy);
}

/// JavaScript counts exactly only up to 2^53.
#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_id_is_a_number_or_its_text() {
    let stack = Stack::start();
    let create = async |id: Value| {
        let body = json!({"fqn": "tests.Ltm", "id": id});
        stack.api.post("/ltm", &body).await
    };
    let created = create(json!("18446744073709551615")).await;
    assert!(created.text.contains(r#""id":18446744073709551615"#));
    assert_eq!(create(json!("7")).await.expect(200)["id"], 7);
    create(json!(7)).await.problem(409, "id-taken");
    for id in [
        json!("07"),
        json!("x"),
        json!(""),
        json!(1.5),
        json!({}),
        json!([1]),
    ] {
        let problem = create(id.clone()).await.problem(422, "invalid-request");
        assert_eq!(problem["field"], "id", "{id}");
    }
}
