//! The ids that LTMs get, the lists that they are on, and the pages of these lists.

use ltm_tests::Stack;
use reqwest::Method;
use serde_json::{Value, json};

/// Keys whose names begin with this.
fn keys(stack: &Stack, prefix: &str) -> Vec<String> {
    let found = stack.redis.cli(&["KEYS", &format!("{prefix}*")]);
    found.lines().map(Into::into).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_id_never_moves_the_counter_to_where_javascript_cannot_count() {
    let stack = Stack::start();
    for id in [1u64 << 53, (1 << 53) - 1, (1 << 52) + 1] {
        let body = json!({"fqn": "tests.Ltm", "id": id});
        stack.api.post("/ltm", &body).await.expect(200);
    }
    assert_eq!(stack.api.create(json!({})).await.0, 1);
    let body = json!({"fqn": "tests.Ltm", "id": 1u64 << 52});
    stack.api.post("/ltm", &body).await.expect(200);
    // The next id is taken.
    assert_eq!(stack.api.create(json!({})).await.0, (1 << 52) + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_skips_ids_that_are_taken_with_a_key_and_without() {
    let stack = Stack::start();
    for _ in 0..60 {
        stack.api.create(json!({})).await;
    }
    let request = stack.api.request(Method::DELETE, "/ltm/2");
    stack.api.send(request).await.expect(200);
    for key in [None, Some(("idempotency-key", "once"))] {
        stack.redis.cli(&["SET", "ltm:ids", "0"]);
        let body = r#"{"fqn":"tests.Ltm"}"#;
        let headers: Vec<_> = key.into_iter().collect();
        let created = stack.api.post_text("/ltm", body, &headers).await;
        let created = created.expect(200);
        assert!(created["id"].as_u64().unwrap() > 60, "{created}");
        if key.is_some() {
            let again = stack.api.post_text("/ltm", body, &headers).await;
            assert_eq!(again.header("idempotent-replayed"), "true");
            assert_eq!(again.expect(200), created);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_creation_leaves_no_key_and_unlists_nothing() {
    let stack = Stack::start();
    let body = json!({"fqn": "tests.Ltm", "id": 5});
    stack.api.post("/ltm", &body).await.expect(200);
    let deleted = json!({"fqn": "tests.Gone", "id": 6});
    stack.api.post("/ltm", &deleted).await.expect(200);
    let request = stack.api.request(Method::DELETE, "/ltm/6");
    stack.api.send(request).await.expect(200);
    let before = keys(&stack, "ltm:");
    for body in [
        body,
        json!({"fqn": "tests.Other", "id": 5}),
        json!({"fqn": "tests.Ltm", "id": 5, "playground": true}),
        json!({"fqn": "tests.Gone", "id": 6}),
    ] {
        for headers in [vec![], vec![("idempotency-key", "k")]] {
            let body = body.to_string();
            let refused = stack.api.post_text("/ltm", &body, &headers).await;
            refused.problem(409, "id-taken");
        }
    }
    let mut after = keys(&stack, "ltm:");
    after.retain(|key| !before.contains(key));
    assert_eq!(after, [""; 0]);
    for path in ["/ltm", "/ltm?fqn=tests.Ltm"] {
        let listed = stack.api.get(path).await.expect(200);
        assert_eq!(listed[0]["id"], 5, "{path}");
        assert_eq!(listed.as_array().unwrap().len(), 1, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_after_the_last_ltm_has_no_next_page() {
    let stack = Stack::start();
    for _ in 0..3 {
        stack.api.create(json!({})).await;
    }
    let mut path = "/ltm?limit=2".to_owned();
    let mut rows: Vec<Value> = Vec::new();
    for _ in 0..2 {
        let page = stack.api.get(&path).await;
        let link = page.header("link").to_owned();
        rows.extend(page.expect(200).as_array().unwrap().clone());
        let Some((next, _)) = link.split_once('>') else {
            break;
        };
        path = next.split_once("/api/v0").unwrap().1.to_owned();
    }
    assert_eq!(rows.len(), 3);
    // The LTM below was deleted since the page before was read.
    for before in [1, 2] {
        let path = format!("/ltm?limit=2&before={before}");
        assert_eq!(stack.api.get(&path).await.header("link"), "", "{path}");
    }
}
