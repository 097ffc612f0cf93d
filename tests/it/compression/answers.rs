//! Answers are compressed for clients that accept it, and mean the same.

use std::{io::Read, process::Command};

use flate2::read::GzDecoder;
use ltm_tests::{Answer, Events, RawConnection, Scrape, Stack};
use reqwest::{Client, Method, header::HeaderMap};
use serde_json::{Value, json};

const CODINGS: [&str; 2] = ["gzip", "zstd"];

/// An LTM whose document has this many snapshots.
async fn ltm(stack: &Stack, snapshots: usize) -> (u64, String) {
    let (id, mut cursor) = stack.api.create(json!({"log": []})).await;
    for first in (1..snapshots).step_by(1000) {
        let line = |n| {
            let text = format!("line {n} of {}", n * 7919 % 1000);
            json!({"reason": "execute", "patch": [{"op": "add", "path": "/log/-", "value": text}]})
        };
        let lines: Vec<Value> = (first..snapshots.min(first + 1000)).map(line).collect();
        let path = format!("/ltm/{id}/snapshots");
        let batch = stack.api.post(&path, &json!({"snapshots": lines})).await;
        cursor = batch.expect(201)["cursor"].as_str().unwrap().into();
    }
    (id, cursor)
}

/// An answer, with its body as it arrived.
struct Received {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn varies(&self) -> bool {
        let mut names = self.header("vary").split(", ");
        names.any(|it| it == "accept-encoding")
    }

    /// The body without its coding.
    fn text(&self) -> String {
        let mut text = String::new();
        match self.header("content-encoding") {
            "gzip" => GzDecoder::new(&*self.body).read_to_string(&mut text),
            "zstd" => zstd::Decoder::new(&*self.body)
                .unwrap()
                .read_to_string(&mut text),
            "" => (&*self.body).read_to_string(&mut text),
            other => panic!("{other}"),
        }
        .unwrap();
        text
    }
}

async fn ask(method: Method, url: &str, headers: &[(&str, &str)]) -> Received {
    let mut request = Client::new().request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    Received {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap().into(),
    }
}

