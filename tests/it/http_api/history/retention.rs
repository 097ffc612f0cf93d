//! What is kept, for how long, and what reading it takes.

use ltm_tests::{Api, Follower, Heard, Service, Stack, Subscriber, fold, same, until};
use serde_json::{Value, json};

use super::{count, numbers, rollback};

async fn until_trimmed(api: &Api, id: u64) -> Value {
    until("the API has trimmed the log", async || {
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
    // A sweep may have come between two appends: then another one removes the rest.
    let document = until("the old entries are removed", async || {
        let document = api.document(id).await;
        (document["first_index"] == 3).then_some(document)
    })
    .await;
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
    until("the checkpoint is at 400", async || {
        let cursor = stack.redis.cli(&["HGET", &key, "cursor"]);
        let seq = cursor.split('-').next().and_then(|seq| seq.parse().ok());
        if seq >= Some(400) { Ok(()) } else { Err(seq) }
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

/// The bytes of all payloads in a log.
fn payload_bytes(stack: &Stack, id: u64) -> usize {
    let log = format!("ltm:{{{id}}}:log");
    let entries = stack.redis.cli(&["--json", "XRANGE", &log, "-", "+"]);
    let entries: Vec<(String, Vec<String>)> = serde_json::from_str(&entries).unwrap();
    entries.iter().map(|(_, fields)| fields[1].len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_trimmed_by_bytes_by_a_setting_and_by_its_own_rule() {
    const MOST: usize = 256 * 1024;
    let stack = Stack::with(&[("LTM__RETENTION__MAX_BYTES", "256 KiB")]);
    let api = &stack.api;
    let create = async |retention: Value| {
        let body = json!({"fqn": "tests.Ltm", "state": {"n": 0}, "retention": retention});
        let created = api.post("/ltm", &body).await.expect(200);
        created["id"].as_u64().unwrap()
    };
    let append = async |id: u64, n: usize| {
        let item = "x".repeat(1000 + n % 7 * 4000);
        api.append(id, json!({"item": item, "merge": {"n": n}}))
            .await;
    };
    let by_setting = create(json!({})).await;
    let own = create(json!({"max_bytes": MOST / 2})).await;
    let unlimited = create(json!({"max_bytes": null})).await;
    for id in [by_setting, own, unlimited] {
        for n in 1..=100 {
            append(id, n).await;
        }
    }
    let all = payload_bytes(&stack, unlimited);
    assert!(all > 4 * MOST);
    for (id, most) in [(by_setting, MOST), (own, MOST / 2)] {
        // A quarter more, and what makes a trim worth its cost.
        until(&format!("the log of LTM {id} is trimmed"), async || {
            append(id, 0).await;
            let bytes = payload_bytes(&stack, id);
            if bytes < most + most / 4 + 64 * 1024 {
                Ok(())
            } else {
                Err(bytes)
            }
        })
        .await;
        let bytes = payload_bytes(&stack, id);
        assert!(bytes > most / 2, "{bytes} of {most} are left");
        let document = api.document(id).await;
        let snapshots = document["snapshots"].as_array().unwrap();
        assert_eq!(snapshots[0]["reason"], "trimmed");
        assert!(same(&fold(snapshots), &document["state"]));
    }

    // An older version has not counted, and a copy counts anew.
    let copied = api
        .post(&format!("/ltm/{unlimited}/copy"), &json!({}))
        .await;
    let copied = copied.expect(200)["copy_id"].as_u64().unwrap();
    for (id, counted) in [(copied, true), (unlimited, false)] {
        let meta = format!("ltm:{{{id}}}:meta");
        let bytes = stack.redis.cli(&["HGET", &meta, "bytes"]);
        assert!(bytes.ends_with(&format!(" - {all}")), "{bytes}");
        if !counted {
            stack.redis.cli(&["HDEL", &meta, "bytes"]);
        }
        let rule = json!({"max_bytes": MOST}).to_string();
        stack.redis.cli(&["HSET", &meta, "retention", &rule]);
        let fresh = Service::api(&stack.redis.url(), &[]);
        let fresh = Api::at(&fresh);
        until(&format!("the log of LTM {id} is trimmed"), async || {
            let item = "x".repeat(10_000);
            fresh.append(id, json!({"item": item, "merge": {}})).await;
            let bytes = payload_bytes(&stack, id);
            // A trim counts only if nothing is written meanwhile.
            let counted = stack.redis.cli(&["HGET", &meta, "bytes"]);
            let is_counted = counted.trim().ends_with(&format!(" {bytes}"));
            if bytes < MOST + MOST / 4 + 64 * 1024 && is_counted {
                Ok(())
            } else {
                Err((bytes, counted))
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_keep_creators_from_keeping_more() {
    let stack = Stack::with(&[
        ("LTM__API__CHECKPOINT_EVERY", "10"),
        ("LTM__RETENTION__MAX_ENTRIES", "20"),
        ("LTM__RETENTION__ENFORCED", "true"),
    ]);
    let api = &stack.api;
    for (own, at_most) in [(json!(null), 35), (json!(1_000_000), 35), (json!(5), 15)] {
        let body = json!({"fqn": "tests.Ltm", "state": {}, "retention": {"max_entries": own}});
        let created = api.post("/ltm", &body).await.expect(200);
        let id = created["id"].as_u64().unwrap();
        count(api, id, 1..=100).await;
        until_trimmed(api, id).await;
        let log = format!("ltm:{{{id}}}:log");
        let entries: u64 = stack.redis.cli(&["XLEN", &log]).trim().parse().unwrap();
        assert!(entries <= at_most, "{own}: {entries} entries are kept");
    }
}
