//! The limits on connections and requests that both services share.

use std::future::Future;

use futures_util::future::select_all;
use ltm_tests::{RawConnection, RedisServer, Service, Stack, until};
use serde_json::{Value, json};

/// Does something with an API, then with a gateway.
async fn for_both<F: Future<Output = ()>>(settings: &[(&str, &str)], check: impl Fn(Service) -> F) {
    let redis = RedisServer::start(&[]);
    check(Service::api(&redis.url(), settings)).await;
    check(Service::gateway(&redis.url(), settings)).await;
}

/// The status and the name of the problem of an answer that is refused.
fn refusal((head, body): &(String, String)) -> (u16, String) {
    assert!(head.contains("retry-after: "), "{head}");
    let problem: Value = serde_json::from_str(body).unwrap();
    let name = problem["type"].as_str().unwrap();
    let status = problem["status"].as_u64().unwrap();
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
    (
        u16::try_from(status).unwrap(),
        name.trim_start_matches("urn:ltm-live:problem:").into(),
    )
}

/// Waits until a new connection of this source is served.
async fn until_served(source: &str, service: &Service) {
    until("the permit of the connection is free", async || {
        let mut connection = RawConnection::from(source, service.address()).await;
        let (head, _) = connection.get("/nothing", "").await;
        let served = head.starts_with("http/1.1 404 ");
        if served { Ok(()) } else { Err(head) }
    })
    .await;
}