async fn get(url: &str, coding: &str) -> Received {
    ask(Method::GET, url, &[("accept-encoding", coding)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_large_answer_to_get_is_compressed_as_the_client_asks() {
    let stack = Stack::start();
    let (id, _) = ltm(&stack, 300).await;
    for _ in 0..20 {
        stack.api.create(json!({})).await;
    }
    let api = stack.api_service.http();
    for path in [
        &format!("/api/v0/ltm/{id}"),
        &format!("/api/v0/ltm/{id}?rollbacks=true"),
        &format!("/api/v0/ltm/{id}/state"),
        &format!("/api/v0/ltm/{id}/snapshots"),
        "/api/v0/ltm",
        "/docs/calls.js",
        "/docs/openapi.json",
        "/docs/asyncapi.json",
    ] {
        let url = format!("{api}{path}");
        let plain = get(&url, "identity").await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        assert!(plain.varies(), "{path}");
        for coding in CODINGS {
            let compressed = get(&url, &format!("br, {coding}")).await;
            assert_eq!(compressed.status, 200);
            assert_eq!(compressed.header("content-encoding"), coding, "{path}");
            assert_eq!(
                compressed.header("content-type"),
                plain.header("content-type")
            );
            assert!(compressed.varies(), "{path}");
            assert!(compressed.text() == plain.text(), "{path} {coding}");
            let (less, all) = (compressed.body.len(), plain.body.len());
            assert!(less * 2 < all, "{path}: {less} of {all} bytes");
        }
    }
    let scrape = Scrape::of(&stack.api_service).await;
    let bytes = |what| scrape.value(&format!("ltm_http_compression_{what}_bytes_total"));
    assert!(bytes("sent") > 0.0 && bytes("sent") < bytes("plain") / 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_snapshots_take_an_eighth_of_their_bytes_at_most() {
    let stack = Stack::start();
    let (id, _) = ltm(&stack, 10_000).await;
    let url = format!("{}/api/v0/ltm/{id}", stack.api_service.http());
    let plain = get(&url, "identity").await;
    for coding in CODINGS {
        let compressed = get(&url, coding).await;
        assert!(compressed.text() == plain.text(), "{coding}");
        let (less, all) = (compressed.body.len(), plain.body.len());
        assert!(less * 8 < all, "{coding}: {less} of {all} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_of_a_compressed_answer_is_weak_and_says_whether_something_has_changed() {
    let stack = Stack::start();
    let (id, cursor) = ltm(&stack, 50).await;
    let url = format!("{}/api/v0/ltm/{id}", stack.api_service.http());
    let strong = format!("\"{cursor}\"");
    assert_eq!(get(&url, "identity").await.header("etag"), strong);
    for coding in CODINGS {
        let weak = format!("W/{strong}");
        assert_eq!(get(&url, coding).await.header("etag"), weak);
        for known in [&weak, &strong] {
            let headers = [("accept-encoding", coding), ("if-none-match", known)];
            let unchanged = ask(Method::GET, &url, &headers).await;
            assert_eq!(unchanged.status, 304);
            assert_eq!(unchanged.header("etag"), weak);
            assert_eq!(unchanged.header("content-encoding"), "");
            assert!(unchanged.varies() && unchanged.body.is_empty());
        }
    }
    // A client can write with the tag that it got.
    let path = format!("/ltm/{id}/snapshots");
    let weak = format!("W/{strong}");
    for status in [201, 412] {
        let headers = [("If-Match", &*weak)];
        let written = stack
            .api
            .post_text(&path, r#"{"reason":"x","merge":{}}"#, &headers);
        assert_eq!(written.await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_gets_the_headers_of_the_compressed_answer_and_ranges_the_whole_of_it() {
    let stack = Stack::start();
    let (id, _) = ltm(&stack, 100).await;
    let (small, _) = stack.api.create(json!({})).await;
    let api = stack.api_service.http();
    for path in [
        format!("/api/v0/ltm/{id}"),
        format!("/api/v0/ltm/{small}"),
        format!("/api/v0/ltm/{id}/state"),
        format!("/api/v0/ltm/{small}/state"),
        "/docs/openapi.json".into(),
    ] {
        let url = format!("{api}{path}");
        for coding in CODINGS {
            let headers = [("accept-encoding", coding)];
            let (head, get) = (
                ask(Method::HEAD, &url, &headers).await,
                ask(Method::GET, &url, &headers).await,
            );
            assert_eq!(head.status, 200);
            assert!(head.body.is_empty(), "{path}");
            for name in ["content-encoding", "etag", "content-type"] {
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
            assert_eq!((head.varies(), get.varies()), (true, true), "{path}");
            if get.header("content-encoding") == coding {
                assert_eq!(head.header("content-length"), "", "{path}");
            }
        }
    }
    let headers = [("accept-encoding", "gzip"), ("range", "bytes=0-9")];
    let ranged = ask(Method::GET, &format!("{api}/api/v0/ltm/{id}"), &headers).await;
    assert_eq!(ranged.status, 200);
    serde_json::from_str::<Value>(&ranged.text()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn small_answers_errors_and_answers_to_writes_are_sent_as_they_are() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let api = stack.api_service.http();
    let is_plain = |answer: &Received| answer.header("content-encoding").is_empty();
    for path in [
        format!("/api/v0/ltm/{id}"),
        format!("/api/v0/ltm/{id}/state"),
    ] {
        let answer = get(&format!("{api}{path}"), "gzip, zstd").await;
        assert!(is_plain(&answer) && answer.varies(), "{path}");
        assert_eq!(
            answer.header("content-length"),
            answer.body.len().to_string()
        );
        assert!(!answer.header("etag").starts_with("W/"));
        serde_json::from_str::<Value>(&answer.text()).unwrap();
    }
    let health = get(&format!("{api}/healthz"), "gzip, zstd").await;
    assert!(is_plain(&health) && !health.body.is_empty());
    // Here the size is no reason to leave an answer as it is.
    let stack = Stack::with(&[("LTM__HTTP__COMPRESSION_MIN", "0B")]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let api = stack.api_service.http();
    let document = get(&format!("{api}/api/v0/ltm/{id}"), "gzip, zstd").await;
    assert!(!is_plain(&document));
    for path in ["/api/v0/ltm/999", "/nothing"] {
        let answer = get(&format!("{api}{path}"), "gzip, zstd").await;
        assert!(is_plain(&answer) && !answer.body.is_empty(), "{path}");
    }
    let url = format!("/ltm/{id}/wait?status=never&timeout=1ms");
    let wait = stack.api.request(Method::GET, &url);
    let wait = stack.api.send(wait.header("accept-encoding", "gzip")).await;
    assert_eq!((wait.status.as_u16(), &*wait.text), (204, ""));
    assert_eq!(wait.header("content-encoding"), "");
    let large = json!({"reason": "x", "merge": {"text": "x".repeat(10_000)}}).to_string();
    let path = format!("/ltm/{id}/snapshots");
    let headers = [("accept-encoding", "gzip")];
    let written: Answer = stack.api.post_text(&path, &large, &headers).await;
    assert_eq!(written.header("content-encoding"), "");
    written.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_are_never_compressed() {
    let stack = Stack::start();
    let (id, _) = ltm(&stack, 100).await;
    let url = format!("{}/sse/{id}?after=0", stack.gateway.http());
    let request = Events::ask(&url, None).header("accept-encoding", "gzip");
    let stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.headers().get("content-encoding").is_none());
    let mut events = Events::of(stream);
    let last = stack.api.append(id, json!({"merge": {"n": 1}})).await;
    while events.next().await.unwrap().id != last["cursor"] {}
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_python_read_compressed_documents() {
    let stack = Stack::start();
    let (id, _) = ltm(&stack, 2000).await;
    let url = format!("{}/api/v0/ltm/{id}", stack.api_service.http());
    let plain = get(&url, "identity").await.text();
    let python = "import gzip, sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={'Accept-Encoding': 'gzip'})
with urllib.request.urlopen(request) as answer:
    assert answer.headers['Content-Encoding'] == 'gzip', answer.headers
    sys.stdout.buffer.write(gzip.decompress(answer.read()))";
    for words in [
        vec!["curl", "-sSf", "--compressed"],
        vec!["curl", "-sSf", "--compressed", "--http1.0"],
        vec!["python3", "-c", python],
    ] {
        let mut command = Command::new(words[0]);
        let output = command.args(&words[1..]).arg(&url).output().unwrap();
        assert!(output.status.success(), "{words:?} {output:?}");
        assert!(output.stdout == plain.as_bytes(), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_answers_are_compressed_at_once_as_allowed() {
    let stack = Stack::with(&[("LTM__HTTP__MAX_COMPRESSIONS", "1")]);
    // Digits that do not repeat take more than what the system buffers.
    let digits: String = (0..400_000).map(|_| fastrand::digit(10)).collect();
    let (id, _) = stack
        .api
        .create(json!({"digits": [&digits, &digits]}))
        .await;
    let path = format!("/api/v0/ltm/{id}/state");
    let url = format!("{}{path}", stack.api_service.http());
    let mut slow = RawConnection::with_small_buffer(stack.api_service.address()).await;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n");
    slow.send(request.as_bytes()).await.unwrap();
    assert!(slow.head().await.contains("content-encoding: gzip"));
    let plain = get(&url, "gzip").await;
    assert_eq!(plain.header("content-encoding"), "");
    assert!(plain.text().contains(&digits));
    stack
        .api_service
        .until_logged("http.max_compressions")
        .await;
    drop(slow);
    ltm_tests::until("the permit is returned", async || {
        get(&url, "gzip").await.header("content-encoding") == "gzip"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_off_or_begins_at_another_size_if_the_settings_say_so() {
    let stack = Stack::with(&[("LTM__HTTP__COMPRESSION", "false")]);
    let (id, _) = ltm(&stack, 100).await;
    let url = format!("{}/api/v0/ltm/{id}", stack.api_service.http());
    let answer = get(&url, "gzip").await;
    assert_eq!(
        (answer.header("content-encoding"), answer.varies()),
        ("", false)
    );
    let stack = Stack::with(&[("LTM__HTTP__COMPRESSION_MIN", "64KiB")]);
    let (id, _) = ltm(&stack, 100).await;
    let (large, _) = ltm(&stack, 1000).await;
    for (id, coding) in [(id, ""), (large, "gzip")] {
        let url = format!("{}/api/v0/ltm/{id}", stack.api_service.http());
        let answer = get(&url, "gzip").await;
        assert_eq!(answer.header("content-encoding"), coding);
        serde_json::from_str::<Value>(&answer.text()).unwrap();
    }
}
