//! HEAD gets the head of the answer to GET, and no content (RFC 9110 section 9.3.2).

use std::collections::BTreeMap;

use ltm_tests::{RawConnection, Service, Stack};
use reqwest::{Client, Method, Response, header::HeaderMap};
use serde_json::{Value, json};

/// The headers of an answer that both methods must give. These differ in each answer, or belong to the transfer of the
/// content, which HEAD need not know.
fn shared(headers: &HeaderMap) -> BTreeMap<String, String> {
    let own = [
        "date",
        "x-request-id",
        "content-length",
        "transfer-encoding",
    ];
    // A list of names has no order.
    let text = |value: &reqwest::header::HeaderValue| {
        let mut words: Vec<&str> = value.to_str().unwrap().split(", ").collect();
        words.sort_unstable();
        words.join(", ")
    };
    headers
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

async fn ask(method: Method, url: &str) -> Response {
    Client::new().request(method, url).send().await.unwrap()
}

/// Checks that HEAD gets what GET gets.
async fn check(url: &str) {
    let get = ask(Method::GET, url).await;
    let head = ask(Method::HEAD, url).await;
    assert_eq!(head.status(), get.status(), "{url}");
    assert_eq!(shared(head.headers()), shared(get.headers()), "{url}");
    if let Some(length) = head.headers().get("content-length") {
        assert_eq!(Some(length), get.headers().get("content-length"), "{url}");
    }
    assert!(head.bytes().await.unwrap().is_empty(), "{url}");
}

/// The paths of the OpenAPI document that answer GET, with this id.
async fn described_gets(api: &Service, id: u64) -> Vec<String> {
    let url = format!("{}/docs/openapi.json", api.http());
    let document: Value = ask(Method::GET, &url).await.json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    let gets = paths.iter().filter(|(_, calls)| calls["get"].is_object());
    let paths: Vec<String> = gets
        .map(|(path, _)| path.replace("{id}", &id.to_string()))
        .collect();
    assert!(paths.len() > 3, "{paths:?}");
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn head_gets_the_headers_of_get_on_every_path_that_answers_get() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let (deleted, _) = stack.api.create(json!({})).await;
    let delete = stack
        .api
        .request(Method::DELETE, &format!("/ltm/{deleted}"));
    stack.api.send(delete).await.expect(200);
    let api = stack.api_service.http();
    let gateway = stack.gateway.http();
    for id in [id, deleted, 999] {
        for path in described_gets(&stack.api_service, id).await {
            check(&format!("{api}{path}")).await;
        }
        for path in ["/ws", "/sse", "/api/v0/ws", "/api/v0/sse"] {
            check(&format!("{gateway}{path}/{id}")).await;
        }
    }
    for path in [
        "/",
        "/docs",
        "/docs/openapi.json",
        "/docs/asyncapi.json",
        "/nothing",
    ] {
        check(&format!("{api}{path}")).await;
    }
    for path in ["/ws", "/ws/ltms", "/sse/nothing"] {
        check(&format!("{gateway}{path}")).await;
    }
    for service in [api, gateway] {
        for path in ["/healthz", "/readyz"] {
            check(&format!("{service}{path}")).await;
        }
        let metrics = ask(Method::HEAD, &format!("{service}/metrics")).await;
        assert_eq!(metrics.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_says_with_an_etag_whether_an_ltm_has_changed() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({"n": 0})).await;
    let path = format!("/ltm/{id}");
    let head = stack.api.request(Method::HEAD, &path);
    let answer = stack.api.send(head).await;
    assert_eq!(answer.header("etag"), format!("\"{cursor}\""));
    let head = stack.api.request(Method::HEAD, &path);
    let unchanged = head.header("If-None-Match", format!("\"{cursor}\""));
    assert_eq!(stack.api.send(unchanged).await.status, 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_leaves_the_connection_usable_and_opens_no_websocket() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"text": "x".repeat(100_000)})).await;
    let mut connection = RawConnection::to(stack.api_service.address()).await;
    for method in ["HEAD", "GET"] {
        let request = format!("{method} /api/v0/ltm/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.send(request.as_bytes()).await.unwrap();
        let head = connection.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{method}: {head}");
    }
    let handshake = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut connection = RawConnection::to(stack.gateway.address()).await;
    let request = format!("HEAD /ws/{id} HTTP/1.1\r\nHost: localhost\r\n{handshake}\r\n");
    connection.send(request.as_bytes()).await.unwrap();
    let head = connection.head().await;
    assert!(head.starts_with("HTTP/1.1 422 "), "{head}");
}
