//! Malicious clients, and clients that do not speak HTTP. The services reject each with a clear answer or close the
//! connection. It costs little memory and changes nothing, and the next client is served.
//!
//! What is no HTTP is refused by the library below the services (actix) before they see it: 400 or 431 without
//! a body, and the connection ends.

use std::time::Duration;

use ltm_tests::{Api, RawConnection, Service, Stack, peak_bytes};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

/// Whether a service answers on a new connection.
async fn still_serves(service: &Service) {
    assert_eq!(Api::at(service).get_root("/healthz").await.status, 200);
}

/// Sends bytes and gives the status, the head and the body of the first answer.
async fn ask(service: &Service, bytes: &[u8]) -> (u16, String, String) {
    let mut connection = RawConnection::to(service.address()).await;
    // It may be refused before all of it is sent.
    let _ = connection.send(bytes).await;
    let (head, body) = connection.answer().await;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, body)
}

fn request(method: &str, path: &str, more: &str, body: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n{body}").into()
}

/// The number of LTMs that there are.
async fn count(stack: &Stack) -> usize {
    let list = stack.api.get("/ltm?limit=100").await.expect(200);
    list.as_array()
        .map_or_else(|| list["ltms"].as_array().unwrap().len(), Vec::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_have_one_spelling_and_paths_no_tricks() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    assert_eq!(id, 1);
    let long = "1".repeat(60_000);
    let api = [
        "+1",
        "01",
        "1e3",
        "-1",
        "1.0",
        "0x1",
        "0",
        "18446744073709551616",
        "%D9%A1",
        "%EF%BC%91",
        "1%00",
        "%00",
        "1%20",
        "%201",
        "1%0a",
        "..%2f1",
        "%ff",
        "1%3Fa",
        "null",
        &long,
    ];
    for text in api {
        for (service, path) in [
            (&stack.api_service, format!("/api/v0/ltm/{text}")),
            (&stack.api_service, format!("/api/v0/ltm/{text}/state")),
            (&stack.gateway, format!("/ws/{text}")),
        ] {
            let (status, head, body) = ask(service, &request("GET", &path, "", "")).await;
            let shown = &path[..path.len().min(60)];
            assert!(matches!(status, 400 | 404 | 422), "{shown}: {head}");
            assert!(head.contains("application/problem+json"), "{shown}: {head}");
            let problem: Value = serde_json::from_str(&body).unwrap();
            assert!(
                problem["detail"].as_str().unwrap().len() < 500,
                "{shown}: {problem}"
            );
        }
    }
    for path in [
        "/ws/../api/v0/ltm/1",
        "/ws/%2e%2e/healthz",
        "/api/v0/ltm/../ltm",
        "/api/v0/ltm/%2e%2e/%2e%2e/healthz",
        "/api/v0/ltm/1%2fstate",
        "/ws/",
        "/ws",
        "/etc/passwd",
        "/api/v0/ltm/1/./state",
        "/%",
        "/%zz",
        "*",
        "http://localhost/api/v0/nothing",
        "/api/v0/ltm;id=1",
        "/\\..\\",
        "/api/v0/ltm/1/state/1",
    ] {
        for service in [&stack.api_service, &stack.gateway] {
            let (status, head, _) = ask(service, &request("GET", path, "", "")).await;
            assert!(matches!(status, 400 | 404 | 422), "{path}: {head}");
            assert!(head.contains("application/problem+json"), "{path}: {head}");
        }
    }
    // What is one path is one path.
    for path in [
        "/api/v0/ltm/1/state/",
        "//api//v0/ltm/1/state",
        "/api/v0/ltm/%31/state",
    ] {
        let (status, head, _) = ask(&stack.api_service, &request("GET", path, "", "")).await;
        assert!(matches!(status, 200 | 404), "{path}: {head}");
    }
    for service in [&stack.api_service, &stack.gateway] {
        still_serves(service).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_a_path_does_not_have_are_refused() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({"n": 0})).await;
    for method in [
        "PUT",
        "PATCH",
        "TRACE",
        "OPTIONS",
        "PROPFIND",
        "get",
        "X",
        &"M".repeat(5000),
    ] {
        for (service, path) in [
            (&stack.api_service, format!("/api/v0/ltm/{id}")),
            (&stack.api_service, "/healthz".to_owned()),
            (&stack.gateway, format!("/ws/{id}")),
        ] {
            let (status, head, _) = ask(service, &request(method, &path, "", "")).await;
            let shown = &method[..method.len().min(10)];
            assert!(matches!(status, 400..=499), "{shown} {path}: {head}");
            assert!(
                head.contains("application/problem+json"),
                "{shown} {path}: {head}"
            );
        }
    }
    assert_eq!(stack.api.document(id).await["cursor"], cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_ends_its_own_connection_alone() {
    let stack = Stack::start();
    let many: String = (0..5000).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "y".repeat(2 * MIB));
    let name = format!("{}: y\r\n", "X".repeat(200_000));
    for (what, bytes) in [
        (
            "noise",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
        ),
        ("zeros", [vec![0; 4096], b"\r\n\r\n".to_vec()].concat()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("HTTP/9", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n".to_vec()),
        ("no version", b"GET /\r\n\r\n".to_vec()),
        (
            "a blank in a header's name",
            request("GET", "/healthz", "A B: c\r\n", ""),
        ),
        ("no colon", request("GET", "/healthz", "nonsense\r\n", "")),
        (
            "a control character",
            request("GET", "/healthz", "A: b\0c\r\n", ""),
        ),
        (
            "a folded header",
            request("GET", "/healthz", "A: b\r\n c\r\n", ""),
        ),
        ("too many headers", request("GET", "/healthz", &many, "")),
        (
            "a header that is too long",
            request("GET", "/healthz", &long, ""),
        ),
        (
            "a name that is too long",
            request("GET", "/healthz", &name, ""),
        ),
        (
            "a path that is too long",
            request("GET", &format!("/{}", "a".repeat(2 * MIB)), "", ""),
        ),
        ("a blank in the path", request("GET", "/a b", "", "")),
    ] {
        for service in [&stack.api_service, &stack.gateway] {
            let before = peak_bytes(service.pid());
            let mut connection = RawConnection::to(service.address()).await;
            let _ = connection.send(&bytes).await;
            let answer = String::from_utf8_lossy(&connection.rest().await).into_owned();
            let status = answer.split(' ').nth(1).unwrap_or("none").to_owned();
            assert!(
                ["400", "404", "431", "414", "none"].contains(&&*status),
                "{what}: {answer}"
            );
            let grown = peak_bytes(service.pid()).saturating_sub(before);
            assert!(grown < 16 * MIB, "{what}: {grown} bytes");
            still_serves(service).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_can_be_hidden_in_another() {
    let stack = Stack::start();
    let body = r#"{"fqn":"smuggled"}"#;
    let inner = format!(
        "POST /api/v0/ltm HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let json = "Content-Type: application/json\r\n";
    let length = inner.len();
    let cases = [
        (
            "both lengths",
            format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n{json}"),
            format!("0\r\n\r\n{inner}"),
        ),
        (
            "both, the other way",
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n{json}"),
            format!("0\r\n\r\n{inner}"),
        ),
        (
            "two lengths",
            format!("Content-Length: 0\r\nContent-Length: {length}\r\n{json}"),
            inner.clone(),
        ),
        (
            "two lengths in one",
            format!("Content-Length: 0, {length}\r\n{json}"),
            inner.clone(),
        ),
        (
            "a signed length",
            format!("Content-Length: +0\r\n{json}"),
            inner.clone(),
        ),
        (
            "a negative length",
            format!("Content-Length: -1\r\n{json}"),
            inner.clone(),
        ),
        (
            "a length that is too long",
            format!("Content-Length: 18446744073709551616\r\n{json}"),
            inner.clone(),
        ),
        (
            "an encoding that is none",
            format!("Transfer-Encoding: xchunked\r\n{json}"),
            inner.clone(),
        ),
        (
            "chunked and more",
            format!("Transfer-Encoding: chunked, identity\r\n{json}"),
            inner.clone(),
        ),
        (
            "chunked twice",
            format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n{json}"),
            format!("0\r\n\r\n{inner}"),
        ),
        (
            "a blank before the colon",
            format!("Content-Length : 0\r\nContent-Length: 0\r\n{json}"),
            inner.clone(),
        ),
        (
            "a chunk of an unreadable size",
            format!("Transfer-Encoding: chunked\r\n{json}"),
            format!("zz\r\n{inner}"),
        ),
        (
            "a chunk of too large a size",
            format!("Transfer-Encoding: chunked\r\n{json}"),
            format!("FFFFFFFFFFFFFFFFF\r\n{inner}"),
        ),
        (
            "a chunk that is longer than it says",
            format!("Transfer-Encoding: chunked\r\n{json}"),
            format!("1\r\nab\r\n0\r\n\r\n{inner}"),
        ),
    ];
    for (what, headers, rest) in cases {
        for (service, path) in [
            (&stack.api_service, "/api/v0/ltm/1/snapshots"),
            (&stack.gateway, "/ws/1"),
        ] {
            let mut connection = RawConnection::to(service.address()).await;
            let _ = connection
                .send(&request("POST", path, &headers, &rest))
                .await;
            let answer = String::from_utf8_lossy(&connection.rest().await).into_owned();
            let answers = answer.matches("HTTP/1.1 ").count();
            assert!(answers <= 1, "{what}: {answer}");
            assert!(!answer.starts_with("HTTP/1.1 2"), "{what}: {answer}");
            still_serves(service).await;
        }
    }
    assert_eq!(count(&stack).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_request_on_its_connection_is_judged_by_itself() {
    let stack = Stack::start();
    let mut connection = RawConnection::to(stack.api_service.address()).await;
    let good = request("GET", "/healthz", "", "");
    connection
        .send(&[&good[..], &good, b"\x00garbage\r\n\r\n", &good].concat())
        .await
        .unwrap();
    let answers = String::from_utf8_lossy(&connection.rest().await).into_owned();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400 ").count(), 1, "{answers}");
    // One that is older than connections that stay.
    let (status, head, _) = ask(&stack.api_service, b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(status, 200, "{head}");
    // One that ends its lines in its own way is read like others.
    let (status, head, _) = ask(&stack.api_service, b"GET /healthz HTTP/1.1\nHost: a\n\n").await;
    assert!(matches!(status, 200 | 400), "{head}");
    still_serves(&stack.api_service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_hundred_megabytes_costs_little_memory() {
    let stack = Stack::with(&[("LTM__API__MAX_BODY", "1MiB")]);
    let total = 100 * MIB;
    let block = vec![b' '; MIB];
    for (service, method, path) in [
        (&stack.api_service, "POST", "/api/v0/ltm"),
        (&stack.api_service, "GET", "/api/v0/ltm"),
        (&stack.api_service, "POST", "/nowhere"),
        (&stack.gateway, "GET", "/ws/1"),
        (&stack.gateway, "POST", "/ws/1"),
    ] {
        for chunked in [false, true] {
            let before = peak_bytes(service.pid());
            let length = if chunked {
                "Transfer-Encoding: chunked\r\n".to_owned()
            } else {
                format!("Content-Length: {total}\r\n")
            };
            let headers = format!("Content-Type: application/json\r\n{length}");
            let mut connection = RawConnection::to(service.address()).await;
            connection
                .send(&request(method, path, &headers, ""))
                .await
                .unwrap();
            for _ in 0..total / MIB {
                let mut part = block.clone();
                if chunked {
                    part = [
                        format!("{:x}\r\n", part.len()).into_bytes(),
                        part,
                        b"\r\n".to_vec(),
                    ]
                    .concat();
                }
                if connection.send(&part).await.is_err() {
                    break;
                }
            }
            let answer = String::from_utf8_lossy(&connection.rest().await).into_owned();
            let grown = peak_bytes(service.pid()).saturating_sub(before);
            assert!(grown < 24 * MIB, "{method} {path}: {grown} bytes");
            // Where it was still sending, the answer may be lost with the connection.
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 "),
                "{answer}"
            );
            still_serves(service).await;
        }
    }
}

/// The library reads on to the end of a chunked body, and waits for it, unless it is held until the answer is
/// out.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_and_that_never_ends_does_not_hold_its_connection() {
    let stack = Stack::start();
    for service in [&stack.api_service, &stack.gateway] {
        for length in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            for path in ["/healthz", "/nowhere", "/ws/1", "/api/v0/ltm"] {
                let mut connection = RawConnection::to(service.address()).await;
                let bytes = request("GET", path, &format!("{length}\r\n"), "");
                connection.send(&bytes).await.unwrap();
                let answer = String::from_utf8_lossy(&connection.rest().await).into_owned();
                assert!(answer.contains("connection: close\r\n"), "{path}: {answer}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_byte_by_byte_is_not_waited_for_without_end() {
    let stack = Stack::with(&[("LTM__API__BODY_TIMEOUT", "300ms")]);
    let mut connection = RawConnection::to(stack.api_service.address()).await;
    let headers = "Content-Type: application/json\r\nContent-Length: 1000000\r\n";
    connection
        .send(&request("POST", "/api/v0/ltm", headers, ""))
        .await
        .unwrap();
    // Each byte is a sign of life, and none is enough: there are more than arrive in that time.
    for _ in 0..100 {
        if connection.send(b" ").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (head, body) = connection.answer().await;
    assert!(head.starts_with("http/1.1 408 "), "{head}");
    assert!(body.contains("request-timeout"), "{body}");
    still_serves(&stack.api_service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_ends_its_own_socket_and_costs_little() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let before = peak_bytes(stack.gateway.pid());
    let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(50_000);
    let parts = [
        &[0x01, 0x80, 0, 0, 0, 0][..],
        &[0x00, 0x80, 0, 0, 0, 0].repeat(50_000),
    ]
    .concat();
    for flood in [pings, parts] {
        let mut socket = RawConnection::to(stack.gateway.address()).await;
        socket.upgrade(&format!("/ws/{id}")).await;
        let _ = socket.send(&flood).await;
        let heard = socket.rest().await;
        // Where it was still sending, the reason may be lost with the connection.
        let closed = heard.windows(4).any(|four| {
            four[0] == 0x88 && [1008, 1009].contains(&u16::from_be_bytes([four[2], four[3]]))
        });
        assert!(closed || heard.len() < 200_000, "{} bytes", heard.len());
        still_serves(&stack.gateway).await;
    }
    let grown = peak_bytes(stack.gateway.pid()).saturating_sub(before);
    assert!(grown < 16 * MIB, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_none_is_refused_in_words() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let right = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (what, headers, field) in [
        ("nothing", String::new(), "Upgrade"),
        (
            "no key",
            right.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
            "Sec-WebSocket-Key",
        ),
        (
            "an old version",
            right.replace("13", "7"),
            "Sec-WebSocket-Version",
        ),
        (
            "no version",
            right.replace("Sec-WebSocket-Version: 13\r\n", ""),
            "Sec-WebSocket-Version",
        ),
        (
            "another protocol",
            right.replace("websocket", "h2c"),
            "Upgrade",
        ),
        (
            "no connection",
            right.replace("Connection: Upgrade\r\n", ""),
            "Connection",
        ),
    ] {
        let path = format!("/ws/{id}");
        let (status, head, body) = ask(&stack.gateway, &request("GET", &path, &headers, "")).await;
        assert_eq!(status, 422, "{what}: {head}");
        assert!(head.contains("application/problem+json"), "{what}: {head}");
        let field = format!(r#""field":"{field}""#);
        assert!(body.contains(&field), "{what}: {body}");
    }
    still_serves(&stack.gateway).await;
}

/// Only a handshake leaves HTTP. Whatever else asks for it is answered as if it had not, and ends its
/// connection.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_to_leave_http_where_nothing_does_gets_an_answer_and_the_end_of_the_connection() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let asks = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let body = r#"{"fqn": "a.B"}"#;
    let written = format!(
        "{asks}Content-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    let chunked = format!("{asks}{key}Transfer-Encoding: chunked\r\n");
    let (ws, ltm) = (format!("/ws/{id}"), format!("/api/v0/ltm/{id}"));
    for (service, request, statuses) in [
        (
            &stack.api_service,
            request("GET", &ltm, asks, ""),
            [200, 200],
        ),
        (
            &stack.api_service,
            request("POST", "/api/v0/ltm", &written, body),
            [400, 422],
        ),
        (
            &stack.gateway,
            request("GET", "/healthz", asks, ""),
            [200, 200],
        ),
        (
            &stack.gateway,
            request("GET", "/ws/x", &format!("{asks}{key}"), ""),
            [422, 422],
        ),
        (
            &stack.gateway,
            request("GET", &ws, &chunked, "0\r\n\r\n"),
            [400, 422],
        ),
    ] {
        let mut connection = RawConnection::to(service.address()).await;
        connection.send(&request).await.unwrap();
        let answer = String::from_utf8(connection.rest().await).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap();
        assert!(statuses.contains(&status), "{answer}");
        assert!(answer.contains("\r\n\r\n{"), "{answer}");
    }
    assert_eq!(count(&stack).await, 1);
    still_serves(&stack.gateway).await;
}
