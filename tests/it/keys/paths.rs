//! Every call by class and key, and paths that name no key.

use ltm_tests::{RawConnection, Stack};
use reqwest::Method;
use serde_json::{Value, json};

use super::{delete, get_or_create, named};

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_an_ltm_takes_its_key_instead_of_its_id() {
    let stack = Stack::start();
    let api = &stack.api;
    let created = get_or_create(api, "thread/7 é").await;
    let (id, key) = (&created["id"], "/ltm/by-key/app.Agent/thread%2F7%20%C3%A9");
    let by_id = format!("/ltm/{id}");
    let step = json!({"reason": "execute", "merge": {"n": 1}});
    let appended = api.post(&format!("{key}/snapshots"), &step).await;
    let appended = appended.expect(201);
    assert_eq!(appended["id"], *id);
    let error = json!({"reason": "failed"});
    api.post(&format!("{key}/errors"), &error).await.expect(200);
    for path in ["", "/snapshots", "/state", "/wait?after=0"] {
        let of_key = api.get(&format!("{key}{path}")).await;
        let tag = of_key.header("etag").to_owned();
        let of_id = api.get(&format!("{by_id}{path}")).await;
        assert_eq!(tag, of_id.header("etag"), "{path}");
        assert_eq!(of_key.expect(200), of_id.expect(200), "{path}");
        let head = api
            .send(api.request(Method::HEAD, &format!("{key}{path}")))
            .await;
        assert_eq!(head.status, 200, "{path}");
    }
    let back = json!({"snapshot": {"index": 0}});
    api.post(&format!("{key}/rollback"), &back)
        .await
        .expect(200);
    let state = api.get(&format!("{key}/state")).await.expect(200);
    assert_eq!(state["state"], json!({"n": 0}));
    api.post(&format!("{key}/copy"), &json!({}))
        .await
        .expect(200);
    let request = api.request(Method::PUT, &format!("{key}/state"));
    let refused = api.send(request).await;
    assert_eq!(refused.header("allow"), "GET, HEAD");
    refused.problem(405, "method-not-allowed");
    assert_eq!(delete(api, key).await.expect(200)["id"], *id);
    api.get(key).await.problem(410, "deleted-ltm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_ltm_has_is_an_unknown_ltm_for_every_call() {
    let stack = Stack::start();
    let api = &stack.api;
    let key = "/ltm/by-key/app.Agent/none";
    for path in ["", "/snapshots", "/state", "/wait?after=0"] {
        let answer = api.get(&format!("{key}{path}")).await;
        let problem = answer.problem(404, "unknown-ltm");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("\"app.Agent\"") && detail.contains("\"none\""));
    }
    let step = json!({"reason": "execute", "merge": {}});
    for path in ["/snapshots", "/rollback", "/errors", "/copy"] {
        let answer = api.post(&format!("{key}{path}"), &step).await;
        answer.problem(404, "unknown-ltm");
    }
    delete(api, key).await.problem(404, "unknown-ltm");
    // Not with this method, whatever the key.
    let request = api.request(Method::POST, &format!("{key}/state"));
    api.send(request).await.problem(405, "method-not-allowed");
}

/// The path as a client writes it by hand: programs that make requests would respell it.
async fn raw(stack: &Stack, path: &str) -> (u16, Value) {
    let mut connection = RawConnection::to(stack.api_service.address()).await;
    let (head, body) = connection.get(path, "").await;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_decoded_once_and_each_key_has_a_path_of_its_own() {
    let stack = Stack::start();
    let keys = [
        "a/b",
        "a%2Fb",
        "a+b",
        "a b",
        "%41",
        "A",
        "...",
        "a;b",
        "é",
        "\u{fffd}",
        "snapshots",
    ];
    let mut ids = Vec::new();
    for key in keys {
        let created = get_or_create(&stack.api, key).await;
        assert_eq!(created["created"], true, "{key}");
        ids.push(created["id"].as_u64().unwrap());
    }
    let id_of = |key: &str| ids[keys.iter().position(|it| *it == key).unwrap()];
    for (segment, key) in [
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("%2541", "%41"),
        ("%41", "A"),
        ("...", "..."),
        ("a;b", "a;b"),
        ("%c3%a9", "é"),
        ("%EF%BF%BD", "\u{fffd}"),
        ("snapshots", "snapshots"),
    ] {
        for class in ["app.Agent", "app%2EAgent"] {
            let path = format!("/api/v0/ltm/by-key/{class}/{segment}/wait?after=0");
            let (status, document) = raw(&stack, &path).await;
            assert_eq!(
                (status, &document["id"]),
                (200, &json!(id_of(key))),
                "{path}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_well_encoded_is_refused_and_names_no_other_key() {
    let stack = Stack::start();
    let api = &stack.api;
    for key in ["\u{fffd}", "%zz", "%", "a"] {
        get_or_create(api, key).await;
    }
    let by_key = |segment: &str| format!("/api/v0/ltm/by-key/app.Agent/{segment}");
    for segment in [
        "%ff",
        "%c3",
        "%ed%a0%80",
        "%zz",
        "%",
        "%2",
        "%00",
        "a%00",
        "%0a",
        "%7f",
        "%2e",
        "..",
        "%2e%2e",
        ".%2E",
        "a%0d%0aX-A:1",
    ] {
        let (status, problem) = raw(&stack, &by_key(segment)).await;
        assert_eq!(
            (status, &problem["field"]),
            (422, &json!("key")),
            "{segment}: {problem}"
        );
    }
    let long = by_key(&"k".repeat(256));
    assert_eq!(raw(&stack, &long).await.0, 422);
    for class in ["%ff", "..", "%00", &"c".repeat(1025)] {
        let path = format!("/api/v0/ltm/by-key/{class}/a/state");
        let (status, problem) = raw(&stack, &path).await;
        assert_eq!((status, &problem["field"]), (422, &json!("fqn")), "{class}");
    }
    for path in [
        "/api/v0/ltm/by-key/app.Agent",
        "/api/v0/ltm/by-key/app.Agent/",
        "/api/v0/ltm/by-key//a",
        "/api/v0/ltm/by-key/app.Agent/a/b",
        "/api/v0/ltm/by-key/app.Agent/x/../a",
        "/api/v0/ltm/by-key/app.Agent/a/state/..",
    ] {
        let (status, _) = raw(&stack, path).await;
        assert_eq!(status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_may_look_like_a_part_of_the_path() {
    let stack = Stack::start();
    for class in ["by-key", "snapshots", "a/b", "{id}", "{key}", "42"] {
        let body = json!({"fqn": class, "key": "{fqn}", "state": {}});
        let created = stack.api.post("/ltm", &body).await.expect(200);
        let class = class
            .replace('/', "%2F")
            .replace('{', "%7B")
            .replace('}', "%7D");
        let path = format!("/api/v0/ltm/by-key/{class}/%7Bfqn%7D/wait?after=0");
        let (status, state) = raw(&stack, &path).await;
        assert_eq!((status, &state["id"]), (200, &created["id"]), "{path}");
    }
    let mut odd = named("k");
    odd["fqn"] = json!("1:a");
    let one = stack.api.post("/ltm", &odd).await.expect(200);
    odd = json!({"fqn": "1", "key": "a:k"});
    let two = stack.api.post("/ltm", &odd).await.expect(200);
    assert_ne!(
        one["id"], two["id"],
        "class and key never run into each other"
    );
}
