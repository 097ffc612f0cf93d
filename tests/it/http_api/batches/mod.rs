//! What a producer may rely on when it appends several snapshots in one request.

use futures_util::future::join_all;
use ltm_tests::{Answer, Api, Service, Stack, Subscriber, until};
use serde_json::{Value, json};

mod one_by_one;

/// Snapshots that put their number into the state and add it to a list.
fn steps(numbers: std::ops::Range<u64>) -> Vec<Value> {
    numbers
        .map(|n| {
            json!({"reason": "execute", "item": {"n": n}, "patch": [
                {"op": "add", "path": "/n", "value": n},
                {"op": "add", "path": "/list/-", "value": n},
            ]})
        })
        .collect()
}

fn batch(snapshots: &[Value]) -> Value {
    json!({ "snapshots": snapshots })
}

async fn send(api: &Api, id: u64, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let path = format!("/ltm/{id}/snapshots");
    api.post_text(&path, &body.to_string(), headers).await
}

/// Sends lines of JSON.
async fn send_lines(api: &Api, id: u64, lines: &str, headers: &[(&str, &str)]) -> Answer {
    let path = format!("/ltm/{id}/snapshots");
    let mut request = api.request(reqwest::Method::POST, &path);
    request = request.header("content-type", "application/x-ndjson");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(request.body(lines.to_owned())).await
}

