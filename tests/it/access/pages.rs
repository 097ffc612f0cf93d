//! Which web pages may call, and under which host names: a browser sends the requests of any page.

use ltm_tests::{Api, RawConnection, RedisServer, Service, Stack};
use serde_json::{Value, json};

/// Every way in which a page can ask for LTM 1. The WebSockets are those with `Upgrade`.
const REQUESTS: [(&str, &str); 10] = [
    ("GET", "/api/v0/ltm"),
    ("GET", "/api/v0/ltm/1"),
    ("POST", "/api/v0/ltm/1/copy"),
    ("POST", "/api/v0/ltm"),
    ("DELETE", "/api/v0/ltm/1"),
    ("OPTIONS", "/api/v0/ltm/1"),
    ("GET", "/sse/1?init=state"),
    ("GET", "/ws/1?init=state"),
    ("GET", "/ws/ltms"),
    ("GET", "/ws"),
];

/// The answer of one service.
struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    fn is_problem(&self, status: u16, name: &str) {
        assert_eq!(self.status, status, "{}{}", self.head, self.body);
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["type"], format!("urn:ltm-live:problem:{name}"));
    }
}

/// The answer of the service that serves this path.
async fn ask(stack: &Stack, (method, path): (&str, &str), host: &str, headers: &str) -> Answered {
    let live = path.starts_with("/ws") || path.starts_with("/sse");
    let service = if live {
        &stack.gateway
    } else {
        &stack.api_service
    };
    ask_of(service, (method, path), host, headers).await
}

async fn ask_of(
    service: &Service,
    (method, path): (&str, &str),
    host: &str,
    headers: &str,
) -> Answered {
    let mut headers = headers.to_owned();
    if path.starts_with("/ws") {
        headers += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    }
    if method == "OPTIONS" {
        headers += "Access-Control-Request-Method: DELETE\r\n";
    }
    let port = service.address().rsplit_once(':').unwrap().1;
    let host = host.replace("PORT", port);
    let headers = headers.replace("PORT", port);
    let mut connection = RawConnection::to(service.address()).await;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n{headers}\r\n");
    connection.send(request.as_bytes()).await.unwrap();
    let head = connection.head().await.to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    let body = String::from_utf8(connection.read(length).await).unwrap();
    Answered { status, head, body }
}

