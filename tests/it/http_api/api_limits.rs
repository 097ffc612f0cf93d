//! The API survives requests that are too big, too deep or too slow, an unavailable Redis, and a shutdown.

use futures_util::future::select_all;
use ltm_tests::{
    Answer, Api, RawConnection, RedisServer, Scrape, Service, Stack, Subscriber, resident_bytes,
    until,
};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

async fn try_append(api: &Api, id: u64, body: &Value) -> Answer {
    api.post_text(&format!("/ltm/{id}/snapshots"), &body.to_string(), &[])
        .await
}

/// The head of a request with a body, as HTTP spells it.
fn head(path: &str, more: &str) -> Vec<u8> {
    format!("POST /api/v0{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}\r\n\r\n")
        .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_explodes_is_refused_before_it_does() {
    let stack = Stack::with(&[("LTM__API__MAX_STATE", "1MiB")]);
    let state = json!({"a": ["x".repeat(1000)]});
    let (id, cursor) = stack.api.create(state.clone()).await;
    let before = resident_bytes(stack.api_service.pid());
    let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
    let body = json!({"reason": "execute", "patch": vec![double; 40]});
    let problem = try_append(&stack.api, id, &body)
        .await
        .problem(422, "state-too-large");
    assert_eq!(problem["operation"], 10, "{problem}");
    let grown = resident_bytes(stack.api_service.pid()).saturating_sub(before);
    assert!(grown < 32 * MIB, "{grown} bytes");
    let now = stack.api.document(id).await;
    assert_eq!((&now["state"], &now["cursor"]), (&state, &json!(cursor)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_does_not_grow_beyond_its_limit_and_can_always_shrink() {
    let stack = Stack::with(&[("LTM__API__MAX_STATE", "64KiB")]);
    let text = "x".repeat(10_000);
    let large = json!({"fqn": "tests.Ltm", "state": {"text": "x".repeat(70_000)}});
    let refused = stack.api.post("/ltm", &large).await;
    assert_eq!(refused.problem(422, "state-too-large")["field"], "state");
    let (id, _) = stack.api.create(json!({})).await;
    for number in 0..6 {
        let key = format!("k{number}");
        stack.api.append(id, json!({"merge": {key: text}})).await;
    }
    for body in [
        json!({"reason": "x", "merge": {"more": text}}),
        json!({"reason": "x", "patch": [{"op": "add", "path": "/more", "value": text}]}),
        json!({"reason": "x", "patch": [{"op": "copy", "from": "/k1", "path": "/more"}]}),
        json!({"reason": "x", "state": {"text": "x".repeat(70_000)}}),
    ] {
        let problem = try_append(&stack.api, id, &body)
            .await
            .problem(422, "state-too-large");
        assert!(problem["field"].as_str().is_some(), "{problem}");
    }
    for change in [
        json!({"patch": [{"op": "remove", "path": "/k0"}, {"op": "add", "path": "/more", "value": text}]}),
        json!({"patch": [{"op": "replace", "path": "/k1", "value": "short"}]}),
        json!({"state": {"text": "x".repeat(60_000)}}),
    ] {
        stack.api.append(id, change).await;
    }
    assert_eq!(stack.api.document(id).await["snapshots_count"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_as_many_snapshots_as_allowed() {
    let stack = Stack::with(&[("LTM__API__MAX_BATCH", "3")]);
    let (id, _) = stack.api.create(json!({})).await;
    let batch = |count| json!({"snapshots": vec![json!({"reason": "x", "merge": {}}); count]});
    try_append(&stack.api, id, &batch(3)).await.expect(201);
    for count in [4, 2000] {
        let refused = try_append(&stack.api, id, &batch(count)).await;
        let problem = refused.problem(413, "body-too-large");
        assert_eq!(problem["field"], "snapshots");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(&format!("has {count} snapshots")),
            "{detail}"
        );
    }
    stack.api_service.until_logged("api.max_batch").await;
    assert_eq!(stack.api.document(id).await["snapshots_count"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_has_a_limited_number_of_operations() {
    let stack = Stack::with(&[("LTM__API__MAX_OPERATIONS", "10")]);
    let (id, _) = stack.api.create(json!({"a": 1})).await;
    let test = json!({"op": "test", "path": "/a", "value": 1});
    let patch = |count| json!({"reason": "execute", "patch": vec![test.clone(); count]});
    try_append(&stack.api, id, &patch(10)).await.expect(201);
    try_append(&stack.api, id, &patch(11))
        .await
        .problem(422, "state-too-large");
}

/// Arrays in arrays.
fn nested(levels: usize) -> String {
    ["[".repeat(levels), "]".repeat(levels)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_may_be_two_hundred_levels_deep_and_not_three_hundred() {
    let stack = Stack::start();
    let created =
        |levels: usize| format!(r#"{{"fqn":"a","state":{{"a":{}}}}}"#, nested(levels - 1));
    let deep = stack
        .api
        .post_text("/ltm", &created(200), &[])
        .await
        .expect(200);
    let id = deep["id"].as_u64().unwrap();
    let refused = stack.api.post_text("/ltm", &created(300), &[]).await;
    assert_eq!(refused.problem(422, "state-too-large")["field"], "state");

    let append = async |api: &Api, change: &str| {
        let body = format!(r#"{{"reason":"execute",{change}}}"#);
        api.post_text(&format!("/ltm/{id}/snapshots"), &body, &[])
            .await
    };
    let (low, high) = (nested(199), nested(299));
    let place = ["/a", &"/0".repeat(198), "/-"].concat();
    for change in [
        format!(r#""patch":[{{"op":"add","path":"/b","value":{low}}}]"#),
        format!(r#""merge":{{"c":{low}}}"#),
        format!(r#""merge":{{}},"item":{low}"#),
        format!(r#""state":{{"a":{low},"b":{low}}}"#),
    ] {
        let answer = append(&stack.api, &change).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    for change in [
        format!(r#""patch":[{{"op":"add","path":"/d","value":{high}}}]"#),
        // Each part is shallow enough; the state that they make is not.
        format!(r#""patch":[{{"op":"copy","from":"/b","path":"{place}"}}]"#),
        format!(r#""patch":[{{"op":"add","path":"{place}","value":{low}}}]"#),
        format!(r#""merge":{{"d":{high}}}"#),
        format!(r#""state":{{"d":{high}}}"#),
        format!(r#""merge":{{}},"item":{high}"#),
    ] {
        append(&stack.api, &change)
            .await
            .problem(422, "state-too-large");
    }
    // Another process has to read it from Redis, and goes on.
    let other = Service::api(&stack.redis.url(), &[]);
    let api = Api::at(&other);
    let answer = append(&api, r#""merge":{"end":1}"#).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    for path in ["", "/state", "/state?index=4"] {
        let read = api.get(&format!("/ltm/{id}{path}")).await;
        assert_eq!(read.status, 200, "{}", read.text);
        assert!(
            read.text.contains(&format!(r#"{{"a":{low},"b":{low}"#)),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_never_ends_its_nesting_does_not_end_the_service() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let endless = "[".repeat(4 * MIB);
    for body in [
        endless.clone(),
        format!(r#"{{"fqn":"a","state":{{"a":{endless}"#),
        format!(r#"{{"fqn":"a","unknown":{}}}"#, nested(2 * MIB)),
        format!(r#"{{"fqn":"a","state":{{"a":{}}}}}"#, nested(2 * MIB)),
        format!(r#"{{"reason":"x","patch":{}}}"#, nested(2 * MIB)),
    ] {
        for path in ["/ltm", &format!("/ltm/{id}/snapshots")] {
            let answer = stack.api.post_text(path, &body, &[]).await;
            assert!(
                matches!(answer.status.as_u16(), 200 | 422),
                "{}",
                answer.text
            );
        }
    }
    stack
        .api
        .append(id, json!({"merge": {"lives": true}}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused() {
    let stack = Stack::with(&[("LTM__API__MAX_BODY", "64KiB")]);
    let body = json!({"fqn": "a", "payload": {"text": "x".repeat(70_000)}});
    stack
        .api
        .post("/ltm", &body)
        .await
        .problem(413, "body-too-large");
    stack.api_service.until_logged("api.max_body").await;
    // One that does not say its size beforehand.
    let mut connection = RawConnection::to(stack.api_service.address()).await;
    connection
        .send(&head("/ltm", "Transfer-Encoding: chunked"))
        .await
        .unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..20 {
        // It may be refused before all of it is sent.
        if connection.send(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let answer = connection.head().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_bodies_at_once_do_not_fill_the_memory() {
    let stack = Stack::with(&[("LTM__API__BODIES", "3 MiB")]);
    let address = stack.api_service.address();
    // Each lacks its end, so that what came of it is kept.
    let half = vec![b' '; MIB];
    let length = format!("Content-Length: {}", 2 * MIB);
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut connection = RawConnection::to(address).await;
        connection.send(&head("/ltm", &length)).await.unwrap();
        // It may be refused before all of it is sent.
        let _ = connection.send(&half).await;
        open.push(connection);
    }
    let answers = open.iter_mut().map(|one| Box::pin(one.answer()));
    let ((answer, body), ..) = select_all(answers).await;
    assert!(answer.starts_with("http/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
    assert!(body.contains("api.bodies"), "{body}");
    stack.api_service.until_logged("api.bodies").await;
    drop(open);
    let large = json!({"fqn": "a", "payload": {"text": "x".repeat(5 * MIB / 2)}});
    until("the memory of the bodies is free", async || {
        stack.api.post("/ltm", &large).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let stack = Stack::with(&[("LTM__API__BODY_TIMEOUT", "200ms")]);
    let mut connection = RawConnection::to(stack.api_service.address()).await;
    connection
        .send(&head("/ltm", "Content-Length: 100"))
        .await
        .unwrap();
    connection.send(b"{\"fqn\":").await.unwrap();
    let answer = connection.head().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    stack.api_service.until_logged("api.body_timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_states_that_are_held_stay_within_the_cache() {
    let stack = Stack::with(&[("LTM__API__CACHE", "16MiB")]);
    let numbers: Vec<u32> = (0..50_000).collect();
    let state = json!({"numbers": numbers});
    stack.api.create(state.clone()).await;
    let before = resident_bytes(stack.api_service.pid());
    for _ in 0..40 {
        stack.api.create(state.clone()).await;
    }
    let grown = resident_bytes(stack.api_service.pid()).saturating_sub(before);
    assert!(grown < 64 * MIB, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_weighs_states_by_the_memory_that_they_take() {
    let redis = RedisServer::start(&[]);
    let writer = Service::api(&redis.url(), &[]);
    let api = Api::at(&writer);
    let points: Vec<Value> = (0..2_000).map(|n| json!({"x": n, "y": 1})).collect();
    let shapes = [
        ("numbers", json!(vec![0; 20_000])),
        ("objects", json!(points)),
        ("arrays", json!(vec![json!([1]); 10_000])),
        (
            "texts",
            json!(vec!["a text of thirty characters..."; 20_000]),
        ),
    ];
    for (shape, value) in shapes {
        let state = json!({"a": value});
        let mut ids = Vec::new();
        for _ in 0..30 {
            ids.push(api.create(state.clone()).await.0);
        }
        // It has nothing else in memory.
        let reader = Service::api(&redis.url(), &[]);
        let read = async |id: u64| Api::at(&reader).get(&format!("/ltm/{id}/state")).await;
        assert_eq!(read(ids[0]).await.status, 200);
        let bytes = async || Scrape::of(&reader).await.value("ltm_state_cache_bytes");
        let before = (resident_bytes(reader.pid()), bytes().await);
        for id in &ids[1..] {
            assert_eq!(read(*id).await.status, 200);
        }
        let held = (resident_bytes(reader.pid()) - before.0) as f64;
        let weighed = bytes().await - before.1;
        let ratio = held / weighed;
        assert!(
            (0.66..1.5).contains(&ratio),
            "{shape}: {held} bytes, weighed as {weighed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_requests_are_refused_and_then_served_again() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let (id, cursor) = api.create(json!({})).await;
    redis.kill();
    let body = json!({"reason": "execute", "merge": {"a": 1}});
    for answer in [
        try_append(&api, id, &body).await,
        api.get(&format!("/ltm/{id}")).await,
        api.get("/ltm").await,
        api.post("/ltm", &json!({"fqn": "a"})).await,
        api.get_root("/readyz").await,
    ] {
        assert_eq!(answer.header("retry-after"), "1");
        answer.problem(503, "unavailable");
    }
    assert_eq!(api.get_root("/healthz").await.status, 200);
    redis.restart();
    api.until_ready_is(200).await;
    assert_eq!(api.document(id).await["cursor"], cursor);
    try_append(&api, id, &body).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_before_redis_waits_for_it() {
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    api.until_ready_is(503).await;
    redis.restart();
    api.until_ready_is(200).await;
    api.create(json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_was_lost_lands_once_when_it_is_repeated() {
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[("LTM__REDIS__RESPONSE_TIMEOUT", "300ms")]);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({"list": []})).await;
    let body =
        json!({"reason": "execute", "patch": [{"op": "add", "path": "/list/-", "value": 1}]});
    let (path, text) = (format!("/ltm/{id}/snapshots"), body.to_string());
    let key = [("idempotency-key", "once")];
    // Redis has the request, and carries it out when it comes to.
    api.post_text(&path, &text, &[("idempotency-key", "before")])
        .await
        .expect(201);
    redis.pause();
    api.post_text(&path, &text, &key)
        .await
        .problem(503, "unavailable");
    redis.resume();
    api.until_ready_is(200).await;
    api.post_text(&path, &text, &key).await.expect(201);
    assert_eq!(api.document(id).await["state"], json!({"list": [1, 1]}));
}

/// Sends the head of a creation; the service has it when it asks for the body.
async fn begin_creation(service: &Service, body: &str) -> RawConnection {
    let mut connection = RawConnection::to(service.address()).await;
    let more = format!("Expect: 100-continue\r\nContent-Length: {}", body.len());
    connection.send(&head("/ltm", &more)).await.unwrap();
    assert!(connection.head().await.starts_with("HTTP/1.1 100 "));
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_finished_before_the_service_ends() {
    for signal in ["TERM", "INT"] {
        let redis = RedisServer::start(&[]);
        let mut service = Service::api(&redis.url(), &[]);
        let body = r#"{"fqn":"tests.Late"}"#;
        let mut connection = begin_creation(&service, body).await;
        service.signal(signal);
        service.until_logged("stopping").await;
        connection.send(body.as_bytes()).await.unwrap();
        let answer = connection.head().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{signal}: {answer}");
        assert_eq!(service.wait().code(), Some(0), "{signal}");
        assert_eq!(redis.cli(&["HGET", "ltm:{1}:meta", "fqn"]), "tests.Late");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_service_at_once() {
    let redis = RedisServer::start(&[]);
    let mut service = Service::api(&redis.url(), &[("LTM__API__DRAIN_TIME", "1h")]);
    let _open = begin_creation(&service, "{}").await;
    service.signal("TERM");
    service.until_logged("stopping").await;
    service.signal("INT");
    assert_eq!(service.wait().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_waits_for_others_at_the_same_ltm_only_so_long() {
    let stack = Stack::with(&[
        ("LTM__API__LOCK_WAIT", "300ms"),
        ("LTM__REDIS__RESPONSE_TIMEOUT", "50s"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    stack.api.append(id, json!({"merge": {"n": 0}})).await;
    stack.redis.pause();
    let writer = |api: Api| {
        tokio::spawn(async move {
            let body = json!({"reason": "execute", "merge": {"n": 1}});
            try_append(&api, id, &body).await
        })
    };
    let mut writers: Vec<_> = (0..2).map(|_| writer(stack.api.clone())).collect();
    // One of them has the turn, and waits for Redis.
    let (refused, which, _) = select_all(&mut writers).await;
    let refused = refused.unwrap();
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(503, "busy");
    stack.api_service.until_logged("api.lock_wait").await;
    stack.redis.resume();
    writers.remove(1 - which).await.unwrap().expect(201);
    assert_eq!(stack.api.document(id).await["snapshots_count"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_connections_and_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/0", silent.local_addr().unwrap());
    let settings = [
        ("LTM__REDIS__CONNECT_TIMEOUT", "300ms"),
        ("LTM__REDIS__RESPONSE_TIMEOUT", "1h"),
    ];
    for service in [
        Service::api(&url, &settings),
        Service::gateway(&url, &settings),
    ] {
        let answer = Api::at(&service).get_root("/readyz").await;
        answer.problem(503, "unavailable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ltm_remembers_its_latest_thousand_keys_and_no_more() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ltm/{id}/snapshots");
    let write = async |key: &str| {
        let text = r#"{"reason":"execute","merge":{}}"#;
        let headers = [("idempotency-key", key)];
        stack.api.post_text(&path, text, &headers).await.expect(201)["index"].clone()
    };
    let first = write("first").await;
    for number in 0..1023 {
        write(&number.to_string()).await;
    }
    let kept = |stack: &Stack| {
        let count = stack.redis.cli(&["HLEN", &format!("ltm:{{{id}}}:idem")]);
        count.parse::<u32>().unwrap()
    };
    let held = kept(&stack);
    assert_eq!(write("first").await, first, "it is one of the latest");
    for number in 1023..1100 {
        write(&number.to_string()).await;
    }
    assert!(kept(&stack) <= held + 2, "{} after {held}", kept(&stack));
    assert_ne!(write("first").await, first, "it was forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ltm_has_a_limited_number_of_named_producers() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let write = async |number: u32| {
        let producer = format!("engine-{number};epoch=1");
        let text = r#"{"reason":"execute","merge":{}}"#;
        let path = format!("/ltm/{id}/snapshots");
        let headers = [("ltm-producer", producer.as_str())];
        stack.api.post_text(&path, text, &headers).await
    };
    for number in 0..256 {
        write(number).await.expect(201);
    }
    write(256).await.problem(422, "invalid-request");
    write(255).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_at_most_a_thousand_rows() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    for path in ["/ltm", &format!("/ltm/{id}/snapshots")] {
        stack
            .api
            .get(&format!("{path}?limit=1000"))
            .await
            .expect(200);
        let refused = stack.api.get(&format!("{path}?limit=1001")).await;
        assert_eq!(refused.problem(422, "invalid-request")["field"], "limit");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_fits_into_the_cache_is_read_once() {
    // It takes about half of the cache.
    let stack = Stack::with(&[
        ("LTM__API__CACHE", "1 MiB"),
        ("LTM__GATEWAY__CACHE", "1 MiB"),
        // Nothing but the test runs scripts.
        ("LTM__API__RETENTION_INTERVAL", "1h"),
        ("LTM__GATEWAY__SWEEP_INTERVAL", "1h"),
    ]);
    let (id, _) = stack
        .api
        .create(json!({"n": 0, "text": "x".repeat(128 * 1024)}))
        .await;
    let scripts = || stack.redis.info("commandstats", "cmdstat_evalsha:calls");
    stack.api.append(id, json!({"merge": {"n": 0}})).await;
    // The API stores a state of this size in the background.
    let checkpoint = format!("ltm:{{{id}}}:checkpoint");
    until("the checkpoint is stored", async || {
        let exists = stack.redis.cli(&["EXISTS", &checkpoint]);
        if exists == "1" { Ok(()) } else { Err(exists) }
    })
    .await;
    let before = scripts();
    for n in 1..=20 {
        stack.api.append(id, json!({"merge": {"n": n}})).await;
    }
    // The append is one, and none reads.
    assert_eq!(scripts() - before, 20);
    let reset = async || {
        let url = stack.gateway.ws(&format!("/ws/{id}?init=state"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        assert!(subscriber.message().await["reset"].is_object());
        subscriber
    };
    // A subscriber that receives live entries has read the log for the last time.
    let mut first = reset().await;
    stack.api.append(id, json!({"merge": {"n": 21}})).await;
    first.message().await;
    reset().await;
    let before = scripts();
    for _ in 0..20 {
        reset().await;
    }
    assert_eq!(scripts(), before);
}