/// The cursor and the number of snapshots now.
async fn head(api: &Api, id: u64) -> (String, u64) {
    let document = api.document(id).await;
    let cursor = document["cursor"].as_str().unwrap().to_owned();
    (cursor, document["snapshots_count"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_appended_whole_and_subscribers_get_its_snapshots_one_by_one() {
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({"list": []})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after={first}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let appended = send(&stack.api, id, &batch(&steps(0..3)), &[]).await;
    let etag = appended.header("etag").to_owned();
    let appended = appended.expect(201);
    let lines: Vec<String> = steps(3..5).iter().map(ToString::to_string).collect();
    let lines = format!("{}\r\n\n{}\n", lines[0], lines[1]);
    let more = send_lines(&stack.api, id, &lines, &[]).await.expect(201);

    let cursors = appended["cursors"].as_array().unwrap();
    assert_eq!((cursors.len(), &cursors[2]), (3, &appended["cursor"]));
    assert_eq!(etag, format!("\"{}\"", cursors[2].as_str().unwrap()));
    assert_eq!(appended["index"], 3);
    assert_eq!(appended["id"], id);
    assert_eq!(appended.as_object().unwrap().len(), 4, "{appended}");
    assert_eq!(
        (&more["index"], more["cursors"][1] == more["cursor"]),
        (&json!(5), true)
    );

    let all = cursors.iter().chain(more["cursors"].as_array().unwrap());
    for (n, cursor) in all.enumerate() {
        let message = subscriber.message().await;
        assert_eq!(message["cursor"], *cursor);
        assert_eq!(message["snapshot"]["item"]["n"], n);
    }
    // Another process reads the same from Redis.
    let other = Service::api(&stack.redis.url(), &[]);
    for api in [&stack.api, &Api::at(&other)] {
        let document = api.document(id).await;
        assert_eq!(document["state"], json!({"n": 4, "list": [0, 1, 2, 3, 4]}));
        assert_eq!(document["cursor"], more["cursor"]);
        let snapshots = document["snapshots"].as_array().unwrap();
        assert_eq!(snapshots.len(), 6);
        let state = api
            .get(&format!("/ltm/{id}/state?index=2"))
            .await
            .expect(200);
        assert_eq!(state["state"]["n"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_one_snapshot_names_it_and_nothing_of_the_batch_is_written() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"list": []})).await;
    let before = head(&stack.api, id).await;
    let faulty = [
        (
            json!({"merge": {}}),
            "invalid-request",
            "snapshots[2].reason",
        ),
        (
            json!({"reason": "x"}),
            "invalid-request",
            "snapshots[2].patch",
        ),
        (
            json!({"reason": "x", "merge": 7}),
            "invalid-request",
            "snapshots[2].merge",
        ),
        (
            json!({"reason": "x", "merge": {}, "itm": 1}),
            "invalid-request",
            "snapshots[2].itm",
        ),
        (
            json!({"reason": "x", "merge": {}, "time": "noon"}),
            "invalid-request",
            "snapshots[2].time",
        ),
        (
            json!({"reason": "x", "merge": {}, "base": "1-1"}),
            "invalid-request",
            "snapshots[2].base",
        ),
        (json!(7), "invalid-request", "snapshots[2]"),
        (
            json!({"reason": "x", "patch": [{"op": "remove"}]}),
            "invalid-request",
            "snapshots[2].patch[0]",
        ),
        (
            json!({"reason": "x", "patch": [{"op": "test", "path": "/n", "value": 1},
                {"op": "remove", "path": "/gone"}]}),
            "patch-failed",
            "snapshots[2].patch[1]",
        ),
    ];
    for (wrong, kind, field) in faulty {
        let mut snapshots = steps(0..4);
        snapshots[2] = wrong;
        let lines: Vec<String> = snapshots.iter().map(ToString::to_string).collect();
        let answers = [
            send(&stack.api, id, &batch(&snapshots), &[]).await,
            send_lines(&stack.api, id, &lines.join("\n"), &[]).await,
        ];
        for answer in answers {
            let problem = answer.problem(422, kind);
            assert_eq!(problem["field"], field, "{problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with("`snapshots[2]"), "{problem}");
            assert!(!detail.contains("the body"), "{problem}");
        }
    }
    // Text that is not JSON.
    let broken = format!(
        "{}\n{{\"reason\": \"x\", \"merge\": {{\"a\": NaN}}}}",
        steps(0..1)[0]
    );
    let problem = send_lines(&stack.api, id, &broken, &[])
        .await
        .problem(422, "invalid-request");
    assert_eq!(problem["field"], "snapshots[1].merge.a", "{problem}");
    let broken = r#"{"snapshots":[{"reason":"x","merge":{}},{"reason":"x","merge":{"a":NaN}}]}"#;
    let path = format!("/ltm/{id}/snapshots");
    let problem = stack
        .api
        .post_text(&path, broken, &[])
        .await
        .problem(422, "invalid-request");
    assert_eq!(problem["field"], "snapshots[1].merge.a", "{problem}");
    for (body, field) in [
        (json!({"snapshots": []}), "snapshots"),
        (json!({"snapshots": {}}), "snapshots"),
        (json!({"snapshots": [steps(0..1)[0]], "bse": "1-1"}), "bse"),
        (
            json!({"reason": "x", "snapshots": [steps(0..1)[0]]}),
            "reason",
        ),
        (json!({"snapshot": steps(0..1)[0]}), "snapshot"),
    ] {
        let problem = send(&stack.api, id, &body, &[])
            .await
            .problem(422, "invalid-request");
        assert_eq!(problem["field"], field, "{problem}");
    }
    send_lines(&stack.api, id, "\n\n", &[])
        .await
        .problem(422, "invalid-request");
    assert_eq!(head(&stack.api, id).await, before);
    // The state in memory is the one from before, too.
    let appended = send(&stack.api, id, &batch(&steps(0..2)), &[])
        .await
        .expect(201);
    assert_eq!(appended["index"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_only_for_snapshots() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    for path in [
        "/ltm".to_owned(),
        format!("/ltm/{id}/errors"),
        format!("/ltm/{id}/rollback"),
    ] {
        let request = stack.api.request(reqwest::Method::POST, &path);
        let request = request
            .header("content-type", "application/x-ndjson")
            .body("{}");
        stack
            .api
            .send(request)
            .await
            .problem(415, "unsupported-media-type");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn if_match_and_the_epoch_of_a_producer_count_for_the_whole_batch() {
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({"list": []})).await;
    let tag = format!("\"{first}\"");
    let based = |base: &str| json!({"base": base, "snapshots": steps(0..2)});
    let taken = send(&stack.api, id, &batch(&steps(0..2)), &[("if-match", &tag)]).await;
    let head = taken.expect(201)["cursor"].as_str().unwrap().to_owned();
    for refused in [
        send(&stack.api, id, &batch(&steps(0..2)), &[("if-match", &tag)]).await,
        send(&stack.api, id, &based(&first), &[]).await,
    ] {
        assert_eq!(refused.problem(412, "cursor-mismatch")["cursor"], head);
    }
    send(&stack.api, id, &based(&head), &[]).await.expect(201);

    let write = async |producer: &str| {
        let headers = [("ltm-producer", producer)];
        send(&stack.api, id, &batch(&steps(0..2)), &headers).await
    };
    write("engine;epoch=8").await.expect(201);
    write("engine;epoch=7").await.problem(409, "fenced");
    assert_eq!(stack.api.document(id).await["snapshots_count"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_batch_lands_once_and_has_the_same_answer_even_if_retention_removed_it() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "1")]);
    let other = Service::api(&stack.redis.url(), &[]);
    let apis = [stack.api.clone(), Api::at(&other)];
    let created =
        json!({"fqn": "tests.Ltm", "state": {"list": []}, "retention": {"max_entries": 1}});
    let created = stack.api.post("/ltm", &created).await.expect(200);
    let id = created["id"].as_u64().unwrap();
    let key = [("idempotency-key", "batch-1")];
    let body = batch(&steps(0..100));
    let answers = join_all((0..8).map(|n: usize| send(&apis[n % 2], id, &body, &key))).await;
    let fresh = answers
        .iter()
        .filter(|it| it.header("idempotent-replayed") != "true");
    assert_eq!(fresh.count(), 1);
    let answers: Vec<Value> = answers.into_iter().map(|it| it.expect(201)).collect();
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    assert_eq!(answers[0]["cursors"].as_array().unwrap().len(), 100);
    assert_eq!(stack.api.document(id).await["snapshots_count"], 101);

    until("retention has removed the batch", async || {
        send(&stack.api, id, &batch(&steps(100..101)), &[])
            .await
            .expect(201);
        let log = format!("ltm:{{{id}}}:log");
        stack.redis.cli(&["XRANGE", &log, "101", "101"]).is_empty()
    })
    .await;
    let again = send(&apis[1], id, &body, &key).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(201), answers[0]);
    let another = batch(&steps(0..99));
    let problem = send(&stack.api, id, &another, &key)
        .await
        .problem(422, "key-reused");
    assert_eq!(problem["field"], "Idempotency-Key");
}

/// The body of one snapshot and that of a batch with one line can be the same text.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_snapshot_is_not_that_of_a_batch_with_one_line() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"list": []})).await;
    let step = steps(0..1)[0].to_string();
    let key = [("idempotency-key", "k")];
    let path = format!("/ltm/{id}/snapshots");
    stack.api.post_text(&path, &step, &key).await.expect(201);
    send_lines(&stack.api, id, &step, &key)
        .await
        .problem(422, "key-reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_the_latest_entries_are_remembered_and_those_before_a_long_batch_forgotten() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"list": []})).await;
    let one = async |key: &str| {
        let headers = [("idempotency-key", key)];
        let step = json!({"reason": "execute", "merge": {}});
        let answer = send(&stack.api, id, &step, &headers).await;
        assert_eq!(answer.status, 201);
        answer.header("idempotent-replayed") == "true"
    };
    assert!(!one("first").await);
    let long = vec![json!({"reason": "execute", "merge": {}}); 1000];
    for n in 0..3 {
        let key = format!("batch-{n}");
        let headers = [("idempotency-key", key.as_str())];
        send(&stack.api, id, &batch(&long), &headers)
            .await
            .expect(201);
        assert_eq!(one("first").await, n != 1, "{n}");
    }
    let keys = stack.redis.cli(&["HKEYS", &format!("ltm:{{{id}}}:idem")]);
    let kept = keys.lines().filter(|key| key.starts_with("k:")).count();
    let places = keys.lines().filter(|key| key.starts_with("r:")).count();
    assert_eq!(kept, places, "{keys}");
    assert!(kept <= 3, "{keys}");
}
