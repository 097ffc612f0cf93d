//! Server-Sent Events: the same entries and promises as a WebSocket.

use ltm_tests::{Api, Event, Events, Haproxy, Service, Stack, Subscriber};
use reqwest::Method;
use serde_json::{Value, json};

/// An LTM with a history of every kind of entry.
async fn varied(api: &Api) -> u64 {
    let (id, _) = api.create(json!({"n": 0})).await;
    for n in 1..=5 {
        api.append(id, json!({"merge": {"n": n, "text": "ä\n".repeat(n)}}))
            .await;
    }
    let back = json!({"snapshot": {"index": 2}});
    api.post(&format!("/ltm/{id}/rollback"), &back)
        .await
        .expect(200);
    let error = json!({"id": "00000000-0000-4000-8000-000000000001", "reason": "execute"});
    api.post(&format!("/ltm/{id}/errors"), &error)
        .await
        .expect(200);
    // It goes in several frames over a WebSocket.
    api.append(id, json!({"merge": {"large": "x".repeat(100_000)}}))
        .await;
    id
}

fn sse(gateway: &Service, path: &str) -> String {
    format!("{}{path}", gateway.http())
}

async fn take(events: &mut Events, count: usize) -> Vec<Event> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(events.next().await.expect("one more event"));
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_the_messages_of_a_websocket_and_their_ids_the_cursors() {
    let stack = Stack::start();
    let id = varied(&stack.api).await;
    for query in ["?after=0&live=1", "?init=state&live=1"] {
        let url = stack.gateway.ws(&format!("/ws/{id}{query}"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        let url = sse(&stack.gateway, &format!("/sse/{id}{query}"));
        let mut events = Events::open(Events::ask(&url, None)).await;
        loop {
            let event = events.next().await.unwrap();
            assert_eq!(event.json(), subscriber.message().await);
            assert_eq!(event.json()["cursor"], event.id);
            if event.json()["live"] == true {
                break;
            }
        }
        for n in 0..3 {
            stack.api.append(id, json!({"merge": {"n": n}})).await;
            assert_eq!(
                events.next().await.unwrap().json(),
                subscriber.message().await
            );
        }
    }
    let scrape = ltm_tests::Scrape::of(&stack.gateway).await;
    assert_eq!(scrape.value("ltm_slow_subscribers_total"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_it_is_cut_a_stream_goes_on_after_the_last_event() {
    let stack = Stack::start();
    let id = varied(&stack.api).await;
    let url = sse(&stack.gateway, &format!("/api/v0/sse/{id}?after=0"));
    let whole = take(&mut Events::open(Events::ask(&url, None)).await, 9).await;
    for cut in 1..whole.len() {
        let last = &whole[cut - 1].id;
        // The address says `after=0`, and the header wins.
        let mut events = Events::open(Events::ask(&url, Some(last))).await;
        assert_eq!(take(&mut events, whole.len() - cut).await, whole[cut..]);
    }
    let foreign = Events::ask(&url, Some("3-1"));
    let reset = Events::open(foreign).await.next().await.unwrap().json();
    assert_eq!(reset["reset"]["reason"], "forked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_says_how_it_ends_and_whoever_has_been_told_is_not_asked_to_come_again() {
    let stack = Stack::start();
    let id = varied(&stack.api).await;
    let url = sse(&stack.gateway, &format!("/sse/{id}"));
    let mut events = Events::open(Events::ask(&url, None)).await;
    let path = format!("/ltm/{id}");
    let request = stack.api.request(Method::DELETE, &path);
    stack.api.send(request).await.expect(200);
    let deleted = events.next().await.unwrap();
    assert_eq!(deleted.json()["deleted"], true);
    let end = events.next().await.unwrap();
    assert_eq!(
        (end.name.as_str(), &end.json()["end"]["code"]),
        ("end", &json!(4410))
    );
    assert_eq!(events.next().await, None);
    let answer = Events::ask(&url, Some(&deleted.id)).send().await.unwrap();
    assert_eq!(answer.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_a_problem() {
    let stack = Stack::with(&[("LTM__CORS__ORIGINS", "https://app.example")]);
    let (id, _) = stack.api.create(json!({})).await;
    let cases = [
        ("/sse/99".into(), None, 404, "unknown-ltm"),
        ("/sse/x".into(), None, 422, "invalid-request"),
        (format!("/sse/{id}?after=x"), None, 400, "invalid-cursor"),
        (format!("/sse/{id}"), Some("x"), 400, "invalid-cursor"),
    ];
    for (path, last, status, name) in cases {
        let answer = Events::ask(&sse(&stack.gateway, &path), last)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], format!("urn:ltm-live:problem:{name}"));
    }
    let foreign = Events::ask(&sse(&stack.gateway, &format!("/sse/{id}")), None);
    let answer = foreign
        .header("Origin", "https://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_sends_its_streams_elsewhere_and_nothing_is_missed() {
    let mut stack = Stack::with(&[
        ("LTM__GATEWAY__DRAIN_NOTICE", "0s"),
        ("LTM__GATEWAY__DRAIN_TIME", "200ms"),
    ]);
    let other = Service::gateway(&stack.redis.url(), &[]);
    let (id, cursor) = stack.api.create(json!({"n": 0})).await;
    let path = format!("/sse/{id}?after={cursor}");
    let mut events = Events::open(Events::ask(&sse(&stack.gateway, &path), None)).await;
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    let first = events.next().await.unwrap();
    stack.gateway.signal("TERM");
    let end = events.next().await.unwrap().json();
    assert_eq!(end["end"]["code"], 1012, "{end}");
    assert_eq!(events.next().await, None);
    assert!(stack.gateway.wait().success());
    stack.api.append(id, json!({"merge": {"n": 2}})).await;
    let request = Events::ask(&sse(&other, &path), Some(&first.id));
    let second = Events::open(request).await.next().await.unwrap().json();
    assert_eq!(second["snapshot"]["patch"][0]["value"], 2, "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_gets_everything_and_costs_no_memory() {
    let stack = Stack::with(&[("LTM__HTTP__SEND_BUFFER", "16KiB")]);
    let (id, _) = stack.api.create(json!({})).await;
    let url = sse(&stack.gateway, &format!("/sse/{id}"));
    let mut events = Events::open(Events::ask(&url, None)).await;
    let text = "x".repeat(50_000);
    let append = async |n| {
        let merge = json!({"n": n, "text": text});
        stack.api.append(id, json!({"merge": merge})).await;
    };
    // The first ones fill the queue.
    for n in 0..100 {
        append(n).await;
    }
    let before = ltm_tests::resident_bytes(stack.gateway.pid());
    for n in 100..400 {
        append(n).await;
    }
    let grown = ltm_tests::resident_bytes(stack.gateway.pid()).saturating_sub(before);
    assert!(grown < 5_000_000, "{grown} bytes for 15 MB that wait");
    for n in 0..400 {
        let message = events.next().await.unwrap().json();
        let patch = message["snapshot"]["patch"].as_array().unwrap();
        assert!(
            patch
                .iter()
                .any(|op| op["path"] == "/n" && op["value"] == n),
            "{n}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_sockets_for_many_pass_the_proxy_that_is_deployed_at_once() {
    let stack = Stack::start();
    let haproxy = Haproxy::start(&[&stack.api_service], &[&stack.gateway]);
    haproxy.until_seen("gateway", "gateway0", "UP").await;
    let (id, cursor) = stack.api.create(json!({"n": 0})).await;
    for path in [format!("/sse/{id}"), format!("/api/v0/sse/{id}")] {
        let url = format!("{}{path}?after={cursor}", haproxy.http());
        let mut events = Events::open(Events::ask(&url, None)).await;
        stack.api.append(id, json!({"merge": {"path": path}})).await;
        while events.next().await.unwrap().json()["snapshot"]["patch"][0]["value"] != path {}
    }
    for path in ["/ws", "/api/v0/ws"] {
        let url = haproxy.http().replace("http", "ws") + path;
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        subscriber
            .say(&json!({"follow": id, "live": 1}).to_string())
            .await;
        assert_eq!(subscriber.message().await["live"], true);
    }
}

/// Replacements of `EventSource` for older browsers repeat the URL of their first request with one more parameter.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_id_in_the_query_counts_as_in_the_header() {
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({"n": 0})).await;
    let mut cursors = vec![first];
    for n in 1..4 {
        let appended = stack.api.append(id, json!({"merge": {"n": n}})).await;
        cursors.push(appended["cursor"].as_str().unwrap().to_owned());
    }
    for begin in [
        format!("after={}", cursors[0]),
        "after=0".into(),
        "init=state".into(),
        "live=0".into(),
    ] {
        let url = format!("/sse/{id}?{begin}&lastEventId={}", cursors[2]);
        let mut events = Events::open(Events::ask(&sse(&stack.gateway, &url), None)).await;
        let event = events.next().await.unwrap();
        assert_eq!(event.json()["cursor"], cursors[3], "{begin}");
        assert_eq!(event.json()["snapshot"]["patch"][0]["value"], 3, "{begin}");
    }
    // A browser's own header is newer than the URL.
    let url = sse(
        &stack.gateway,
        &format!("/sse/{id}?lastEventId={}", cursors[0]),
    );
    let mut events = Events::open(Events::ask(&url, Some(&cursors[2]))).await;
    assert_eq!(events.next().await.unwrap().json()["cursor"], cursors[3]);
    let wrong = sse(&stack.gateway, &format!("/sse/{id}?lastEventId=x"));
    let answer = Events::ask(&wrong, None).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["field"], "lastEventId");
    let empty = sse(
        &stack.gateway,
        &format!("/sse/{id}?init=state&lastEventId="),
    );
    let mut events = Events::open(Events::ask(&empty, None)).await;
    assert!(events.next().await.unwrap().json()["reset"].is_object());
}

/// A proxy that compresses would hold the events back.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_neither_stored_nor_transformed_on_its_way() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let url = sse(&stack.gateway, &format!("/sse/{id}"));
    let answer = Events::ask(&url, None).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store, no-transform");
}
