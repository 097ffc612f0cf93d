//! `/metrics`: every event changes its metric, and the number of series stays bounded.

use std::collections::BTreeSet;

use ltm_tests::{Api, RawConnection, Scrape, Service, Stack, Subscriber, until};
use reqwest::Method;
use serde_json::json;

/// Whether this series is at this value.
fn check(scrape: &Scrape, expected: &[(&str, f64)]) {
    for (series, value) in expected {
        assert_eq!(scrape.value(series), *value, "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_counts_what_it_writes() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "4")]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    for n in 1..=8 {
        stack.api.append(id, json!({"merge": {"n": n}})).await;
    }
    // Somebody else writes, so that what is held here is old.
    let other = Service::api(&stack.redis.url(), &[]);
    Api::at(&other).append(id, json!({"merge": {"n": 9}})).await;
    stack.api.append(id, json!({"merge": {"n": 10}})).await;
    let path = format!("/ltm/{id}");
    let back = json!({"snapshot": {"index": 5}});
    let rollback = stack.api.post(&format!("{path}/rollback"), &back).await;
    rollback.expect(200);
    let copy = stack.api.post(&format!("{path}/copy"), &json!({})).await;
    copy.expect(200);
    let gone = stack.api.request(Method::DELETE, &path);
    stack.api.send(gone).await.expect(200);
    let scrape = Scrape::until(&stack.api_service, "ltm_checkpoints_total", 1.0).await;
    check(
        &scrape,
        &[
            (r#"ltm_entries_total{kind="snapshot"}"#, 10.0),
            (r#"ltm_entries_total{kind="rollback"}"#, 1.0),
            (r#"ltm_entries_total{kind="deleted"}"#, 1.0),
            (r#"ltm_append_duration_seconds_count{kind="snapshot"}"#, 9.0),
            ("ltm_append_conflicts_total", 1.0),
            ("ltm_ltms_created_total", 2.0),
            ("ltm_ltms_deleted_total", 1.0),
            (
                r#"ltm_http_requests_total{method="POST",route="/api/v0/ltm/{id}/snapshots",status="201"}"#,
                9.0,
            ),
            (
                r#"ltm_http_request_duration_seconds_count{method="POST",route="/api/v0/ltm/{id}/snapshots"}"#,
                9.0,
            ),
        ],
    );
    assert!(scrape.value("ltm_entry_bytes_total") > 10.0 * 30.0);
    assert!(scrape.value("ltm_redis_round_trip_seconds_count") >= 12.0);
    assert!(scrape.value("ltm_state_cache_hits_total") >= 8.0);
    assert!(scrape.value("ltm_http_connections") >= 1.0);
    assert!(scrape.value("process_resident_memory_bytes") > 1e6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_counts_what_it_delivers() {
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({})).await;
    let url = |query: &str| stack.gateway.ws(&format!("/ws/{id}{query}"));
    let mut live = Subscriber::connect(&url("")).await.unwrap();
    // What came before Redis was listened to was read from the log, and has no lag.
    let (mut sent, mut scrape) = (0, Scrape::of(&stack.gateway).await);
    while scrape.value("ltm_delivery_lag_seconds_count") < 1.0 {
        sent += 1;
        stack.api.append(id, json!({"merge": {"n": sent}})).await;
        live.message().await;
        let deliveries = f64::from(sent);
        scrape = Scrape::until(&stack.gateway, "ltm_deliveries_total", deliveries).await;
    }
    check(
        &scrape,
        &[
            ("ltm_subscribers", 1.0),
            ("ltm_followed_ltms", 1.0),
            ("ltm_deliveries_total", f64::from(sent)),
            ("ltm_delivery_lag_seconds_count", 1.0),
            ("ltm_catch_ups_total", 0.0),
            ("ltm_draining", 0.0),
            (
                r#"ltm_http_requests_total{method="GET",route="/ws/{id}",status="101"}"#,
                1.0,
            ),
        ],
    );
    let bytes = scrape.value("ltm_delivered_bytes_total");
    assert!(bytes > 50.0, "{bytes}");

    let mut late = Subscriber::connect(&url("?after=0")).await.unwrap();
    for _ in 0..sent + 1 {
        late.message().await;
    }
    let mut stateful = Subscriber::connect(&url("?init=state")).await.unwrap();
    stateful.message().await;
    let (forked, _) = first.split_once('-').unwrap();
    let mut lost = Subscriber::connect(&url(&format!("?after={forked}-12345")))
        .await
        .unwrap();
    assert_eq!(lost.message().await["reset"]["reason"], "forked");
    let scrape = Scrape::until(&stack.gateway, "ltm_subscribers", 4.0).await;
    check(
        &scrape,
        &[
            ("ltm_catch_ups_total", 1.0),
            (r#"ltm_resets_total{reason="requested"}"#, 1.0),
            (r#"ltm_resets_total{reason="forked"}"#, 1.0),
            ("ltm_deliveries_total", f64::from(sent + (sent + 1) + 2)),
            ("ltm_followed_ltms", 1.0),
        ],
    );
    assert!(scrape.value("ltm_log_cache_misses_total") >= 3.0);

    let gone = stack.api.request(Method::DELETE, &format!("/ltm/{id}"));
    stack.api.send(gone).await.expect(200);
    let ended = r#"ltm_subscriptions_ended_total{reason="deleted"}"#;
    let scrape = Scrape::until(&stack.gateway, ended, 4.0).await;
    check(&scrape, &[("ltm_deliveries_total", 9.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_at_the_gateway_is_counted() {
    let mut stack = Stack::with(&[
        ("LTM__GATEWAY__MAX_SUBSCRIBERS_PER_LTM", "2"),
        ("LTM__HTTP__SEND_BUFFER", "16 KiB"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}?after=0");
    let mut slow = RawConnection::with_small_buffer(stack.gateway.address()).await;
    slow.upgrade(&path).await;
    let mut follower = Subscriber::connect(&stack.gateway.ws(&path)).await.unwrap();
    follower.message().await;

    let channel = format!("ltm:0:{{{id}}}:live");
    let forged = "9-9 snapshot 0 {\"patch\":[]}";
    stack.redis.cli(&["PUBLISH", &channel, forged]);
    Scrape::until(&stack.gateway, "ltm_gaps_total", 1.0).await;

    let mut third = Subscriber::connect(&stack.gateway.ws(&path)).await.unwrap();
    assert_eq!(third.close_code().await, 1013);
    let limit = r#"ltm_limits_hit_total{limit="gateway.max_subscribers_per_ltm"}"#;
    let scrape = Scrape::until(&stack.gateway, limit, 1.0).await;
    check(&scrape, &[("ltm_slow_subscribers_total", 0.0)]);

    let text = "x".repeat(16 * 1024);
    for n in 0..40 {
        let merge = json!({"merge": {"text": format!("{n} {text}")}});
        stack.api.append(id, merge).await;
        follower.message().await;
    }
    Scrape::until(&stack.gateway, "ltm_slow_subscribers_total", 1.0).await;

    stack.redis.restart();
    Scrape::until(&stack.gateway, "ltm_live_reconnects_total", 1.0).await;
    stack.api.until_ready_is(200).await;
    Scrape::until(&stack.gateway, "ltm_redis_reconnects_total", 1.0).await;
    stack.gateway.signal("TERM");
    Scrape::until(&stack.gateway, "ltm_draining", 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_series_is_added_by_ltms_or_by_what_clients_make_up() {
    let stack = Stack::start();
    let round = async |n: u64| {
        let (id, _) = stack.api.create(json!({"n": n})).await;
        stack.api.append(id, json!({"merge": {"n": n + 1}})).await;
        let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        subscriber.message().await;
        subscriber.leave().await;
        let made_up = Method::from_bytes(format!("METHOD{n}").as_bytes()).unwrap();
        for base in [stack.api_service.http(), stack.gateway.http()] {
            let client = reqwest::Client::new();
            let url = format!("{base}/made-up-{n}?x={n}");
            client.get(&url).send().await.unwrap();
            client.request(made_up.clone(), url).send().await.unwrap();
            let url = format!("{base}/api/v0/ltm/{n}999/state");
            client.get(url).send().await.unwrap();
        }
    };
    round(1).await;
    let left = r#"ltm_subscriptions_ended_total{reason="left"}"#;
    let services = [&stack.api_service, &stack.gateway];
    Scrape::until(&stack.gateway, left, 1.0).await;
    for service in services {
        // So that its own series are there.
        Scrape::of(service).await;
    }
    let before = [Scrape::of(services[0]).await, Scrape::of(services[1]).await];
    for n in 2..30 {
        round(n).await;
    }
    Scrape::until(&stack.gateway, left, 29.0).await;
    for (service, before) in services.into_iter().zip(&before) {
        let after = Scrape::of(service).await;
        // On a busy machine a connection may be too slow for a limit, which then has a series.
        let limit = |series: &str| series.starts_with("ltm_limits_hit_total");
        let (mut after, mut before) = (after.series(), before.series());
        after.retain(|series| !limit(series));
        before.retain(|series| !limit(series));
        assert_eq!(after, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_services_in_one_process_show_each_metric_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::dev(folder.path());
    let api = Api::at(&service);
    let (id, _) = api.create(json!({})).await;
    let url = service.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    subscriber.message().await;
    let scrape = Scrape::until(&service, "ltm_deliveries_total", 1.0).await;
    check(&scrape, &[("ltm_ltms_created_total", 1.0)]);
    // So that its Redis ends with it.
    service.signal("TERM");
    assert!(service.wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_names_every_metric_and_no_other() {
    let page = include_str!("../../../docs/observability.md");
    let (_, rest) = page.split_once("\n## Metrics\n").expect("the section");
    let (section, _) = rest.split_once("\n## ").expect("the next section");
    let named: BTreeSet<&str> = section
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|code| code.split('{').next().unwrap_or_default())
        .filter(|name| name.starts_with("ltm_") || name.starts_with("process_"))
        .collect();
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    Subscriber::connect(&url).await.unwrap().leave().await;
    let left = r#"ltm_subscriptions_ended_total{reason="left"}"#;
    let counted = until("the LTMs are counted", async || {
        let scrape = Scrape::of(&stack.api_service).await;
        scrape.families.contains_key("ltm_ltms").then_some(scrape)
    });
    let services = [
        counted.await,
        Scrape::until(&stack.gateway, left, 1.0).await,
    ];
    let shown: BTreeSet<&str> = services
        .iter()
        .flat_map(|scrape| scrape.families.keys().map(String::as_str))
        .collect();
    assert_eq!(shown, named);
}
