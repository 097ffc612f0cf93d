//! Traces: each shows a call from its producer to its delivery, and tracing delays nothing.

mod collector;

use collector::{Collector, Span};
use ltm_tests::{Answer, Api, Authority, Service, Stack, Subscriber, until};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
/// What OTLP calls the kinds of spans.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const CONSUMER: i32 = 5;

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

/// To how many sockets the deliveries among these spans went.
fn members(spans: &[Span]) -> u64 {
    let deliveries = spans.iter().filter(|span| span.name == "deliver");
    let members = deliveries.map(|span| span.attributes["ltm.subscribers"].parse::<u64>());
    members.map(Result::unwrap).sum()
}

async fn append(stack: &Stack, id: u64, n: usize, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"reason": "execute", "merge": {"n": n}}).to_string();
    let path = format!("/ltm/{id}/snapshots");
    stack.api.post_text(&path, &body, headers).await
}

async fn follow(stack: &Stack, id: u64) -> Subscriber {
    let url = stack.gateway.ws(&format!("/ws/{id}?live=1"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    // Before this it may get an entry from the log, and a delivery from the log has no span.
    assert_eq!(subscriber.message().await["live"], true);
    subscriber
}

/// The payloads of a log in Redis.
fn payloads(stack: &Stack, id: u64) -> Vec<String> {
    let log = stack
        .redis
        .cli(&["XRANGE", &format!("ltm:{{{id}}}:log"), "-", "+"]);
    let lines = log.lines().filter(|line| line.contains('{'));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_shows_a_call_from_its_producer_to_its_delivery() {
    let collector = Collector::start().await;
    let stack = Stack::with(&[
        ("LTM__TRACING__ENDPOINT", &collector.url),
        ("LTM__TRACING__SAMPLE", "0"),
    ]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let mut subscribers = [follow(&stack, id).await, follow(&stack, id).await];
    let sent = traceparent("01");
    let answer = append(&stack, id, 1, &[("traceparent", &sent)]).await;
    let answer = answer.expect(201);
    let route = "POST /api/v0/ltm/{id}/snapshots";
    let request = collector.span(TRACE, route).await;
    let written = collector.span(TRACE, "append").await;
    let delivered = collector.span(TRACE, "deliver").await;
    let services = [&request, &written, &delivered].map(|it| it.service.as_str());
    assert_eq!(services, ["ltm-api", "ltm-api", "ltm-gateway"]);
    let kinds = [request.kind, written.kind, delivered.kind];
    assert_eq!(kinds, [SERVER, CLIENT, CONSUMER]);
    assert_eq!(request.parent, CALLER);
    assert_eq!(written.parent, request.id);
    assert_eq!(delivered.parent, written.id);
    for span in [&request, &written, &delivered] {
        assert!(span.begin <= span.end, "{span:?}");
    }
    assert_eq!(request.attributes["http.response.status_code"], "201");
    assert_eq!(written.attributes["db.operation.name"], "EVALSHA");
    assert_eq!(delivered.attributes["ltm.id"], id.to_string());
    assert_eq!(delivered.attributes["ltm.cursor"], answer["cursor"]);
    // Each thread of the gateway has a span for its own subscribers.
    collector.until(|spans| members(spans) == 2).await;
    let carried = format!("00-{TRACE}-{}-01", written.id);
    for subscriber in &mut subscribers {
        let message = subscriber.message().await;
        assert_eq!(message["snapshot"]["traceparent"], carried);
        assert_eq!(message["snapshot"], answer["snapshot"]);
    }
    let document = stack.api.document(id).await;
    assert_eq!(document["snapshots"][1]["traceparent"], carried);
    assert_eq!(document["state"], json!({"n": 1}));
    let payload = &payloads(&stack, id)[1];
    assert!(payload.contains(&format!(r#"{{"traceparent":"{carried}","time":"#)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rollbacks_and_errors_carry_their_trace_and_the_log_proves() {
    let stack = Stack::start();
    let sent = traceparent("01");
    let headers = [("traceparent", sent.as_str())];
    let body = json!({"fqn": "tests.Ltm", "state": {"n": 0}}).to_string();
    let created = stack.api.post_text("/ltm", &body, &headers).await;
    let id = created.expect(200)["id"].as_u64().unwrap();
    append(&stack, id, 1, &headers).await.expect(201);
    let mut subscriber = follow(&stack, id).await;
    let path = format!("/ltm/{id}");
    let (rollback, errors) = (format!("{path}/rollback"), format!("{path}/errors"));
    let back = json!({"snapshot": {"index": 0}}).to_string();
    let answer = stack.api.post_text(&rollback, &back, &headers);
    answer.await.expect(200);
    let message = subscriber.message().await;
    assert_eq!(message["traceparent"], sent.as_str());
    assert!(message["rollback"]["patch"].is_array());
    for reason in ["first", "again"] {
        let error = json!({"id": "00000000-0000-4000-8000-000000000001", "reason": reason});
        let error = error.to_string();
        let answer = stack.api.post_text(&errors, &error, &headers);
        let answer = answer.await.expect(200);
        let message = subscriber.message().await;
        assert_eq!(message["error"], answer["error"]);
        assert_eq!(message["error"]["traceparent"], sent.as_str());
    }
    let verify = std::process::Command::new(ltm_tests::binary("ltm"))
        .args(["verify", "--redis", &stack.redis.url(), &id.to_string()])
        .output()
        .unwrap();
    assert!(verify.status.success(), "{verify:?}");
    let copy = stack.api.post(&format!("{path}/copy"), &json!({})).await;
    let copy = copy.expect(200)["copy_id"].as_u64().unwrap();
    let (of_copy, of_original) = (stack.api.document(copy).await, stack.api.document(id).await);
    assert_eq!(of_copy["state"], of_original["state"]);
    assert_eq!(of_copy["snapshots"], of_original["snapshots"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_is_known_whatever_its_trace() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let sent = traceparent("01");
    let key = ("idempotency-key", "once");
    let first = append(&stack, id, 1, &[key, ("traceparent", &sent)]).await;
    let again = append(&stack, id, 1, &[key]).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    let first = first.expect(201);
    assert_eq!(first["snapshot"]["traceparent"], sent.as_str());
    assert_eq!(first, again.expect(201));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_is_not_sent_and_its_entries_are_as_ever() {
    let collector = Collector::start().await;
    let stack = Stack::with(&[
        ("LTM__TRACING__ENDPOINT", &collector.url),
        ("LTM__TRACING__SAMPLE", "0"),
    ]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let mut subscriber = follow(&stack, id).await;
    let not_sampled = traceparent("00");
    append(&stack, id, 1, &[]).await.expect(201);
    append(&stack, id, 2, &[("traceparent", &not_sampled)])
        .await
        .expect(201);
    for malformed in [
        "",
        "00-xyz",
        &traceparent("01").to_uppercase(),
        &traceparent("1"),
    ] {
        let answer = append(&stack, id, 3, &[("traceparent", malformed)]).await;
        answer.expect(201);
    }
    for _ in 0..6 {
        let message = subscriber.message().await;
        assert!(
            message["snapshot"].get("traceparent").is_none(),
            "{message}"
        );
    }
    for payload in payloads(&stack, id) {
        assert!(!payload.contains("traceparent"), "{payload}");
    }
    // Whatever was traced before this is there with it.
    let sampled = traceparent("01");
    append(&stack, id, 9, &[("traceparent", &sampled)])
        .await
        .expect(201);
    collector.span(TRACE, "deliver").await;
    collector.span(TRACE, "append").await;
    for span in collector.spans() {
        assert_eq!(span.trace_id, TRACE, "{span:?}");
    }
    let appends = collector
        .spans()
        .into_iter()
        .filter(|it| it.name == "append");
    assert_eq!(appends.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_of_a_call_without_one_begins_at_the_api() {
    let collector = Collector::start().await;
    let stack = Stack::with(&[("LTM__TRACING__ENDPOINT", &collector.url)]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let mut subscriber = follow(&stack, id).await;
    append(&stack, id, 1, &[]).await.expect(201);
    let message = subscriber.message().await;
    let carried = message["snapshot"]["traceparent"].as_str().unwrap();
    let trace = &carried[3..35];
    let written = collector.span(trace, "append").await;
    let delivered = collector.span(trace, "deliver").await;
    assert_eq!(delivered.parent, written.id);
    let request = collector
        .span(trace, "POST /api/v0/ltm/{id}/snapshots")
        .await;
    assert_eq!(request.parent, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_to_a_collector_over_tls_that_the_system_trusts() {
    let collector = Collector::start().await;
    let (authority, stranger) = (Authority::generate(), Authority::generate());
    let port = authority.front(collector.address()).await;
    let url = format!("https://localhost:{port}");
    let stack = Stack::start();
    let traced = |trusted: &Authority| {
        let settings = [
            ("LTM__TRACING__ENDPOINT", &*url),
            ("SSL_CERT_FILE", &trusted.text("ca.pem")),
        ];
        let service = Service::api(&stack.redis.url(), &settings);
        (Api::at(&service), service)
    };
    let (api, refused) = traced(&stranger);
    api.create(json!({})).await;
    refused.until_logged("spans were dropped").await;
    assert!(collector.spans().is_empty());
    let (api, _trusted) = traced(&authority);
    api.create(json!({})).await;
    let sent = |spans: &[Span]| spans.iter().any(|span| span.name == "POST /api/v0/ltm");
    collector.until(sent).await;
}

/// Appends and deliveries go on although this collector takes nothing, until both services have said that they
/// dropped spans because of `why`; then both end.
async fn goes_on(collector: &str, why: &str) {
    let settings = [
        ("LTM__TRACING__ENDPOINT", collector),
        ("LTM__TRACING__QUEUE", "64"),
        ("LTM__TRACING__TIMEOUT", "10s"),
    ];
    let mut stack = Stack::with(&settings);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let mut subscriber = follow(&stack, id).await;
    let mut n = 0;
    until(&format!("both services log {why:?}"), async || {
        for _ in 0..20 {
            n += 1;
            append(&stack, id, n, &[]).await.expect(201);
            let message = subscriber.message().await;
            assert_eq!(message["snapshot"]["patch"][0]["value"], n);
        }
        stack.api_service.logged(why) && stack.gateway.logged(why)
    })
    .await;
    for service in [&mut stack.api_service, &mut stack.gateway] {
        assert!(line(service, why)["dropped"].as_u64().unwrap() > 0);
        service.signal("TERM");
        assert!(service.wait().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nothing_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    goes_on(&url, "spans were dropped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_holds_nothing_up() {
    // The system takes the connections, and nobody reads from them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    goes_on(&url, "`tracing.queue` is full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_sent_when_a_service_stops() {
    let collector = Collector::start().await;
    let mut stack = Stack::with(&[("LTM__TRACING__ENDPOINT", &collector.url)]);
    let sent = traceparent("01");
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    append(&stack, id, 1, &[("traceparent", &sent)])
        .await
        .expect(201);
    stack.api_service.signal("TERM");
    assert!(stack.api_service.wait().success());
    let spans = collector.spans();
    assert!(
        spans
            .iter()
            .any(|it| it.trace_id == TRACE && it.name == "append")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_log_names_its_request_and_its_trace() {
    let mut stack = Stack::with(&[("LTM__REDIS__RESPONSE_TIMEOUT", "1s")]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    stack.redis.kill();
    let sent = traceparent("01");
    let answer = append(&stack, id, 1, &[("traceparent", &sent)]).await;
    let problem = answer.problem(503, "unavailable");
    stack.api_service.until_logged("a request failed").await;
    let line = line(&stack.api_service, "a request failed");
    assert_eq!(line["span"]["request_id"], problem["request_id"]);
    assert_eq!(line["span"]["trace_id"], TRACE);
    assert_eq!(line["level"], "WARN");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_the_log_does_not_grow_with_the_requests() {
    // They write one after another, however long each takes.
    let mut stack = Stack::with(&[
        ("LTM__REDIS__RESPONSE_TIMEOUT", "1s"),
        ("LTM__API__LOCK_WAIT", "2m"),
    ]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    stack.redis.kill();
    let requests = (0..50).map(|n| append(&stack, id, n, &[]));
    for answer in futures_util::future::join_all(requests).await {
        answer.problem(503, "unavailable");
    }
    stack.api_service.until_logged("a request failed").await;
    let lines = stack.api_service.lines();
    let about_it = lines.iter().filter(|it| it.contains("a request failed"));
    assert!(about_it.count() < 10, "{lines:?}");
}

/// The first line of a service's log with this text.
fn line(service: &Service, text: &str) -> Value {
    let lines = service.lines();
    let line = lines.iter().find(|line| line.contains(text)).unwrap();
    serde_json::from_str(line).unwrap()
}
