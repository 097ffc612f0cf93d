//! What a producer may rely on when it appends a snapshot.

use futures_util::future::join_all;
use ltm_tests::{Answer, Api, Service, Stack, Subscriber, apply};
use serde_json::{Value, json};

/// The state and the cursor as they are in Redis now.
async fn now(api: &Api, id: u64) -> (Value, String) {
    let now = api.get(&format!("/ltm/{id}/state")).await.expect(200);
    (now["state"].clone(), now["cursor"].as_str().unwrap().into())
}

/// Asks for an append with these headers.
async fn try_append(api: &Api, id: u64, body: &Value, headers: &[(&str, &str)]) -> Answer {
    api.post_text(&format!("/ltm/{id}/snapshots"), &body.to_string(), headers)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_a_patch_or_a_whole_state_or_a_merge() {
    let stack = Stack::start();
    let api = &stack.api;
    let mut state = json!({"a": 1, "list": [1, 2, 3], "gone": {"x": null}});
    let (id, _) = api.create(state.clone()).await;
    let changes = [
        (
            json!({"patch": [{"op": "add", "path": "/b", "value": 2}]}),
            json!({"a": 1, "b": 2, "list": [1, 2, 3], "gone": {"x": null}}),
        ),
        (
            json!({"state": {"a": 1, "list": [2, 3, 4], "gone": {"x": null}}}),
            json!({"a": 1, "list": [2, 3, 4], "gone": {"x": null}}),
        ),
        (
            json!({"merge": {"a": {"deep": true}, "gone": null}}),
            json!({"a": {"deep": true}, "list": [2, 3, 4]}),
        ),
        (
            json!({"patch": []}),
            json!({"a": {"deep": true}, "list": [2, 3, 4]}),
        ),
    ];
    for (index, (change, expected)) in changes.into_iter().enumerate() {
        let appended = api.append(id, change.clone()).await;
        assert_eq!(appended["id"], id);
        assert_eq!(appended["index"], index + 1);
        let patch = &appended["snapshot"]["patch"];
        apply(&mut state, patch).unwrap();
        assert_eq!(state, expected, "{change} became {patch}");
        let (stored, cursor) = now(api, id).await;
        assert_eq!(stored, expected, "{change}");
        assert_eq!(cursor, appended["cursor"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_made_from_a_state_says_no_more_than_what_changed() {
    let stack = Stack::start();
    let queue: Vec<Value> = (0..500)
        .map(|number| json!({"task": number, "text": "x".repeat(50)}))
        .collect();
    let (id, _) = stack.api.create(json!({"queue": queue})).await;
    let appended = stack
        .api
        .append(id, json!({"state": {"queue": &queue[1..]}}))
        .await;
    let patch = appended["snapshot"]["patch"].to_string();
    assert!(patch.len() < 200, "a popped queue is one change: {patch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_change_is_asked_for() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({})).await;
    for body in [
        json!({"reason": "execute"}),
        json!({"reason": "execute", "merge": {}, "state": {}}),
        json!({"reason": "execute", "patch": [], "merge": {}}),
    ] {
        let problem = try_append(&stack.api, id, &body, &[]).await;
        assert_eq!(problem.problem(422, "invalid-request")["field"], "patch");
    }
    assert_eq!(now(&stack.api, id).await.1, cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_kept_as_it_was_sent() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let sent = json!({
        "reason": "my-own",
        "item": {"item_id": "b7c1", "payload": null, "n": 1},
        "patch": [{"op": "add", "path": "/a", "value": 1}],
        "execute_queue": [{"fqn": "root.child", "payload": {}}],
        "transitions_queue": [{"label": "go", "namespace": ""}],
    });
    let appended = stack.api.append(id, sent.clone()).await;
    let document = stack.api.document(id).await;
    assert_eq!(document["snapshots"][1], appended["snapshot"]);
    let snapshot = document["snapshots"][1].as_object().unwrap();
    for field in [
        "reason",
        "item",
        "patch",
        "execute_queue",
        "transitions_queue",
    ] {
        assert_eq!(snapshot[field], sent[field], "{field}");
    }
    assert_eq!(snapshot.len(), 6, "{snapshot:?}");
    assert!(snapshot["time"].as_str().unwrap().ends_with('Z'));

    stack.api.append(id, json!({"merge": {}})).await;
    let bare = &stack.api.document(id).await["snapshots"][2];
    assert_eq!(bare["item"], Value::Null);
    assert_eq!(bare["execute_queue"], json!([]));
    assert_eq!(bare["transitions_queue"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_keep_their_digits() {
    const NUMBERS: &str =
        "[9007199254740993,123456789012345678901234567890,0.10,1.00,-0.0,0.1234567890123456789]";
    let stack = Stack::start();
    let body = format!(r#"{{"fqn":"tests.Numbers","state":{{"created":{NUMBERS}}}}}"#);
    let created = stack.api.post_text("/ltm", &body, &[]).await.expect(200);
    let id = created["id"].as_u64().unwrap();
    for change in [
        format!(r#""patch":[{{"op":"add","path":"/patched","value":{NUMBERS}}}]"#),
        format!(r#""merge":{{"merged":{NUMBERS}}}"#),
        format!(
            r#""state":{{"created":{NUMBERS},"patched":{NUMBERS},"merged":{NUMBERS},"whole":{NUMBERS}}}"#
        ),
        r#""patch":[{"op":"copy","from":"/created","path":"/copied"},{"op":"move","from":"/merged","path":"/moved"}]"#.into(),
    ] {
        let body = format!(r#"{{"reason":"execute","item":{{"n":{NUMBERS}}},{change}}}"#);
        let appended = stack.api.post_text(&format!("/ltm/{id}/snapshots"), &body, &[]).await;
        assert_eq!(appended.status, 201, "{}", appended.text);
    }
    // Another process has to read it all from Redis.
    let other = Service::api(&stack.redis.url(), &[]);
    for api in [&stack.api, &Api::at(&other)] {
        let state = api.get(&format!("/ltm/{id}/state")).await.text;
        for key in ["created", "patched", "whole", "copied", "moved"] {
            assert!(state.contains(&format!(r#""{key}":{NUMBERS}"#)), "{state}");
        }
        let document = api.get(&format!("/ltm/{id}")).await.text;
        assert_eq!(document.matches(NUMBERS).count(), 5 + 4 + 4, "{document}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn awkward_keys_and_texts_are_kept() {
    let stack = Stack::start();
    let (id, _) = stack
        .api
        .create(json!({"constructor": {"__proto__": 1}, "": 0}))
        .await;
    let text = "\u{0}\u{7f} \u{2028} 😀 \\ \" é";
    stack
        .api
        .append(
            id,
            json!({"patch": [
                {"op": "add", "path": "/constructor/a~1b~0c.d", "value": text},
                {"op": "replace", "path": "/", "value": {text: text}},
            ]}),
        )
        .await;
    let expected = json!({"constructor": {"__proto__": 1, "a/b~c.d": text}, "": {text: text}});
    let other = Service::api(&stack.redis.url(), &[]);
    for api in [&stack.api, &Api::at(&other)] {
        assert_eq!(now(api, id).await.0, expected);
        assert_eq!(api.document(id).await["state"], expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_surrogate_pair_is_refused_and_a_whole_one_taken() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({})).await;
    let path = format!("/ltm/{id}/snapshots");
    for (field, body) in [
        (
            "patch",
            r#"{"reason":"x","patch":[{"op":"add","path":"/a","value":"\ud800"}]}"#,
        ),
        ("merge", r#"{"reason":"x","merge":{"\udc00":1}}"#),
        ("state", r#"{"reason":"x","state":{"a":["\ud83dx"]}}"#),
        ("item", r#"{"reason":"x","merge":{},"item":"\ud800\ud800"}"#),
    ] {
        let problem = stack
            .api
            .post_text(&path, body, &[])
            .await
            .problem(422, "invalid-request");
        assert_eq!(problem["field"], field, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains("surrogate"),
            "{problem}"
        );
    }
    assert_eq!(now(&stack.api, id).await.1, cursor);
    let whole = r#"{"reason":"x","merge":{"face":"\ud83d\ude00"}}"#;
    stack.api.post_text(&path, whole, &[]).await.expect(201);
    assert_eq!(now(&stack.api, id).await.0, json!({"face": "😀"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn if_match_refuses_to_write_elsewhere_and_says_where_the_ltm_is() {
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({})).await;
    let second = stack.api.append(id, json!({"merge": {"a": 1}})).await;
    let second = second["cursor"].as_str().unwrap();
    let body = json!({"reason": "execute", "merge": {"b": 1}});

    let refused = try_append(
        &stack.api,
        id,
        &body,
        &[("if-match", &format!("\"{first}\""))],
    )
    .await;
    assert_eq!(refused.header("etag"), format!("\"{second}\""));
    let problem = refused.problem(412, "cursor-mismatch");
    assert_eq!(problem["cursor"], second);
    assert_eq!(now(&stack.api, id).await.1, second);

    let taken = try_append(
        &stack.api,
        id,
        &body,
        &[("if-match", &format!("\"{second}\""))],
    )
    .await;
    let third = taken.header("etag").to_owned();
    assert_eq!(
        format!("\"{}\"", taken.expect(201)["cursor"].as_str().unwrap()),
        third
    );
    try_append(&stack.api, id, &body, &[("if-match", "*")])
        .await
        .expect(201);
    try_append(&stack.api, id, &body, &[("if-match", "\"new\"")])
        .await
        .problem(400, "invalid-cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_write_at_one_cursor_one_succeeds() {
    let stack = Stack::start();
    let other = Service::api(&stack.redis.url(), &[]);
    let apis = [stack.api.clone(), Api::at(&other)];
    let (id, cursor) = stack.api.create(json!({})).await;
    let tag = format!("\"{cursor}\"");
    let answers = join_all((0..10).map(|number: usize| {
        let (api, tag) = (&apis[number % 2], tag.as_str());
        async move {
            let body = json!({"reason": "execute", "merge": {"winner": number}});
            try_append(api, id, &body, &[("if-match", tag)]).await
        }
    }))
    .await;
    let taken = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.status == 412).count();
    assert_eq!((taken, refused), (1, 9), "{answers:?}");
    assert_eq!(stack.api.document(id).await["snapshots_count"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_lands_once() {
    let stack = Stack::start();
    let other = Service::api(&stack.redis.url(), &[]);
    let apis = [stack.api.clone(), Api::at(&other)];
    let (id, _) = stack.api.create(json!({"list": []})).await;
    let body =
        json!({"reason": "execute", "patch": [{"op": "add", "path": "/list/-", "value": 1}]});
    let key = [("idempotency-key", "step-1")];
    let answers =
        join_all((0..8).map(|number: usize| try_append(&apis[number % 2], id, &body, &key))).await;
    let fresh = answers
        .iter()
        .filter(|answer| answer.header("idempotent-replayed") != "true");
    assert_eq!(fresh.count(), 1);
    let bodies: Vec<Value> = answers
        .into_iter()
        .map(|answer| answer.expect(201))
        .collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(now(&stack.api, id).await.0, json!({"list": [1]}));

    // Later, where the patch meets another state, the answer is still the first one.
    stack.api.append(id, json!({"state": {}})).await;
    let again = try_append(&apis[1], id, &body, &key).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(201), bodies[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_used_for_another_request_is_refused() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let key = [("idempotency-key", "k")];
    let first = json!({"reason": "execute", "merge": {"a": 1}});
    try_append(&stack.api, id, &first, &key).await.expect(201);
    let second = json!({"reason": "execute", "merge": {"a": 2}});
    let problem = try_append(&stack.api, id, &second, &key)
        .await
        .problem(422, "key-reused");
    assert_eq!(problem["field"], "Idempotency-Key");
    assert_eq!(now(&stack.api, id).await.0, json!({"a": 1}));
    try_append(&stack.api, id, &second, &[("idempotency-key", "")])
        .await
        .problem(422, "invalid-request");

    // Keys are each LTM's own.
    let (other, _) = stack.api.create(json!({})).await;
    try_append(&stack.api, other, &second, &key)
        .await
        .expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_creates_once() {
    let stack = Stack::start();
    let other = Service::api(&stack.redis.url(), &[]);
    let apis = [stack.api.clone(), Api::at(&other)];
    let body = json!({"fqn": "tests.Ltm", "state": {"a": 1}}).to_string();
    let key = [("idempotency-key", "create-1")];
    let answers =
        join_all((0..8).map(|number: usize| apis[number % 2].post_text("/ltm", &body, &key))).await;
    let bodies: Vec<Value> = answers
        .into_iter()
        .map(|answer| answer.expect(200))
        .collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(
        stack.api.get("/ltm").await.json().as_array().unwrap().len(),
        1
    );
    let another = json!({"fqn": "tests.Ltm", "state": {"a": 2}}).to_string();
    stack
        .api
        .post_text("/ltm", &another, &key)
        .await
        .problem(422, "key-reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_was_replaced_is_fenced_off() {
    let stack = Stack::start();
    let other = Service::api(&stack.redis.url(), &[]);
    let replaced = Api::at(&other);
    let (id, _) = stack.api.create(json!({})).await;
    let write = async |api: &Api, producer: &str, value: u64| {
        let body = json!({"reason": "execute", "merge": {"value": value}});
        try_append(api, id, &body, &[("ltm-producer", producer)]).await
    };
    write(&replaced, "engine;epoch=7", 1).await.expect(201);
    write(&stack.api, "engine;epoch=8", 2).await.expect(201);
    let problem = write(&replaced, "engine;epoch=7", 3)
        .await
        .problem(409, "fenced");
    assert_eq!(problem["field"], "Ltm-Producer");
    assert_eq!(now(&stack.api, id).await.0, json!({"value": 2}));
    write(&stack.api, "engine;epoch=8", 4).await.expect(201);
    write(&replaced, "another;epoch=1", 5).await.expect(201);
    write(&replaced, "engine", 6)
        .await
        .problem(422, "invalid-request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_fails_names_its_operation_and_changes_nothing() {
    let stack = Stack::start();
    let before = json!({"a": {"b": [1, 2]}, "c": "text"});
    let (id, cursor) = stack.api.create(before.clone()).await;
    let begin = json!({"op": "replace", "path": "/c", "value": "other"});
    let failing = [
        json!({"op": "remove", "path": "/missing"}),
        json!({"op": "replace", "path": "/a/b/2", "value": 0}),
        json!({"op": "add", "path": "/a/b/3", "value": 0}),
        json!({"op": "test", "path": "/c", "value": "text"}),
        json!({"op": "copy", "from": "/missing", "path": "/d"}),
        // The removed value must not be lost on the way.
        json!({"op": "move", "from": "/a", "path": "/missing/deep"}),
        json!({"op": "move", "from": "/a/b/0", "path": "/a/b/7"}),
        json!({"op": "move", "from": "/a", "path": "/a/b"}),
        json!({"op": "move", "from": "/a/b", "path": "/c/x"}),
    ];
    for operation in failing {
        let body = json!({"reason": "execute", "patch": [begin, operation]});
        let problem = try_append(&stack.api, id, &body, &[])
            .await
            .problem(422, "patch-failed");
        assert_eq!(problem["operation"], 1, "{operation}: {problem}");
        assert_eq!(problem["field"], "patch[1]", "{operation}: {problem}");
        assert_eq!(
            now(&stack.api, id).await,
            (before.clone(), cursor.clone()),
            "{operation}"
        );
    }
    // What the process holds is what Redis has: a change goes on from there.
    stack
        .api
        .append(
            id,
            json!({"patch": [{"op": "move", "from": "/a/b/0", "path": "/first"}]}),
        )
        .await;
    let other = Service::api(&stack.redis.url(), &[]);
    let expected = json!({"a": {"b": [2]}, "c": "text", "first": 1});
    assert_eq!(now(&stack.api, id).await.0, expected);
    assert_eq!(now(&Api::at(&other), id).await.0, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_patch_names_what_is_wrong() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({"a": 1})).await;
    for (patch, field) in [
        (r#"{}"#, "patch"),
        (r#"[{"op":"add","path":"/b"}]"#, "patch[0]"),
        (
            r#"[{"op":"test","path":"/a","value":1},{"op":"grow","path":"/a"}]"#,
            "patch[1]",
        ),
        (r#"[{"op":"remove","path":"a"}]"#, "patch[0]"),
        (r#"[{"op":"remove","path":7}]"#, "patch[0]"),
        (r#"[{"op":"remove","path":"/a","op":"test"}]"#, "patch[0]"),
        (r#"[{"op":"copy","path":"/b"}]"#, "patch[0]"),
        // Applied in place by the reference's own client, such a patch would be lost.
        (r#"[{"op":"replace","path":"","value":{}}]"#, "patch[0]"),
        (r#"[{"op":"move","from":"","path":"/b"}]"#, "patch[0]"),
    ] {
        let body = format!(r#"{{"reason":"execute","patch":{patch}}}"#);
        let answer = stack
            .api
            .post_text(&format!("/ltm/{id}/snapshots"), &body, &[])
            .await;
        let problem = answer.expect(422);
        let named = problem["field"].as_str().unwrap();
        assert!(named.starts_with(field), "{patch}: {problem}");
    }
    assert_eq!(now(&stack.api, id).await, (json!({"a": 1}), cursor));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_patch_has_a_path_that_clients_in_javascript_reject() {
    let stack = Stack::start();
    let api = &stack.api;
    let words = |more: Value| json!({"words": {"the": 1, "__proto__": more}, "constructor": {"prototype": 1}});
    let (id, _) = api.create(words(json!({"a": 1}))).await;
    let mut patches = Vec::new();
    for change in [
        json!({"state": words(json!({"a": 2}))}),
        json!({"merge": {"words": {"__proto__": {"a": 3}, "end": 3}, "constructor": {"prototype": 2}}}),
    ] {
        patches.push(api.append(id, change).await["snapshot"]["patch"].clone());
    }
    let url = stack
        .gateway
        .ws(&format!("/ws/{id}?after={}", now(api, id).await.1));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let back = json!({"snapshot": {"index": 0}});
    api.post(&format!("/ltm/{id}/rollback"), &back)
        .await
        .expect(200);
    assert_eq!(now(api, id).await.0, words(json!({"a": 1})));
    patches.push(subscriber.message().await["rollback"]["patch"].clone());
    for patch in patches {
        for operation in patch.as_array().expect("a patch") {
            let path = operation["path"].as_str().unwrap();
            assert!(["/words", "/constructor"].contains(&path), "{operation}");
        }
    }
    // A producer's own patch of that kind would stop the pages that follow.
    for (field, operation) in [
        (
            "path",
            json!({"op": "add", "path": "/words/__proto__", "value": 1}),
        ),
        (
            "path",
            json!({"op": "remove", "path": "/constructor/prototype"}),
        ),
        (
            "from",
            json!({"op": "copy", "from": "/words/__proto__/a", "path": "/b"}),
        ),
        (
            "path",
            json!({"op": "add", "path": "/__proto__", "value": 1}),
        ),
    ] {
        let body = json!({"reason": "x", "patch": [operation]});
        let problem = try_append(api, id, &body, &[])
            .await
            .problem(422, "invalid-request");
        assert_eq!(problem["field"], format!("patch[0].{field}"), "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains("JavaScript"),
            "{problem}"
        );
    }
    // Nothing is around the state.
    for field in ["state", "merge"] {
        let body = format!(r#"{{"reason":"x","{field}":{{"n":1,"__proto__":{{"a":1}}}}}}"#);
        let answer = api
            .post_text(&format!("/ltm/{id}/snapshots"), &body, &[])
            .await;
        let problem = answer.problem(422, "invalid-request");
        assert_eq!(problem["field"], field, "{problem}");
    }
    let created = api
        .post_text("/ltm", r#"{"fqn":"a.B","state":{"__proto__":1}}"#, &[])
        .await;
    created.problem(422, "invalid-request");
}
