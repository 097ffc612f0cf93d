//! Every header that makes a write conditional is honoured or refused on every call.

use ltm_tests::{Answer, Api, Stack};
use reqwest::Method;
use serde_json::json;

async fn send(api: &Api, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = api.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_copy_is_the_same_copy() {
    let stack = Stack::start();
    let api = &stack.api;
    let (id, cursor) = api.create(json!({"n": 0})).await;
    let copy = async |query: &str, key: &str| {
        let path = format!("/ltm/{id}/copy{query}");
        send(api, Method::POST, &path, &[("idempotency-key", key)]).await
    };
    let first = copy("", "one").await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let first = first.expect(200);
    api.append(id, json!({"merge": {"n": 1}})).await;
    let copied = first["copy_id"].as_u64().unwrap();
    api.append(copied, json!({"merge": {"n": 2}})).await;
    let again = copy("", "one").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(200), first);
    assert_ne!(copy("", "two").await.expect(200), first);
    copy(&format!("?until={cursor}"), "one")
        .await
        .problem(422, "key-reused");
    let listed = api.get("/ltm?playground=true").await.expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 2);

    // Keys are each LTM's own.
    let (other, _) = api.create(json!({})).await;
    let path = format!("/ltm/{other}/copy");
    let copied = send(api, Method::POST, &path, &[("idempotency-key", "one")]).await;
    assert_ne!(copied.expect(200)["copy_id"], first["copy_id"]);
}

/// Of requests with one key, one makes the copy. The others find it, or are told to try again.
#[tokio::test(flavor = "multi_thread")]
async fn copies_with_one_key_at_once_are_one_copy() {
    let stack = Stack::start();
    let api = &stack.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    let path = format!("/ltm/{id}/copy");
    for round in 0..10 {
        let key = format!("key-{round}");
        let key = [("idempotency-key", key.as_str())];
        let copies = (0..4).map(|_| send(api, Method::POST, &path, &key));
        for answer in futures_util::future::join_all(copies).await {
            if answer.status != 200 {
                answer.problem(503, "busy");
            }
        }
        send(api, Method::POST, &path, &key).await.expect(200);
        let listed = api.get("/ltm?playground=true").await.expect(200);
        assert_eq!(listed.as_array().unwrap().len(), round + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_deletion_is_answered_as_the_first_one() {
    let stack = Stack::start();
    let api = &stack.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    let path = format!("/ltm/{id}");
    let key = [("idempotency-key", "gone")];
    let first = send(api, Method::DELETE, &path, &key).await.expect(200);
    let again = send(api, Method::DELETE, &path, &key).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(200), first);
    let other = [("idempotency-key", "other")];
    send(api, Method::DELETE, &path, &other)
        .await
        .problem(410, "deleted-ltm");

    // A key of an append is not one of a deletion.
    let (id, _) = api.create(json!({"n": 0})).await;
    let step = r#"{"reason":"execute","merge":{"n":1}}"#;
    let snapshots = format!("/ltm/{id}/snapshots");
    api.post_text(&snapshots, step, &key).await.expect(201);
    send(api, Method::DELETE, &format!("/ltm/{id}"), &key)
        .await
        .problem(422, "key-reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_producer_is_fenced_on_every_call() {
    let stack = Stack::start();
    let api = &stack.api;
    // A creation is the first write.
    let created = api
        .post_text(
            "/ltm",
            r#"{"fqn":"tests.Ltm"}"#,
            &[("ltm-producer", "engine;epoch=7")],
        )
        .await;
    let id = created.expect(200)["id"].as_u64().unwrap();
    let old = [("ltm-producer", "engine;epoch=6")];
    for (path, body) in [
        ("snapshots", r#"{"reason":"execute","merge":{"n":1}}"#),
        ("rollback", r#"{"snapshot":{"index":0}}"#),
        ("errors", r#"{"id":"00000000-0000-4000-8000-000000000001"}"#),
        ("copy", "{}"),
    ] {
        let path = format!("/ltm/{id}/{path}");
        let problem = api
            .post_text(&path, body, &old)
            .await
            .problem(409, "fenced");
        assert_eq!(problem["field"], "Ltm-Producer", "{path}");
    }
    let path = format!("/ltm/{id}");
    send(api, Method::DELETE, &path, &old)
        .await
        .problem(409, "fenced");
    let copies = api.get("/ltm?playground=true").await.expect(200);
    assert_eq!(copies, json!([]));
    let new = [("ltm-producer", "engine;epoch=7")];
    send(api, Method::DELETE, &path, &new).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn if_match_holds_for_a_copy_and_is_refused_for_a_creation() {
    let stack = Stack::start();
    let api = &stack.api;
    let (id, old) = api.create(json!({"n": 0})).await;
    let now = api.append(id, json!({"merge": {"n": 1}})).await;
    let now = now["cursor"].as_str().unwrap().to_owned();
    for query in [String::new(), format!("?until={old}")] {
        let path = format!("/ltm/{id}/copy{query}");
        let copy =
            async |cursor: &str| send(api, Method::POST, &path, &[("if-match", cursor)]).await;
        let problem = copy(&old).await.problem(412, "cursor-mismatch");
        assert_eq!(problem["cursor"], now);
        copy(&now).await.expect(200);
    }
    let body = r#"{"fqn":"tests.Ltm"}"#;
    let refused = api.post_text("/ltm", body, &[("if-match", &now)]).await;
    assert_eq!(refused.problem(422, "invalid-request")["field"], "If-Match");
}
