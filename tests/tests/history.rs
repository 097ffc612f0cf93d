//! Going back, copying, keeping and forgetting.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use ltm_tests::{Api, Follower, Heard, LIMIT, Service, Stack, Subscriber, binary, fold, same};
use reqwest::Method;
use serde_json::{Value, json};

async fn rollback(api: &Api, id: u64, body: Value) -> ltm_tests::Answer {
    api.post(&format!("/ltm/{id}/rollback"), &body).await
}

/// An LTM with the snapshots 0 to `last`, whose states are `{"n": index}`.
async fn counted(api: &Api, last: u64) -> u64 {
    let (id, _) = api.create(json!({"n": 0})).await;
    count(api, id, 1..=last).await;
    id
}

async fn count(api: &Api, id: u64, numbers: impl Iterator<Item = u64>) {
    for n in numbers {
        api.append(id, json!({"merge": {"n": n}})).await;
    }
}

async fn with_rollbacks(api: &Api, id: u64) -> Value {
    api.get(&format!("/ltm/{id}?rollbacks=true"))
        .await
        .expect(200)
}

fn numbers(document: &Value) -> Vec<u64> {
    let snapshots = document["snapshots"].as_array().unwrap();
    let number = |count: usize| fold(&snapshots[..count])["n"].as_u64().unwrap();
    (1..=snapshots.len()).map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_keeps_the_snapshot_and_says_how_to_get_there() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = counted(api, 4).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let answer = rollback(api, id, json!({"snapshot": {"index": 2}}))
        .await
        .expect(200);
    assert_eq!(answer["success"], true);
    assert_eq!(answer["snapshot_index"], 2);
    assert_eq!(answer["snapshots_count"], 3);
    let message = subscriber.message().await;
    assert_eq!(message["id"], id);
    assert_eq!(message["cursor"], answer["cursor"]);
    assert_eq!(message["snapshot_index"], 2);
    assert_eq!(message["rollback"]["reason"], "manual");
    assert_eq!(
        message["rollback"]["patch"],
        json!([{"op": "replace", "path": "/n", "value": 2}])
    );

    count(api, id, [30].into_iter()).await;
    let document = with_rollbacks(api, id).await;
    assert_eq!(numbers(&document), [0, 1, 2, 30]);
    assert_eq!(document["state"], json!({"n": 30}));
    assert_eq!(document["snapshots_count"], 4);
    let taken_out = &document["rollbacks"][0];
    assert_eq!(taken_out["reason"], "manual");
    assert_eq!(taken_out["time"], message["rollback"]["time"]);
    assert_eq!(taken_out["state"], json!({"n": 4}));
    assert_eq!(numbers(taken_out), [0, 1, 2, 3, 4]);
    let plain = api.document(id).await;
    assert_eq!(plain.get("rollbacks"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_undone_and_that_again() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = counted(api, 3).await;
    rollback(api, id, json!({"snapshot": {"index": 0}}))
        .await
        .expect(200);
    count(api, id, [10].into_iter()).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let answer = rollback(api, id, json!({"rollback": {"index": 0}}))
        .await
        .expect(200);
    assert_eq!(answer["snapshot_index"], Value::Null);
    let message = subscriber.message().await;
    assert_eq!(message["snapshot_index"], Value::Null);
    assert_eq!(message["rollback"]["snapshots_count"], 4);
    assert_eq!(message["rollback"]["rollback_index"], 0);
    assert_eq!(numbers(&api.document(id).await), [0, 1, 2, 3]);
    rollback(api, id, json!({"rollback": {"index": 1}}))
        .await
        .expect(200);
    let document = with_rollbacks(api, id).await;
    assert_eq!(numbers(&document), [0, 10]);
    let reasons: Vec<_> = document["rollbacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rollback| rollback["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["manual", "recover rollback", "recover rollback"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_back_to_before_the_snapshot_and_of_the_first_to_nothing() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = counted(api, 3).await;
    let replay = |index: u64| json!({"snapshot": {"index": index, "replay": true}});
    let answer = rollback(api, id, replay(2)).await.expect(200);
    assert_eq!(answer["snapshot_index"], 1);
    assert_eq!(numbers(&api.document(id).await), [0, 1]);
    let answer = rollback(api, id, replay(0)).await.expect(200);
    assert_eq!(answer["snapshot_index"], -1);
    let document = api.document(id).await;
    assert_eq!(document["state"], json!({}));
    assert_eq!(document["snapshots"], json!([]));
    let state = api.get(&format!("/ltm/{id}/state")).await.expect(200);
    assert_eq!((&state["index"], &state["state"]), (&json!(-1), &json!({})));
    let again = json!({"reason": "start", "state": {"n": 7}});
    assert_eq!(api.append(id, again).await["index"], 0);
    let document = with_rollbacks(api, id).await;
    assert_eq!(numbers(&document), [7]);
    assert_eq!(document["rollbacks"][1]["reason"], "replay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_there_is_refused_and_nothing_is_written() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = counted(api, 2).await;
    let cursor = api.document(id).await["cursor"].clone();
    for (body, field) in [
        (json!({"snapshot": {"index": 3}}), "snapshot.index"),
        (json!({"snapshot": {"index": -1}}), "snapshot.index"),
        (
            json!({"snapshot": {"index": 3, "replay": true}}),
            "snapshot.index",
        ),
        (json!({"snapshot": {}}), "snapshot"),
        (json!({"rollback": {"index": 0}}), "rollback.index"),
        (json!({"rollback": {"index": -1}}), "rollback.index"),
        (json!({}), "snapshot"),
        (json!({"snapshot": {"index": 1}, "time": "soon"}), "time"),
    ] {
        let problem = rollback(api, id, body.clone())
            .await
            .problem(422, "invalid-request");
        assert_eq!(problem["field"], field, "{body}");
    }
    for query in ["index=3", "index=0&rollback=0", "rollback=0", "index=x"] {
        let path = format!("/ltm/{id}/state?{query}");
        api.get(&path).await.problem(422, "invalid-request");
    }
    rollback(api, 99, json!({"snapshot": {"index": 0}}))
        .await
        .problem(404, "unknown-ltm");
    assert_eq!(api.document(id).await["cursor"], cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_has_the_conditions_that_an_append_has() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = counted(api, 3).await;
    let cursor = api.document(id).await["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/ltm/{id}/rollback");
    let body = r#"{"snapshot":{"index":1}}"#;
    let stale = [("If-Match", "\"1-1\"")];
    api.post_text(&path, body, &stale)
        .await
        .problem(412, "cursor-mismatch");
    let tag = format!("\"{cursor}\"");
    let once = [("If-Match", tag.as_str()), ("Idempotency-Key", "once")];
    let first = api.post_text(&path, body, &once).await.expect(200);
    let again = api.post_text(&path, body, &once).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(200), first);
    let other = r#"{"snapshot":{"index":0}}"#;
    api.post_text(&path, other, &once)
        .await
        .problem(422, "key-reused");
    let epoch = |n: &'static str| [("Ltm-Producer", n)];
    api.post_text(&path, other, &epoch("engine;epoch=2"))
        .await
        .expect(200);
    api.post_text(&path, other, &epoch("engine;epoch=1"))
        .await
        .problem(409, "fenced");
    assert_eq!(
        with_rollbacks(api, id).await["rollbacks"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_keeps_the_time_that_its_producer_gives() {
    let stack = Stack::start();
    let api = &stack.api;
    let body = json!({"fqn": "tests.Ltm", "time": "2026-01-02 03:04:05.5"});
    let id = api.post("/ltm", &body).await.expect(200)["id"]
        .as_u64()
        .unwrap();
    let append = json!({"merge": {"n": 1}, "time": "2026-01-02T04:04:06+01:00"});
    api.append(id, append).await;
    let document = api.document(id).await;
    let times: Vec<_> = document["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["time"])
        .collect();
    assert_eq!(
        times,
        ["2026-01-02T03:04:05.500000Z", "2026-01-02T03:04:06.000000Z"]
    );
    assert_eq!(document["created_at"], "2026-01-02T03:04:05.500000Z");
}

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
    until(async || {
        api.post(&format!("/ltm/{id}/errors"), &error)
            .await
            .expect(200);
        let kept = stack.redis.cli(&["XRANGE", &log, "-", "+"]);
        (!kept.contains("snapshot")).then_some(())
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

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_recorded_updated_shown_and_broadcast() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = counted(api, 0).await;
    let path = format!("/ltm/{id}/errors");
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let uuid = "1b792e94-5709-40ad-9301-71627ba56ead";
    let body = json!({"id": uuid, "reason": "execute", "item": {"fqn": "a.b"}, "retrying": true,
        "retries": [{"time": "T", "type": "Error", "description": "d", "details": "…"}]});
    let recorded = api.post(&path, &body).await.expect(200);
    assert_eq!(subscriber.message().await, recorded);
    count(api, id, [1].into_iter()).await;
    assert_eq!(subscriber.message().await["snapshot"]["reason"], "execute");
    let update = json!({"id": uuid, "retrying": false, "success": true});
    let updated = api.post(&path, &update).await.expect(200);
    assert_eq!(subscriber.message().await, updated);
    let error = &updated["error"];
    assert_eq!(error["ltm_id"], id);
    assert_eq!(error["created_at"], recorded["error"]["created_at"]);
    assert_eq!(error["item"], json!({"fqn": "a.b"}));
    assert_eq!(error["retries"], body["retries"]);
    assert_eq!(
        (&error["retrying"], &error["success"]),
        (&json!(false), &json!(true))
    );
    let document = api.document(id).await;
    assert_eq!(document["errors"], json!([error]));
    assert_eq!(document["snapshots_count"], 2);
    for (body, field) in [
        (json!({"item": {}}), "."),
        (json!({"id": "7"}), "id"),
        (json!({"id": uuid, "retries": {}}), "retries"),
        (json!({"id": uuid, "success": "maybe"}), "success"),
    ] {
        let problem = api.post(&path, &body).await.problem(422, "invalid-request");
        assert!(problem["field"] == field || field == ".", "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_ltm_is_told_to_its_subscribers_and_its_id_is_never_given_again() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = counted(api, 2).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let delete = || api.request(Method::DELETE, &format!("/ltm/{id}"));
    let stale = delete().header("If-Match", "\"1-1\"");
    api.send(stale).await.problem(412, "cursor-mismatch");
    let deleted = api.send(delete()).await.expect(200);
    assert_eq!(subscriber.message().await, deleted);
    assert_eq!(deleted["deleted"], true);
    assert_eq!(subscriber.close_code().await, 4410);

    // Whoever comes later is told, too.
    for query in ["", "?after=0", "?after=3-7", "?init=state&live=1"] {
        let mut late = Subscriber::connect(&format!("{url}{query}")).await.unwrap();
        assert_eq!(late.message().await, deleted, "{query}");
        assert_eq!(late.close_code().await, 4410);
    }
    api.send(delete()).await.problem(410, "deleted-ltm");
    for path in ["", "/state", "/snapshots", "?rollbacks=true"] {
        let path = format!("/ltm/{id}{path}");
        api.get(&path).await.problem(410, "deleted-ltm");
    }
    let step = json!({"reason": "execute", "merge": {}});
    let path = format!("/ltm/{id}/snapshots");
    api.post(&path, &step).await.problem(410, "deleted-ltm");
    rollback(api, id, json!({"snapshot": {"index": 0}}))
        .await
        .problem(410, "deleted-ltm");
    let keys = stack.redis.cli(&["KEYS", &format!("ltm:{{{id}}}:*")]);
    assert_eq!(keys.trim(), format!("ltm:{{{id}}}:deleted"));
    assert_eq!(api.get("/ltm").await.expect(200), json!([]));
    let again = json!({"fqn": "tests.Ltm", "id": id});
    api.post("/ltm", &again).await.problem(409, "id-taken");
    let (next, _) = api.create(json!({})).await;
    assert!(next > id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_whose_message_was_lost_is_found() {
    let stack = Stack::with(&[("LTM__GATEWAY__SWEEP_INTERVAL", "200ms")]);
    let id = counted(&stack.api, 1).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let key = |name: &str| format!("ltm:{{{id}}}:{name}");
    stack.redis.cli(&["SET", &key("deleted"), "3-3"]);
    stack.redis.cli(&["DEL", &key("meta"), &key("log")]);
    let message = subscriber.message().await;
    assert_eq!(
        (&message["deleted"], &message["cursor"]),
        (&json!(true), &json!("3-3"))
    );
    assert_eq!(subscriber.close_code().await, 4410);
}

/// Waits until a condition holds.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "it never comes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_trimmed(api: &Api, id: u64) -> Value {
    until(async || {
        let document = api.document(id).await;
        (document["first_index"] != 0).then_some(document)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_trimmed_by_count_and_its_document_still_makes_the_state() {
    let stack = Stack::with(&[
        ("LTM__API__CHECKPOINT_EVERY", "10"),
        ("LTM__RETENTION__MAX_ENTRIES", "20"),
    ]);
    let api = &stack.api;
    let body = json!({"fqn": "tests.Ltm", "state": {"n": 0, "a/b": [1]}});
    let id = api.post("/ltm", &body).await.expect(200)["id"]
        .as_u64()
        .unwrap();
    let early = api.document(id).await;
    let all = json!({"fqn": "tests.Ltm", "state": {"n": 0}, "retention": {"max_entries": null}});
    let kept = api.post("/ltm", &all).await.expect(200)["id"]
        .as_u64()
        .unwrap();
    count(api, id, 1..=200).await;
    count(api, kept, 1..=200).await;

    let document = until_trimmed(api, id).await;
    let first = document["first_index"].as_u64().unwrap();
    let snapshots = document["snapshots"].as_array().unwrap();
    assert_eq!(first + snapshots.len() as u64, 201);
    assert_eq!(snapshots[0]["reason"], "trimmed");
    assert!(snapshots[0]["time"].as_str().unwrap() < snapshots[1]["time"].as_str().unwrap());
    for operation in snapshots[0]["patch"].as_array().unwrap() {
        assert_eq!(operation["op"], "add");
        assert_ne!(operation["path"], "");
    }
    assert!(same(&fold(snapshots), &document["state"]));
    assert_eq!(numbers(&document)[0], first);
    let entries: u64 = stack
        .redis
        .cli(&["XLEN", &format!("ltm:{{{id}}}:log")])
        .trim()
        .parse()
        .unwrap();
    assert!((20..=35).contains(&entries), "{entries} entries are kept");

    // Time travel and rollback reach as far as there is something.
    let at = async |index: u64| api.get(&format!("/ltm/{id}/state?index={index}")).await;
    assert_eq!(at(first).await.expect(200)["state"]["n"], first);
    at(first - 1).await.problem(422, "invalid-request");
    let page = api
        .get(&format!("/ltm/{id}/snapshots?from=0&limit=2"))
        .await
        .expect(200);
    assert_eq!(page["from"], first);
    assert_eq!(page["snapshots"][0]["reason"], "trimmed");
    rollback(api, id, json!({"snapshot": {"index": first - 1}}))
        .await
        .problem(422, "invalid-request");
    rollback(api, id, json!({"snapshot": {"index": first}}))
        .await
        .expect(200);
    assert_eq!(api.document(id).await["state"]["n"], first);

    // A subscriber from before the trim gets the state.
    let mut follower = Follower::of(&early);
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let at_end = |follower: &Follower| follower.state["n"] == first;
    follower.follow_until(&[url], at_end).await;
    assert_eq!(follower.resets, ["trimmed"]);

    assert_eq!(api.document(kept).await["first_index"], 0);
    assert_eq!(
        api.document(kept).await["snapshots"]
            .as_array()
            .unwrap()
            .len(),
        201
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_too_old_are_removed() {
    let stack = Stack::with(&[("LTM__API__RETENTION_INTERVAL", "100ms")]);
    let api = &stack.api;
    let body = json!({"fqn": "tests.Ltm", "state": {"n": 0}, "time": "2020-01-01T00:00:00Z",
        "retention": {"max_age": "24h"}});
    let id = api.post("/ltm", &body).await.expect(200)["id"]
        .as_u64()
        .unwrap();
    for n in 1..=3 {
        let time = format!("2020-01-0{n}T00:00:00Z");
        api.append(id, json!({"merge": {"n": n}, "time": time}))
            .await;
    }
    count(api, id, 4..=5).await;
    let document = until_trimmed(api, id).await;
    assert_eq!(document["first_index"], 3);
    assert_eq!(numbers(&document), [3, 4, 5]);
    assert_eq!(
        document["snapshots"][0]["time"],
        "2020-01-03T00:00:00.000000Z"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_ltm_is_deleted_and_one_that_goes_on_is_not() {
    let stack = Stack::with(&[
        ("LTM__API__RETENTION_INTERVAL", "100ms"),
        ("LTM__RETENTION__IDLE_TTL", "300ms"),
    ]);
    let api = &stack.api;
    let keep = json!({"fqn": "tests.Ltm", "retention": {"idle_ttl": null}});
    let kept = api.post("/ltm", &keep).await.expect(200)["id"]
        .as_u64()
        .unwrap();
    let (id, _) = api.create(json!({})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    loop {
        match subscriber.hear().await {
            Heard::Message(message) => assert_eq!(message["deleted"], true),
            Heard::Closed(code) => break assert_eq!(code, 4410),
            Heard::Lost => panic!("the gateway says why it ends"),
        }
    }
    api.get(&format!("/ltm/{id}"))
        .await
        .problem(410, "deleted-ltm");
    api.get(&format!("/ltm/{kept}")).await.expect(200);
    assert_eq!(
        api.get("/ltm").await.expect(200).as_array().unwrap().len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retention_that_cannot_be_read_is_refused() {
    let stack = Stack::start();
    for retention in [
        json!({"max_entires": 5}),
        json!({"max_entries": -5}),
        json!({"max_age": "a while"}),
        json!({"idle_ttl": 5}),
        json!(7),
    ] {
        let body = json!({"fqn": "tests.Ltm", "retention": retention});
        let problem = stack
            .api
            .post("/ltm", &body)
            .await
            .problem(422, "invalid-request");
        let field = problem["field"].as_str().unwrap();
        assert!(field.starts_with("retention"), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_an_ltm_reads_only_what_came_after_the_last_checkpoint() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "100")]);
    let api = &stack.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    let item = "x".repeat(1000);
    for n in 1..=450 {
        api.append(id, json!({"merge": {"n": n}, "item": item}))
            .await;
    }
    let key = format!("ltm:{{{id}}}:checkpoint");
    until(async || {
        let cursor = stack.redis.cli(&["HGET", &key, "cursor"]);
        let seq: u64 = cursor.trim().split('-').next()?.parse().ok()?;
        (seq >= 400).then_some(())
    })
    .await;
    let sent = || stack.redis.info("stats", "total_net_output_bytes");
    let fresh = Service::api(&stack.redis.url(), &[]);
    let fresh = Api::at(&fresh);
    let before = sent();
    let appended = fresh.append(id, json!({"merge": {"n": 451}})).await;
    assert_eq!(appended["index"], 451);
    let read = sent() - before;
    // Fifty of 450 entries, and what the questions cost.
    assert!(read < 100_000, "{read} bytes were read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_can_be_of_one_class_and_forgets_what_is_gone() {
    let stack = Stack::start();
    let api = &stack.api;
    let mut ids = Vec::new();
    for n in 0..6 {
        let fqn = if n % 2 == 0 {
            "app.Even & odd"
        } else {
            "app.Other"
        };
        let created = api.post("/ltm", &json!({"fqn": fqn})).await.expect(200);
        ids.push(created["id"].as_u64().unwrap());
    }
    let listed = async |path: &str| -> (Vec<u64>, String) {
        let answer = api.get(path).await;
        let link = answer.header("link").to_owned();
        let rows = answer.expect(200);
        let rows = rows.as_array().unwrap();
        (
            rows.iter().map(|row| row["id"].as_u64().unwrap()).collect(),
            link,
        )
    };
    let (first, link) = listed("/ltm?fqn=app.Even%20%26%20odd&limit=2").await;
    assert_eq!(first, [ids[4], ids[2]]);
    let next = link
        .split(['<', '>'])
        .nth(1)
        .unwrap()
        .strip_prefix("/api/v0")
        .unwrap()
        .to_owned();
    assert_eq!(listed(&next).await, (vec![ids[0]], String::new()));
    assert_eq!(listed("/ltm?fqn=app.None").await.0, [0; 0]);

    // An LTM that is gone without having been deleted: not listed, and after a while not indexed.
    let gone = ids[3];
    stack.redis.cli(&[
        "DEL",
        &format!("ltm:{{{gone}}}:meta"),
        &format!("ltm:{{{gone}}}:log"),
    ]);
    let member = format!("{gone:020}");
    for index in ["ltm:index", "ltm:index:fqn:app.Other"] {
        let path = if index == "ltm:index" {
            "/ltm"
        } else {
            "/ltm?fqn=app.Other"
        };
        assert!(!listed(path).await.0.contains(&gone));
        assert_eq!(stack.redis.cli(&["ZSCORE", index, &member]).trim(), "0");
    }
    stack
        .redis
        .cli(&["ZADD", "ltm:index:missing", "XX", "1000", &member]);
    for (index, path) in [
        ("ltm:index", "/ltm"),
        ("ltm:index:fqn:app.Other", "/ltm?fqn=app.Other"),
    ] {
        stack
            .redis
            .cli(&["ZADD", "ltm:index:missing", "1000", &member]);
        assert!(!listed(path).await.0.contains(&gone));
        assert_eq!(stack.redis.cli(&["ZSCORE", index, &member]).trim(), "");
    }
}