/// Goes on with a header byte by byte until the service ends the connection.
async fn drip(connection: &mut RawConnection) {
    until("the service ends the connection", async || {
        connection.send(b"x").await.is_err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_limit_is_told_so_and_health_is_not_refused() {
    for_both(&[("LTM__HTTP__MAX_CONNECTIONS", "3")], async |service| {
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut connection = RawConnection::to(service.address()).await;
            let (head, _) = connection.get("/nothing", "").await;
            assert!(head.starts_with("http/1.1 404 "), "{head}");
            open.push(connection);
        }
        let mut refused = RawConnection::to(service.address()).await;
        let answer = refused.get("/nothing", "").await;
        assert_eq!(refusal(&answer), (503, "over-limit".into()));
        assert!(answer.1.contains("http.max_connections"), "{}", answer.1);
        assert!(answer.0.contains("connection: close"), "{}", answer.0);
        assert!(refused.rest().await.is_empty());
        let mut refused = RawConnection::to(service.address()).await;
        let head = refused.shake_hands("/ws/1", "").await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        for path in ["/healthz", "/readyz"] {
            let mut other = RawConnection::to(service.address()).await;
            let (head, body) = other.get(path, "").await;
            assert!(!body.contains("over-limit"), "{head}{body}");
        }
        service.until_logged("http.max_connections").await;
        open.pop();
        until_served("127.0.0.1", &service).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_refused_are_bounded_too() {
    let settings = [
        ("LTM__HTTP__MAX_CONNECTIONS", "1"),
        ("LTM__HTTP__HEADER_TIMEOUT", "1h"),
    ];
    for_both(&settings, async |service| {
        let mut silent = Vec::new();
        for _ in 0..1 + 256 + 1 {
            silent.push(RawConnection::to(service.address()).await);
        }
        // Which one is cut off, the workers decide.
        let ends = silent.iter_mut().map(|one| Box::pin(one.rest()));
        let (heard, ..) = select_all(ends).await;
        assert!(heard.is_empty());
        service.until_logged("http.max_connections").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_as_many_connections_as_allowed_and_another_one_has_its_own() {
    let settings = [("LTM__HTTP__MAX_CONNECTIONS_PER_ADDRESS", "2")];
    for_both(&settings, async |service| {
        let address = service.address();
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut connection = RawConnection::to(address).await;
            let (head, _) = connection.get("/nothing", "").await;
            assert!(head.starts_with("http/1.1 404 "), "{head}");
            open.push(connection);
        }
        let mut third = RawConnection::to(address).await;
        // Who is not a trusted proxy is not believed.
        let answer = third
            .get("/healthz", "X-Forwarded-For: 192.0.2.1\r\n")
            .await;
        assert_eq!(refusal(&answer), (429, "too-many-requests".into()));
        assert!(third.rest().await.is_empty());
        until_served("127.0.0.2", &service).await;
        service
            .until_logged("http.max_connections_per_address")
            .await;
        open.pop();
        until_served("127.0.0.1", &service).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_clients_are_counted_and_not_the_proxy() {
    let stack = Stack::with(&[
        ("LTM__HTTP__MAX_CONNECTIONS_PER_ADDRESS", "1"),
        ("LTM__HTTP__TRUSTED_PROXIES", "127.0.0.1, 192.0.2.0/24"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}");
    let follow = async |forwarded: &str| {
        let mut connection = RawConnection::to(stack.gateway.address()).await;
        let headers = format!("X-Forwarded-For: {forwarded}\r\n");
        let head = connection.shake_hands(&path, &headers).await;
        (head[9..12].to_owned(), connection)
    };
    let (status, first) = follow("203.0.113.1").await;
    assert_eq!(status, "101");
    for same in [
        "203.0.113.1",
        "198.51.100.7, 203.0.113.1",
        "198.51.100.7, 203.0.113.1, 192.0.2.9",
    ] {
        assert_eq!(follow(same).await.0, "429", "{same}");
    }
    let (status, _second) = follow("203.0.113.2").await;
    assert_eq!(status, "101");
    stack
        .gateway
        .until_logged("http.max_connections_per_address")
        .await;
    drop(first);
    until("the permit of the address is free", async || {
        follow("203.0.113.1").await.0 == "101"
    })
    .await;
    // The API counts what is under way, and each of these is over before the next.
    let mut proxy = RawConnection::to(stack.api_service.address()).await;
    for _ in 0..10 {
        let forwarded = "X-Forwarded-For: 203.0.113.1\r\n";
        let (head, _) = proxy.get("/api/v0/ltm", forwarded).await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_rate_of_an_address_are_refused_until_it_has_waited() {
    let settings = [("LTM__HTTP__MAX_REQUESTS_PER_ADDRESS", "5")];
    for_both(&settings, async |service| {
        let mut connection = RawConnection::to(service.address()).await;
        let mut served = 0;
        let refused = loop {
            let answer = connection.get("/nothing", "").await;
            if !answer.0.starts_with("http/1.1 404 ") {
                break answer;
            }
            served += 1;
            assert!(served < 1000, "it is never refused");
        };
        assert!(served >= 5, "{served}");
        assert_eq!(refusal(&refused), (429, "too-many-requests".into()));
        let wait = refused.0.split("retry-after: ").nth(1).unwrap();
        let wait: u32 = wait.lines().next().unwrap().parse().unwrap();
        assert!((1..=3).contains(&wait), "{wait}");
        service.until_logged("http.max_requests_per_address").await;
        until_served("127.0.0.2", &service).await;
        until_served("127.0.0.1", &service).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_the_calls_of_each_address_are_limited_but_not_those_of_this_machine() {
    let settings = [
        ("LTM__HTTP__MAX_REQUESTS_PER_CALLER", "5"),
        ("LTM__HTTP__TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let redis = RedisServer::start(&[]);
    let services = [
        (Service::api(&redis.url(), &settings), "/api/v0/ltm/1"),
        (Service::gateway(&redis.url(), &settings), "/sse/1"),
    ];
    for (service, path) in services {
        let mut connection = RawConnection::to(service.address()).await;
        let from = "X-Forwarded-For: 203.0.113.9\r\n";
        let mut served = 0;
        let refused = loop {
            let answer = connection.get(path, from).await;
            if !answer.0.starts_with("http/1.1 404 ") {
                break answer;
            }
            served += 1;
            assert!(served < 1000, "it is never refused");
        };
        assert!(served >= 5, "{served}");
        assert_eq!(refusal(&refused), (429, "too-many-requests".into()));
        let mut here = RawConnection::from("127.0.0.2", service.address()).await;
        for _ in 0..50 {
            let (head, _) = here.get(path, "").await;
            assert!(head.starts_with("http/1.1 404 "), "{head}");
        }
        let (other, _) = connection
            .get(path, "X-Forwarded-For: 203.0.113.10\r\n")
            .await;
        assert!(other.starts_with("http/1.1 404 "), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_arrive_ends_its_connection() {
    let settings = [("LTM__HTTP__HEADER_TIMEOUT", "1s")];
    for_both(&settings, async |service| {
        let mut silent = RawConnection::to(service.address()).await;
        let head = silent.head().await;
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        let mut slow = RawConnection::to(service.address()).await;
        slow.send(b"GET /ws/1 HTTP/1.1\r\nX-Drip: ").await.unwrap();
        drip(&mut slow).await;
        service.until_logged("http.header_timeout").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_head_that_does_not_arrive_ends_its_connection_too() {
    let settings = [
        ("LTM__HTTP__HEADER_TIMEOUT", "1s"),
        ("LTM__HTTP__KEEP_ALIVE", "2s"),
    ];
    for_both(&settings, async |service| {
        let mut slow = RawConnection::to(service.address()).await;
        slow.get("/healthz", "").await;
        slow.send(b"GET /healthz HTTP/1.1\r\nX-Drip: ")
            .await
            .unwrap();
        drip(&mut slow).await;
        service.until_logged("http.header_timeout").await;
        // Its begin came together with the whole first one.
        let mut hasty = RawConnection::to(service.address()).await;
        let both = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHo";
        hasty.send(both.as_bytes()).await.unwrap();
        let (head, _) = hasty.answer().await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        hasty.rest().await;
        let mut idle = RawConnection::to(service.address()).await;
        idle.get("/healthz", "").await;
        idle.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_not_taken_for_idle() {
    let stack = Stack::with(&[
        ("LTM__HTTP__HEADER_TIMEOUT", "1s"),
        ("LTM__HTTP__KEEP_ALIVE", "300ms"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    let mut subscriber = RawConnection::to(stack.gateway.address()).await;
    subscriber.upgrade(&format!("/ws/{id}")).await;
    let mut writer = RawConnection::to(stack.api_service.address()).await;
    let body = r#"{"reason":"execute","merge":{"n":1}}"#;
    let head = format!(
        "POST /api/v0/ltm/{id}/snapshots HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    writer.send(head.as_bytes()).await.unwrap();
    // Longer than a connection is kept on which nothing comes.
    for service in [&stack.gateway, &stack.api_service] {
        for _ in 0..8 {
            let mut idle = RawConnection::to(service.address()).await;
            idle.get("/healthz", "").await;
            idle.rest().await;
        }
    }
    writer.send(body.as_bytes()).await.unwrap();
    let (head, _) = writer.answer().await;
    assert!(head.starts_with("http/1.1 201 "), "{head}");
    let frame = subscriber.read(2).await;
    assert_eq!(frame[0], 0x81, "a text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_ends_its_connection() {
    for_both(&[("LTM__HTTP__HEADER_TIMEOUT", "1h")], async |service| {
        let mut connection = RawConnection::to(service.address()).await;
        let header = format!("X-Large: {}\r\n", "x".repeat(1000));
        let mut sent = connection.send(b"GET /healthz HTTP/1.1\r\n").await;
        for _ in 0..200 {
            if sent.is_ok() {
                sent = connection.send(header.as_bytes()).await;
            }
        }
        let answer = String::from_utf8(connection.rest().await).unwrap();
        assert!(!answer.contains(" 200 "), "{answer}");
    })
    .await;
}