/// What is in Redis.
async fn held(stack: &Stack) -> [Value; 3] {
    let api = &stack.api;
    [
        api.get("/ltm").await.expect(200),
        api.get("/ltm?playground=true").await.expect(200),
        api.document(1).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_reads_nothing_and_changes_nothing() {
    let stack = Stack::start();
    stack.api.create(json!({"n": 0})).await;
    let before = held(&stack).await;
    for origin in [
        "https://evil.example",
        "http://evil.example:PORT",
        "http://127.0.0.1.evil.example:PORT",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "http://10.1.2.3:PORT",
        "capacitor://localhost",
        "file://",
        "null",
        "",
        "http://localhost:1\r\nOrigin: https://evil.example",
    ] {
        for request in REQUESTS {
            let headers = format!("Origin: {origin}\r\n");
            let refused = ask(&stack, request, "127.0.0.1:PORT", &headers).await;
            refused.is_problem(403, "origin-forbidden");
            let allowed = refused.header("access-control-allow-origin");
            assert_eq!(allowed, None, "{origin} {request:?}");
        }
    }
    assert_eq!(held(&stack).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn ltm_dev_refuses_a_page_of_another_origin_and_an_unknown_host() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Service::dev(folder.path());
    Api::at(&dev).create(json!({})).await;
    let list = || Api::at(&dev);
    for request in REQUESTS {
        let evil = "Origin: https://evil.example\r\n";
        let refused = ask_of(&dev, request, "127.0.0.1:PORT", evil).await;
        refused.is_problem(403, "origin-forbidden");
        let refused = ask_of(&dev, request, "evil.example:PORT", "").await;
        refused.is_problem(421, "unknown-host");
    }
    let rows = list().get("/ltm").await.expect(200);
    assert_eq!(rows.as_array().unwrap().len(), 1);
    let page = ask_of(&dev, ("GET", "/"), "localhost:PORT", "").await;
    assert_eq!(page.status, 200, "{}", page.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_on_this_machine_may_call_a_service_on_this_machine() {
    let stack = Stack::start();
    stack.api.create(json!({})).await;
    for origin in [
        "http://localhost:3000",
        "https://localhost",
        "http://127.0.0.1:5173",
        "http://[::1]:9",
    ] {
        let headers = format!("Origin: {origin}\r\nSec-Fetch-Site: same-site\r\n");
        for host in ["127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT"] {
            let answer = ask(&stack, REQUESTS[1], host, &headers).await;
            assert_eq!(answer.status, 200, "{origin} {host}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            // Otherwise the browser fails a request without CORS of this page, though it was carried out.
            let embedding = answer.header("cross-origin-resource-policy");
            assert_eq!(embedding, Some("cross-origin"));
            let socket = ask(&stack, REQUESTS[7], host, &headers).await;
            assert_eq!(socket.status, 101, "{origin} {host}");
        }
        // A page on the reader's machine is foreign to a service on another machine.
        let away = ask(&stack, REQUESTS[1], "10.1.2.3:PORT", &headers).await;
        away.is_problem(403, "origin-forbidden");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_named_is_not_answered() {
    let stack = Stack::with(&[("LTM__HTTP__HOSTS", "ltm.example.com")]);
    stack.api.create(json!({"n": 0})).await;
    let before = held(&stack).await;
    // A page of evil.example, whose name now leads to this service: its requests are of the same origin.
    for request in REQUESTS {
        for host in [
            "evil.example:PORT",
            "evil.example",
            "localhost.evil.example",
        ] {
            for more in ["", "Origin: http://evil.example:PORT\r\n"] {
                let refused = ask(&stack, request, host, more).await;
                refused.is_problem(421, "unknown-host");
            }
        }
        let twice = "Host: evil.example\r\n";
        let refused = ask(&stack, request, "localhost", twice).await;
        assert!([400, 421].contains(&refused.status), "{}", refused.head);
    }
    assert_eq!(held(&stack).await, before);
    let target = ("GET", "http://evil.example/api/v0/ltm");
    let refused = ask_of(&stack.api_service, target, "localhost", "").await;
    refused.is_problem(421, "unknown-host");
    for host in [
        "ltm.example.com",
        "LTM.example.com:PORT",
        "10.1.2.3",
        "[::1]",
    ] {
        let answer = ask(&stack, REQUESTS[0], host, "").await;
        assert_eq!(answer.status, 200, "{host}");
    }
    // Monitoring asks under any name.
    for path in ["/healthz", "/readyz", "/metrics"] {
        for service in [&stack.api_service, &stack.gateway] {
            Api::at(service).until_ready_is(200).await;
            let answer = ask_of(service, ("GET", path), "haproxy", "").await;
            assert_eq!(answer.status, 200, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_need_a_credential_may_use_any_host_unless_the_hosts_are_named() {
    let redis = RedisServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.toml");
    std::fs::write(&keys, "").unwrap();
    let required = [
        ("LTM__AUTH__MODE", "required"),
        ("LTM__AUTH__API_KEYS_FILE", keys.to_str().unwrap()),
    ];
    let any = Service::api(&redis.url(), &required);
    let named = ("LTM__HTTP__HOSTS", "ltm.example.com");
    let some = Service::api(&redis.url(), &[required[0], required[1], named]);
    let host = "other.example.com";
    let answer = ask_of(&any, REQUESTS[0], host, "").await;
    answer.is_problem(401, "unauthenticated");
    let answer = ask_of(&some, REQUESTS[0], host, "").await;
    answer.is_problem(421, "unknown-host");
    // A page on another machine needs its origin named, too, whatever token it has.
    let evil = "Origin: https://evil.example\r\n";
    let answer = ask_of(&any, REQUESTS[0], host, evil).await;
    answer.is_problem(403, "origin-forbidden");
    assert!(!any.logged("anybody who can reach this service"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_foreign_page_loads_without_an_origin_takes_no_seat() {
    let stack = Stack::start();
    stack.api.create(json!({})).await;
    let headers = |site: &str, mode: &str, to: &str| {
        format!("Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {to}\r\n")
    };
    let loads = [
        ("no-cors", "image"),
        ("no-cors", "script"),
        ("navigate", "iframe"),
        ("navigate", "object"),
        ("websocket", "websocket"),
    ];
    for site in ["cross-site", "same-site"] {
        for request in REQUESTS {
            for (mode, to) in loads {
                let load = headers(site, mode, to);
                let refused = ask(&stack, request, "localhost", &load).await;
                refused.is_problem(403, "origin-forbidden");
            }
        }
        // Somebody follows a link.
        let link = headers(site, "navigate", "document");
        for path in ["/", "/docs", "/api/v0/ltm/1"] {
            let answer = ask(&stack, ("GET", path), "localhost", &link).await;
            assert_eq!(answer.status, 200, "{site} {path}");
        }
        let refused = ask(&stack, REQUESTS[2], "localhost", &link).await;
        refused.is_problem(403, "origin-forbidden");
    }
    for site in ["same-origin", "none"] {
        let own = headers(site, "no-cors", "script");
        let answer = ask(&stack, ("GET", "/inspector/main.js"), "localhost", &own).await;
        assert_eq!(answer.status, 200, "{site}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_works_on_its_own_origin_whatever_is_configured() {
    let stack = Stack::with(&[
        ("LTM__CORS__ORIGINS", "https://app.example"),
        ("LTM__HTTP__HOSTS", "ltm.example, upstream"),
        ("LTM__HTTP__TRUSTED_PROXIES", "127.0.0.1"),
    ]);
    stack.api.create(json!({})).await;
    for (host, headers) in [
        ("127.0.0.1:PORT", "Origin: http://127.0.0.1:PORT\r\n"),
        // TLS ends before the service.
        ("ltm.example", "Origin: https://ltm.example\r\n"),
        ("ltm.example:443", "Origin: https://ltm.example\r\n"),
        // nginx removes the port: `proxy_set_header Host $host`.
        ("ltm.example", "Origin: https://ltm.example:8443\r\n"),
        // A proxy that the operator trusts replaces the host.
        (
            "upstream",
            "Origin: https://ltm.example\r\nX-Forwarded-Host: ltm.example\r\n",
        ),
        // The browser says so, whatever a proxy made of the host.
        (
            "upstream",
            "Origin: https://ltm.example\r\nSec-Fetch-Site: same-origin\r\n",
        ),
    ] {
        for request in REQUESTS {
            let status = match request.1 {
                path if path.starts_with("/ws") => 101,
                _ if ["POST", "DELETE"].contains(&request.0) => continue,
                _ => 200,
            };
            let answer = ask(&stack, request, host, headers).await;
            assert_eq!(answer.status, status, "{host} {headers} {request:?}");
        }
    }
    for (host, headers) in [
        ("ltm.example", "Origin: https://other.example\r\n"),
        ("ltm.example:8443", "Origin: https://ltm.example\r\n"),
        // Another port, and the browser says that it is another origin.
        (
            "ltm.example",
            "Origin: https://ltm.example:9\r\nSec-Fetch-Site: same-site\r\n",
        ),
    ] {
        let refused = ask(&stack, REQUESTS[7], host, headers).await;
        refused.is_problem(403, "origin-forbidden");
    }
    let forwarded = "X-Forwarded-Host: evil.example\r\n";
    let refused = ask(&stack, REQUESTS[1], "ltm.example", forwarded).await;
    refused.is_problem(421, "unknown-host");
    let untrusted = Stack::start();
    let forged = "Origin: https://evil.example\r\nX-Forwarded-Host: evil.example\r\n";
    let refused = ask(&untrusted, REQUESTS[1], "localhost", forged).await;
    refused.is_problem(403, "origin-forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_to_be_allowed_in_so_many_words_and_then_gets_no_cookies() {
    let stack = Stack::with(&[("LTM__CORS__ORIGINS", "*")]);
    stack.api.create(json!({})).await;
    let evil = "Origin: https://evil.example\r\n";
    for request in [REQUESTS[1], REQUESTS[5], REQUESTS[6]] {
        let answer = ask(&stack, request, "localhost", evil).await;
        assert_eq!(answer.status, 200, "{request:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    let socket = ask(&stack, REQUESTS[7], "localhost", evil).await;
    assert_eq!(socket.status, 101);
    let image = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n";
    let answer = ask(&stack, REQUESTS[1], "localhost", image).await;
    assert_eq!(answer.status, 200);
    // Only the operator can let a page call with the cookies of a proxy that authenticates callers: by its name.
    let named = Stack::with(&[("LTM__CORS__ORIGINS", "https://app.example")]);
    named.api.create(json!({})).await;
    let app = "Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n";
    for request in [REQUESTS[1], REQUESTS[5]] {
        let answer = ask(&named, request, "localhost", app).await;
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://app.example"));
        let cookies = answer.header("access-control-allow-credentials");
        assert_eq!(cookies, Some("true"));
        let vary = answer.header("vary").unwrap();
        assert!(vary.split(", ").any(|name| name == "origin"), "{vary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_says_at_start_that_anybody_may_call() {
    let stack = Stack::start();
    for service in [&stack.api_service, &stack.gateway] {
        let lines = service.lines();
        let said = |line: &&String| line.contains("anybody who can reach this service");
        let warnings: Vec<_> = lines.iter().filter(said).collect();
        assert_eq!(warnings.len(), 1, "{lines:#?}");
        assert!(warnings[0].contains(r#""level":"WARN""#), "{warnings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_data_is_for_its_caller_alone() {
    let stack = Stack::start();
    stack.api.create(json!({})).await;
    for request in [
        REQUESTS[0],
        REQUESTS[1],
        ("GET", "/api/v0/ltm/1/state"),
        ("GET", "/api/v0/ltm/1/snapshots"),
        ("GET", "/api/v0/ltm/9"),
        ("GET", "/sse/9"),
        ("POST", "/api/v0/ltm/1/copy"),
    ] {
        let answer = ask(&stack, request, "localhost", "").await;
        let cached = answer.header("cache-control");
        assert_eq!(cached, Some("private, no-cache"), "{request:?}");
        let sniffed = answer.header("x-content-type-options");
        assert_eq!(sniffed, Some("nosniff"), "{request:?}");
        let embedded = answer.header("cross-origin-resource-policy");
        assert_eq!(embedded, Some("same-origin"), "{request:?}");
    }
}
