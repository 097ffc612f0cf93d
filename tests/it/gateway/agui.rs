//! AG-UI: an LTM as the run of an agent. `make agui` has the clients that others publish; this is the wire.

use ltm_tests::{Api, Event, Events, RawConnection, Scrape, Service, Stack};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request of a client that names its run.
fn ask(gateway: &Service, path: &str, more: Value) -> RequestBuilder {
    let mut input = json!({"threadId": "t", "runId": "r", "messages": [], "state": {"large": [1]}});
    input
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Client::new()
        .post(format!("{}/agui/{path}", gateway.http()))
        .json(&input)
}

pub(crate) async fn open(gateway: &Service, path: &str) -> Events {
    Events::open(ask(gateway, path, json!({}))).await
}

/// The events up to the end of the answer.
pub(crate) async fn rest(events: &mut Events) -> Vec<Event> {
    let mut all = Vec::new();
    while let Some(event) = events.next().await {
        all.push(event);
    }
    all
}

pub(crate) fn types(events: &[Event]) -> Vec<String> {
    let r#type = |event: &Event| event.json()["type"].as_str().unwrap().to_owned();
    events.iter().map(r#type).collect()
}

/// An LTM with a history of every kind of entry, which has not ended.
async fn varied(api: &Api) -> (u64, String) {
    let (id, first) = api.create(json!({"n": 0, "_status": "active"})).await;
    for n in 1..=3 {
        let item = json!({"label": format!("step {n}")});
        api.append(
            id,
            json!({"merge": {"n": n, "text": "ä\n".repeat(n)}, "item": item}),
        )
        .await;
    }
    let back = json!({"snapshot": {"index": 1}});
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
    (id, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_the_state_its_changes_and_the_end() {
    let stack = Stack::start();
    let (id, first) = varied(&stack.api).await;
    let mut whole = open(&stack.gateway, &id.to_string()).await;
    let [started, snapshot] = [whole.next().await.unwrap(), whole.next().await.unwrap()];
    assert_eq!(
        started.json(),
        json!({"type": "RUN_STARTED", "threadId": "t", "runId": "r"})
    );
    let state = stack.api.get(&format!("/ltm/{id}/state")).await.expect(200);
    assert_eq!(snapshot.json()["snapshot"], state["state"]);
    assert_eq!(snapshot.id, state["cursor"].as_str().unwrap());
    assert_eq!(
        snapshot.json()["metadata"]["ltm-live"]["cursor"],
        state["cursor"]
    );
    stack
        .api
        .append(id, json!({"merge": {"_status": "finished"}}))
        .await;
    let end = rest(&mut whole).await;
    assert_eq!(types(&end), ["STATE_DELTA", "RUN_FINISHED"]);
    assert_eq!(end[1].json()["outcome"]["type"], "success");
    // The whole history, as deltas.
    let mut history = open(&stack.gateway, &format!("{id}?after={first}")).await;
    let history = rest(&mut history).await;
    let expected = [
        "RUN_STARTED",
        "STATE_DELTA",
        "STATE_DELTA",
        "STATE_DELTA",
        "CUSTOM",
        "STATE_DELTA",
        "CUSTOM",
        "STATE_DELTA",
        "STATE_DELTA",
        "RUN_FINISHED",
    ];
    assert_eq!(types(&history), expected);
    let delta = history[1].json();
    assert_eq!(delta["metadata"]["ltm-live"]["reason"], "execute");
    assert_eq!(delta["metadata"]["ltm-live"]["item"]["label"], "step 1");
    assert!(delta["timestamp"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(history[4].json()["name"], "ltm-live.rollback");
    assert_eq!(history[6].json()["name"], "ltm-live.error");
    assert!(history.iter().all(|event| !event.data.contains('\n')));
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_it_is_cut_a_run_goes_on_after_the_last_event() {
    let stack = Stack::start();
    let (id, first) = varied(&stack.api).await;
    stack
        .api
        .append(id, json!({"merge": {"_status": "finished"}}))
        .await;
    let url = format!("{}/agui/{id}?after={first}", stack.gateway.http());
    let whole = rest(&mut Events::open(Events::ask(&url, None)).await).await;
    let cuts = whole
        .iter()
        .enumerate()
        .filter(|(_, event)| !event.id.is_empty());
    let cuts: Vec<(usize, &Event)> = cuts.collect();
    assert_eq!(cuts.len(), 7);
    let last = cuts.last().unwrap().0;
    for (at, event) in cuts {
        let tail = [&whole[..1], &whole[at + 1..]].concat();
        let forwarded = json!({"forwardedProps": {"ltm": {"after": event.id}}});
        let request = ask(&stack.gateway, &id.to_string(), forwarded);
        let named = rest(&mut Events::open(request).await).await;
        assert_eq!(types(&named), types(&tail));
        let answer = Events::ask(&url, Some(&event.id)).send().await.unwrap();
        if at == last {
            assert_eq!(answer.status(), 204, "a browser does not come again");
        } else {
            assert_eq!(rest(&mut Events::of(answer)).await, tail);
        }
    }
    let foreign = ask(&stack.gateway, &format!("{id}?after=3-1"), json!({}));
    let foreign = rest(&mut Events::open(foreign).await).await;
    assert_eq!(
        types(&foreign),
        ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"]
    );
    assert_eq!(
        foreign[1].json()["metadata"]["ltm-live"]["reason"],
        "forked"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn large_and_small_changes_reach_a_reader_in_order() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let mut reader = open(&stack.gateway, &id.to_string()).await;
    for _ in 0..2 {
        reader.next().await.unwrap();
    }
    for n in 1..=30 {
        // Every third is translated on another thread.
        let text = "x".repeat(if n % 3 == 0 { 200_000 } else { 10 });
        let merge = json!({"merge": {"n": n, "text": text}});
        stack.api.append(id, merge).await;
    }
    for n in 1..=30 {
        assert_eq!(reader.next().await.unwrap().json()["delta"][0]["value"], n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_and_the_end_of_the_catch_up_are_told_to_those_that_ask() {
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({"n": 0})).await;
    stack
        .api
        .append(id, json!({"merge": {"n": 1}, "item": {"fqn": "app.Step"}}))
        .await;
    let path = format!("{id}?after={first}&steps=1&live=1");
    let mut events = open(&stack.gateway, &path).await;
    let mut got = Vec::new();
    for _ in 0..5 {
        got.push(events.next().await.unwrap());
    }
    let expected = [
        "RUN_STARTED",
        "STEP_STARTED",
        "STATE_DELTA",
        "STEP_FINISHED",
        "CUSTOM",
    ];
    assert_eq!(types(&got), expected);
    assert_eq!(got[1].json()["stepName"], "app.Step");
    assert_eq!(got[4].json()["name"], "ltm-live.live");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_ends_begins_a_new_run_with_the_next_entry() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"_status": "finished"})).await;
    let mut events = open(&stack.gateway, &format!("{id}?until=never")).await;
    for (merge, expected) in [
        (
            json!({"n": 1}),
            vec!["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"],
        ),
        (
            json!({"_status": "active"}),
            vec!["RUN_STARTED", "STATE_DELTA", "RUN_FINISHED"],
        ),
        (
            json!({"_status": "finished"}),
            vec!["RUN_STARTED", "STATE_DELTA"],
        ),
        (
            json!({"_status": "error"}),
            vec!["STATE_DELTA", "RUN_FINISHED"],
        ),
    ] {
        for expected in expected {
            assert_eq!(events.next().await.unwrap().json()["type"], expected);
        }
        stack.api.append(id, json!({"merge": merge})).await;
    }
    assert_eq!(
        types(&rest(&mut events).await),
        ["RUN_STARTED", "STATE_DELTA", "RUN_ERROR"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_cannot_apply_is_a_whole_state() {
    let stack = Stack::start();
    let state = json!({"n": 0, "next": "active"});
    let (id, first) = stack.api.create(state).await;
    let mut events = open(&stack.gateway, &format!("{id}?after={first}")).await;
    assert_eq!(events.next().await.unwrap().json()["type"], "RUN_STARTED");
    // Only the state can tell the status.
    let patch = json!([{"op": "move", "from": "/next", "path": "/_status"}]);
    stack.api.append(id, json!({"patch": patch})).await;
    let snapshot = events.next().await.unwrap();
    let state = json!({"n": 0, "_status": "active"});
    assert_eq!(snapshot.json()["snapshot"], state);
    // It goes on with deltas.
    stack.api.append(id, json!({"merge": {"n": 2}})).await;
    assert_eq!(events.next().await.unwrap().json()["delta"][0]["value"], 2);
    let patch = json!([{"op": "copy", "from": "/n", "path": "/m"}, {"op": "add", "path": "/_status", "value": "finished"}]);
    stack.api.append(id, json!({"patch": patch})).await;
    assert_eq!(
        types(&rest(&mut events).await),
        ["STATE_DELTA", "RUN_FINISHED"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_no_client_reads_is_an_error_of_the_run() {
    let stack = Stack::start();
    let text = "x".repeat(5_000_000);
    let (id, _) = stack.api.create(json!({"a": text})).await;
    let mut events = open(&stack.gateway, &id.to_string()).await;
    let first = [events.next().await.unwrap(), events.next().await.unwrap()];
    assert_eq!(types(&first), ["RUN_STARTED", "STATE_SNAPSHOT"]);
    stack.api.append(id, json!({"merge": {"b": text}})).await;
    assert_eq!(types(&[events.next().await.unwrap()]), ["STATE_DELTA"]);
    let late = rest(&mut open(&stack.gateway, &id.to_string()).await).await;
    assert_eq!(types(&late), ["RUN_STARTED", "RUN_ERROR"]);
    assert_eq!(late[1].json()["code"], "state-too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_ltm_ends_the_run_with_an_error() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let mut events = open(&stack.gateway, &id.to_string()).await;
    assert_eq!(events.next().await.unwrap().json()["type"], "RUN_STARTED");
    let request = stack.api.request(Method::DELETE, &format!("/ltm/{id}"));
    stack.api.send(request).await.expect(200);
    let end = rest(&mut events).await;
    assert_eq!(types(&end), ["STATE_SNAPSHOT", "RUN_ERROR"]);
    assert_eq!(end[1].json()["code"], "deleted");
    let late = rest(&mut open(&stack.gateway, &id.to_string()).await).await;
    assert_eq!(types(&late), ["RUN_ERROR"]);
}

/// The whole answer on a bare socket: a client of AG-UI ends its process if the answer is cut.
async fn bare(gateway: &Service, id: u64) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(gateway.address())
        .await
        .unwrap();
    let request =
        format!("GET /agui/{id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_ends_its_answers_and_cuts_none() {
    let mut stack = Stack::with(&[
        ("LTM__GATEWAY__DRAIN_NOTICE", "0s"),
        ("LTM__GATEWAY__DRAIN_TIME", "200ms"),
    ]);
    let other = Service::gateway(&stack.redis.url(), &[]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let mut events = open(&stack.gateway, &id.to_string()).await;
    events.next().await.unwrap();
    let last = events.next().await.unwrap().id;
    let mut raw = bare(&stack.gateway, id).await;
    Scrape::until(&stack.gateway, "ltm_subscribers", 2.0).await;
    stack.gateway.signal("TERM");
    let mut text = String::new();
    raw.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("\r\n0\r\n\r\n"), "{text}");
    assert_eq!(rest(&mut events).await, []);
    assert!(stack.gateway.wait().success());
    stack
        .api
        .append(id, json!({"merge": {"n": 1, "_status": "finished"}}))
        .await;
    let rest = rest(&mut open(&other, &format!("{id}?after={last}")).await).await;
    assert_eq!(types(&rest), ["RUN_STARTED", "STATE_DELTA", "RUN_FINISHED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_a_client_that_reads_nothing_ends_before_its_connection_is_cut() {
    let stack = Stack::with(&[
        ("LTM__GATEWAY__WRITE_STALL", "20s"),
        ("LTM__HTTP__SEND_BUFFER", "16KiB"),
    ]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let mut raw = bare(&stack.gateway, id).await;
    Scrape::until(&stack.gateway, "ltm_subscribers", 1.0).await;
    for n in 0..60 {
        let merge = json!({"text": n.to_string().repeat(60_000)});
        stack.api.append(id, json!({"merge": merge})).await;
    }
    let ended = r#"ltm_subscriptions_ended_total{reason="stalled"}"#;
    Scrape::until(&stack.gateway, ended, 1.0).await;
    let mut text = String::new();
    raw.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("\r\n0\r\n\r\n"), "{}", text.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_and_a_key_name_an_agent_and_a_thread() {
    let stack = Stack::start();
    let body = json!({"fqn": "app.Agent", "key": "thread/7", "state": {"_status": "finished"}});
    let id = stack.api.post("/ltm", &body).await.expect(200)["id"]
        .as_u64()
        .unwrap();
    let http = stack.gateway.http();
    let input = json!({"threadId": "thread/7", "runId": "r"});
    let one = |method: &str, agent: &str, thread: &str| json!({"method": method, "params": {"agentId": agent}, "body": {"threadId": thread, "runId": "r"}});
    let finished = ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"];
    for (path, body, expected) in [
        ("/agui/app.Agent/thread%2F7", input.clone(), &finished[..]),
        (
            "/api/v0/agui/app.Agent/thread%2F7",
            input.clone(),
            &finished,
        ),
        ("/agui/agent/app.Agent/connect", input.clone(), &finished),
        ("/agui/agent/app.Agent/run", input.clone(), &finished),
        (
            "/agui/agent/ltm/connect",
            json!({"threadId": id.to_string()}),
            &finished,
        ),
        (
            "/agui",
            one("agent/connect", "app.Agent", "thread/7"),
            &finished,
        ),
        ("/agui", one("agent/run", "ltm", &id.to_string()), &finished),
        (
            "/agui/agent/app.Agent/connect",
            json!({"threadId": "new"}),
            &["RUN_STARTED", "RUN_FINISHED"],
        ),
        (
            "/agui/agent/app.Agent/run",
            json!({"threadId": "new"}),
            &["RUN_STARTED", "RUN_ERROR"],
        ),
    ] {
        let request = Client::new().post(format!("{http}{path}")).json(&body);
        let events = rest(&mut Events::open(request).await).await;
        assert_eq!(types(&events), expected, "{path}");
        if let Some(run) = body.get("runId") {
            assert_eq!(events[0].json()["runId"], *run);
        }
    }
    for path in [
        "/agui/agent/app.Agent/stop/thread%2F7",
        "/agui/stop/thread%2F7",
    ] {
        let answer = Client::new()
            .post(format!("{http}{path}"))
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["stopped"], false);
    }
    let info = Client::new()
        .get(format!("{http}/agui/info"))
        .send()
        .await
        .unwrap();
    let info: Value = info.json().await.unwrap();
    assert_eq!(info["agents"]["app.Agent"]["name"], "app.Agent");
    assert_eq!(info["mode"], "sse");
    let request = Client::new()
        .post(format!("{http}/agui"))
        .json(&json!({"method": "info"}));
    assert_eq!(
        request.send().await.unwrap().json::<Value>().await.unwrap(),
        info
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_of_a_run_is_a_problem() {
    let stack = Stack::with(&[("LTM__CORS__ORIGINS", "https://app.example")]);
    let (id, _) = stack.api.create(json!({})).await;
    let (http, long) = (stack.gateway.http(), "x".repeat(1025));
    for (path, body, status, name) in [
        ("99".to_owned(), "{}", 404, "unknown-ltm"),
        ("app.Agent/none".to_owned(), "{}", 404, "unknown-ltm"),
        ("x".to_owned(), "{}", 422, "invalid-request"),
        (id.to_string(), "[]", 422, "invalid-request"),
        (format!("{id}?until=dawn"), "{}", 422, "invalid-request"),
        (format!("{id}?after=x"), "{}", 400, "invalid-cursor"),
        (format!("{id}?runId={long}"), "{}", 422, "invalid-request"),
        (
            id.to_string(),
            r#"{"forwardedProps":{"ltm":{"after":"x"}}}"#,
            400,
            "invalid-cursor",
        ),
        (
            "agent/app.Agent/connect".to_owned(),
            "{}",
            422,
            "invalid-request",
        ),
        (
            "agent/ltm/run".to_owned(),
            r#"{"threadId":"x"}"#,
            422,
            "invalid-request",
        ),
        (String::new(), r#"{"method":"fly"}"#, 422, "invalid-request"),
        (
            String::new(),
            r#"{"method":"agent/run"}"#,
            422,
            "invalid-request",
        ),
    ] {
        let url = format!("{http}/agui/{path}");
        let answer = Client::new()
            .post(url.trim_end_matches('/'))
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{path} {body}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], format!("urn:ltm-live:problem:{name}"));
    }
    let foreign =
        ask(&stack.gateway, &id.to_string(), json!({})).header("Origin", "https://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let url = format!("{http}/agui/{id}");
    let put = Client::new().put(&url).send().await.unwrap();
    assert_eq!(
        (put.status(), &put.headers()["allow"]),
        (
            StatusCode::METHOD_NOT_ALLOWED,
            &"GET, HEAD, POST".parse().unwrap()
        )
    );
    let head = Client::new().head(&url).send().await.unwrap();
    assert_eq!(
        (head.status(), &head.headers()["content-type"]),
        (StatusCode::OK, &"text/event-stream".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_or_never_ends_is_refused() {
    let stack = Stack::with(&[
        ("LTM__GATEWAY__AGUI_MAX_INPUT", "100KiB"),
        ("LTM__GATEWAY__AGUI_INPUT_TIMEOUT", "200ms"),
    ]);
    let (id, _) = stack.api.create(json!({"_status": "finished"})).await;
    let fits = ask(
        &stack.gateway,
        &id.to_string(),
        json!({"state": "x".repeat(90_000)}),
    );
    Events::open(fits).await;
    let large = ask(
        &stack.gateway,
        &id.to_string(),
        json!({"state": "x".repeat(110_000)}),
    );
    assert_eq!(large.send().await.unwrap().status(), 413);
    let mut slow = RawConnection::to(stack.gateway.address()).await;
    let head =
        format!("POST /agui/{id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{");
    slow.send(head.as_bytes()).await.unwrap();
    let (head, _) = slow.answer().await;
    assert!(head.starts_with("http/1.1 408 "), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_send_a_large_body_slowly_do_not_keep_others_from_sending_theirs() {
    let stack = Stack::with(&[("LTM__GATEWAY__AGUI_INPUT_TIMEOUT", "10m")]);
    let (id, _) = stack.api.create(json!({"_status": "finished"})).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut client = RawConnection::to(stack.gateway.address()).await;
        let request = format!(
            "POST /agui/{id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n{}",
            " ".repeat(100_000)
        );
        client.send(request.as_bytes()).await.unwrap();
        slow.push(client);
    }
    let large = json!({"state": "x".repeat(200_000)});
    Events::open(ask(&stack.gateway, &id.to_string(), large)).await;
    for client in &mut slow {
        client.send(" ".repeat(100_000).as_bytes()).await.unwrap();
        let (head, _) = client.answer().await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_messages_of_a_plain_ltm_are_where_the_setting_says() {
    let stack = Stack::with(&[("LTM__GATEWAY__AGUI_MESSAGES", "/chat/log")]);
    let message = |id: &str, text: &str| json!({"id": id, "role": "user", "content": text});
    let state = json!({"chat": {"log": [message("1", "a"), {"role": "assistant", "content": {"chunks": ["b", "c"]}, "id": "2"}]}});
    let (id, _) = stack.api.create(state.clone()).await;
    let mut events = open(&stack.gateway, &id.to_string()).await;
    let mut got = Vec::new();
    for _ in 0..5 {
        got.push(events.next().await.unwrap());
    }
    let expected = [
        "RUN_STARTED",
        "MESSAGES_SNAPSHOT",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "STATE_SNAPSHOT",
    ];
    assert_eq!(types(&got), expected);
    assert_eq!(got[1].json()["messages"], json!([message("1", "a")]));
    assert_eq!(got[3].json()["delta"], "bc");
    assert_eq!(got[4].json()["snapshot"], state, "the state is whole");
    stack.api.append(id, json!({"patch": [{"op": "replace", "path": "/chat/log/1", "value": message("2", "bcd")}]})).await;
    let again = [
        events.next().await.unwrap(),
        events.next().await.unwrap(),
        events.next().await.unwrap(),
    ];
    assert_eq!(
        types(&again),
        ["TEXT_MESSAGE_END", "MESSAGES_SNAPSHOT", "STATE_SNAPSHOT"]
    );
    stack
        .api
        .append(
            id,
            json!({"patch": [{"op": "add", "path": "/chat/log/-", "value": message("3", "e")}], }),
        )
        .await;
    let added = [
        events.next().await.unwrap(),
        events.next().await.unwrap(),
        events.next().await.unwrap(),
        events.next().await.unwrap(),
    ];
    assert_eq!(
        types(&added),
        [
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_END",
            "STATE_DELTA"
        ]
    );
}
