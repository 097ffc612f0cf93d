//! Rollbacks, errors, deletion and lists. `copies`, `retention` and `rollback_pages` have the rest.

mod copies;
mod retention;
mod rollback_pages;

use ltm_tests::{Api, Stack, Subscriber, fold};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) async fn rollback(api: &Api, id: u64, body: Value) -> ltm_tests::Answer {
    api.post(&format!("/ltm/{id}/rollback"), &body).await
}

/// An LTM with the snapshots 0 to `last`, whose states are `{"n": index}`.
pub(crate) async fn counted(api: &Api, last: u64) -> u64 {
    let (id, _) = api.create(json!({"n": 0})).await;
    count(api, id, 1..=last).await;
    id
}

pub(crate) async fn count(api: &Api, id: u64, numbers: impl Iterator<Item = u64>) {
    for n in numbers {
        api.append(id, json!({"merge": {"n": n}})).await;
    }
}

pub(crate) async fn with_rollbacks(api: &Api, id: u64) -> Value {
    api.get(&format!("/ltm/{id}?rollbacks=true"))
        .await
        .expect(200)
}

pub(crate) fn numbers(document: &Value) -> Vec<u64> {
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
        (json!({"snapshot": {}}), "snapshot.index"),
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
    // What recognises a repeated request goes by itself.
    let idem = format!("ltm:{{{id}}}:idem");
    assert_ne!(stack.redis.cli(&["TTL", &idem]), "-1");
    stack.redis.cli(&["DEL", &idem]);
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
