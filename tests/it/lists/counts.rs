//! `GET /ltm/counts`, and the metrics `ltm_ltms` and `ltm_active_without_entry_seconds`.

use ltm_tests::{Api, Scrape, Stack, until};
use reqwest::Method;
use serde_json::{Value, json};

async fn create(api: &Api, fqn: &str, status: Option<&str>) -> u64 {
    let state = status.map_or(json!({}), |status| json!({"_status": status}));
    let created = api
        .post("/ltm", &json!({"fqn": fqn, "state": state}))
        .await
        .expect(200);
    created["id"].as_u64().unwrap()
}

async fn until_counts_are(api: &Api, query: &str, expected: &Value) {
    until("the counts are right", async || {
        let answer = api.get(&format!("/ltm/counts?{query}")).await;
        let incomplete = answer.header("ltm-incomplete").to_owned();
        let counts = answer.expect(200);
        if counts == *expected && incomplete.is_empty() {
            Ok(())
        } else {
            Err((counts, incomplete))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counts_follow_what_is_created_changed_and_deleted() {
    let stack = Stack::with(&[("LTM__API__LIST_INTERVAL", "100ms")]);
    let api = &stack.api;
    let first = create(api, "app.Agent", Some("active")).await;
    create(api, "app.Agent", Some("active")).await;
    create(api, "app.Other", Some("odd")).await;
    create(api, "app.Other", None).await;
    let body = json!({"fqn": "app.Agent", "playground": true, "state": {"_status": "init"}});
    api.post("/ltm", &body).await.expect(200);
    let counts = json!({"total": 4, "status": {"active": 2, "odd": 1}, "fqn": {"app.Agent": 2, "app.Other": 2}});
    until_counts_are(api, "", &counts).await;
    let counts = json!({"total": 1, "status": {"init": 1}, "fqn": {"app.Agent": 1}});
    until_counts_are(api, "playground=true", &counts).await;
    api.append(first, json!({"merge": {"_status": "finished"}}))
        .await;
    let counts = json!({"total": 4, "status": {"active": 1, "finished": 1, "odd": 1}, "fqn": {"app.Agent": 2, "app.Other": 2}});
    until_counts_are(api, "", &counts).await;

    // A word that an engine made up is no label.
    until("the metric shows the counts", async || {
        let scrape = Scrape::of(&stack.api_service).await;
        let value = |status: &str| scrape.value(&format!("ltm_ltms{{status=\"{status}\"}}"));
        let values = ["active", "finished", "error", "other"].map(value);
        if values == [1.0, 1.0, 0.0, 2.0] {
            Ok(())
        } else {
            Err(values)
        }
    })
    .await;

    api.send(api.request(Method::DELETE, &format!("/ltm/{first}")))
        .await
        .expect(200);
    let counts = json!({"total": 3, "status": {"active": 1, "odd": 1}, "fqn": {"app.Agent": 1, "app.Other": 2}});
    until_counts_are(api, "", &counts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_shows_for_how_long_an_active_ltm_has_had_no_entry() {
    let stack = Stack::with(&[("LTM__API__LIST_INTERVAL", "100ms")]);
    create(&stack.api, "app.Agent", Some("finished")).await;
    let metric = async || {
        let scrape = Scrape::of(&stack.api_service).await;
        scrape.value("ltm_active_without_entry_seconds")
    };
    until("nothing is active", async || match metric().await {
        0.0 => Ok(()),
        other => Err(other),
    })
    .await;
    create(&stack.api, "app.Agent", Some("active")).await;
    let stalled = create(&stack.api, "app.Agent", Some("active")).await;
    create(&stack.api, "app.Agent", Some("active")).await;
    // This one has had no entry since 2020, and the index knows.
    let meta = format!("ltm:{{{stalled}}}:meta");
    let old = "2020-01-01T00:00:00Z";
    stack.redis.cli(&["HSET", &meta, "updated_at", old]);
    let member = format!("{stalled:020}");
    stack
        .redis
        .cli(&["ZADD", "ltm:{list}:updated", "1577836800000", &member]);
    const YEAR: f64 = 365.0 * 24.0 * 3600.0;
    until("the metric shows its time", async || match metric().await {
        years if years > 6.0 * YEAR => Ok(()),
        other => Err(other),
    })
    .await;
    stack
        .api
        .append(stalled, json!({"merge": {"_status": "finished"}}))
        .await;
    until("the metric shows the others", async || {
        match metric().await {
            seconds if seconds > 0.0 && seconds < YEAR => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn combinations_of_class_and_status_are_counted_up_to_a_limit() {
    let stack = Stack::start();
    let nothing = json!({"total": 0, "status": {}, "fqn": {}});
    until_counts_are(&stack.api, "", &nothing).await;
    let fill =
        "for n = 1, 10000 do redis.call('HSET', KEYS[1], '0app.C' .. n .. '\\31', 1) end return 1";
    let counts = "ltm:{list}:counts";
    stack.redis.cli(&["EVAL", fill, "1", counts]);
    create(&stack.api, "app.More", Some("odd")).await;
    until("it is counted with all others", async || {
        let others = stack.redis.cli(&["HGET", counts, "?"]);
        if others == "1" { Ok(()) } else { Err(others) }
    })
    .await;
    assert_eq!(stack.redis.cli(&["HLEN", counts]), "10001");
    let answer = stack.api.get("/ltm/counts").await;
    assert_eq!(answer.header("ltm-incomplete"), "true");
    let answer = answer.expect(200);
    assert_eq!(answer["fqn"].as_object().unwrap().len(), 100);
    // The filters do not need the counts.
    let rows = stack.api.get("/ltm?status=odd").await.expect(200);
    assert_eq!(rows.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_counts_a_status_that_a_hundred_others_exceed() {
    let stack = Stack::start();
    let fill =
        "for n = 1, 100 do redis.call('HSET', KEYS[1], '0app.Agent\\31odd' .. n, 2) end return 1";
    until_counts_are(
        &stack.api,
        "",
        &json!({"total": 0, "status": {}, "fqn": {}}),
    )
    .await;
    stack.redis.cli(&["EVAL", fill, "1", "ltm:{list}:counts"]);
    create(&stack.api, "app.Agent", Some("active")).await;
    until("the metric shows the counts", async || {
        let scrape = Scrape::of(&stack.api_service).await;
        let value = |status: &str| scrape.value(&format!("ltm_ltms{{status=\"{status}\"}}"));
        let values = ["active", "other"].map(value);
        if values == [1.0, 200.0] {
            Ok(())
        } else {
            Err(values)
        }
    })
    .await;
    let answer = stack.api.get("/ltm/counts").await;
    assert_eq!(answer.header("ltm-incomplete"), "true");
    assert_eq!(answer.expect(200)["status"].as_object().unwrap().len(), 100);
}
