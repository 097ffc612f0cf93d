//! Clients that read large answers slowly, or not at all: what they cost a service.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use ltm_tests::{LIMIT, Scrape, Service, Stack, peak_bytes, resident_bytes, size, until};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

const MIB: usize = 1024 * 1024;
/// A text of this length, twice, makes the state.
const TEXT: usize = 7 * MIB;

/// An LTM whose state has two texts of this length, which two snapshots made.
async fn large_ltm(stack: &Stack, text: usize) -> u64 {
    let (id, _) = stack.api.create(json!({})).await;
    for member in ["a", "b"] {
        let change = json!({"merge": {member: "x".repeat(text)}});
        stack.api.append(id, change).await;
    }
    id
}

/// Sends a request, and reads the beginning of the answer only.
async fn begin(service: &Service, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket
        .connect(service.address().parse().unwrap())
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    let read = timeout(LIMIT, stream.read_exact(&mut status)).await;
    read.expect("an answer in time").unwrap();
    assert_eq!(&status, b"HTTP/1.1 200", "{path}");
    stream
}

/// Asserts that clients that read nothing of these answers take up to `most` MiB together.
async fn cost(service: &Service, path: &str, most: usize) {
    // What one reader makes the service hold is not what the others add.
    let first = begin(service, path).await;
    let before = resident_bytes(service.pid());
    let mut readers = vec![first];
    let count = size(24, 64);
    for _ in 0..count {
        readers.push(begin(service, path).await);
    }
    // Memory that is about to be returned does not count, but what is held stays.
    until(
        &format!("{count} readers of {path} take up to {most} MiB"),
        async || {
            let more = resident_bytes(service.pid()).saturating_sub(before) / MIB;
            if more <= most {
                Ok(())
            } else {
                Err(format!("{more} MiB"))
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_large_answer_that_stop_reading_share_it() {
    let stack = Stack::with(&[
        ("LTM__API__WRITE_STALL", "5m"),
        ("LTM__GATEWAY__WRITE_STALL", "5m"),
    ]);
    let id = large_ltm(&stack, TEXT).await;
    let api = &stack.api_service;
    cost(api, &format!("/api/v0/ltm/{id}/state"), 64).await;
    cost(api, &format!("/api/v0/ltm/{id}/snapshots"), 64).await;
    cost(api, &format!("/api/v0/ltm/{id}"), 64).await;
    let back = json!({"snapshot": {"index": 0}});
    for _ in 0..2 {
        let path = format!("/ltm/{id}/rollback");
        stack.api.post(&path, &back).await.expect(200);
    }
    cost(api, &format!("/api/v0/ltm/{id}?rollbacks=true"), 64).await;
    cost(&stack.gateway, &format!("/sse/{id}?init=state"), 64).await;
}

/// Sends requests, and reads one byte of each answer after the other until the service has cut all of the connections.
async fn drip(service: &Service, requests: Vec<Vec<u8>>) {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for request in requests {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let address = service.address().parse().unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let request = String::from_utf8_lossy(&request).into_owned();
        let mut status = [0; 12];
        let read = timeout(LIMIT, stream.read_exact(&mut status)).await;
        read.expect("an answer in time").unwrap();
        let is_right = [b"HTTP/1.1 200", b"HTTP/1.1 101"].contains(&&status);
        assert!(is_right, "{request}: {}", String::from_utf8_lossy(&status));
        let is_over = is_over.clone();
        readers.push(tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) && stream.read_u8().await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
            // What the system has received before the cut can still be read.
            let mut rest = Vec::new();
            let ended = timeout(LIMIT, stream.read_to_end(&mut rest)).await;
            (request, ended, rest.len())
        }));
    }
    let series = r#"ltm_limits_hit_total{limit="http.min_progress"}"#;
    let all = f64::from(u32::try_from(readers.len()).unwrap());
    Scrape::until(service, series, all).await;
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        let (request, ended, rest) = reader.await.unwrap();
        let ended = ended.expect("the connection ends in time");
        assert!(ended.is_err() && rest < MIB, "{request}: {ended:?} {rest}");
    }
}

/// A reader that goes on reading, but too slowly, holds no answer of any kind.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_too_slowly_is_cut_whatever_it_reads() {
    let stack = Stack::with(&[
        ("LTM__API__WRITE_STALL", "1h"),
        ("LTM__GATEWAY__WRITE_STALL", "1h"),
        ("LTM__GATEWAY__PING_INTERVAL", "1h"),
        ("LTM__HTTP__PROGRESS_TIME", "1s"),
    ]);
    let id = large_ltm(&stack, 2 * MIB).await;
    let back = json!({"snapshot": {"index": 0}});
    let rollback = format!("/ltm/{id}/rollback");
    stack.api.post(&rollback, &back).await.expect(200);
    let undo = json!({"rollback": {"index": 0}});
    stack.api.post(&rollback, &undo).await.expect(200);
    let path = format!("/api/v0/ltm/{id}");
    let plain = ["", "?rollbacks=true", "/state", "/snapshots"];
    let mut api: Vec<String> = plain
        .iter()
        .map(|rest| format!("GET {path}{rest} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .collect();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    // An answer to a request that asks for an upgrade takes another way.
    api.push(format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n"
    ));
    let follow = format!(r#"{{"follow":{id},"init":"state"}}"#);
    let length = 0x80 | u8::try_from(follow.len()).unwrap();
    let many = format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n");
    let many = [
        many.as_bytes(),
        &[0x81, length, 0, 0, 0, 0],
        follow.as_bytes(),
    ]
    .concat();
    let gateway = [
        format!("GET /sse/{id}?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET /sse/{id}?init=state HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET /ws/{id}?after=0 HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n"),
        format!("GET /ws/{id}?init=state HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n"),
    ];
    let bytes = |requests: &[String]| requests.iter().map(|it| it.clone().into_bytes()).collect();
    drip(&stack.api_service, bytes(&api)).await;
    let mut all: Vec<Vec<u8>> = bytes(&gateway);
    all.push(many);
    drip(&stack.gateway, all).await;
    // One that reads at once is not cut.
    assert_eq!(stack.api.document(id).await["snapshots_count"], 3);
}

/// The answers are those of a client that reads at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_is_whole_whoever_shares_it() {
    let stack = Stack::start();
    let id = large_ltm(&stack, TEXT).await;
    let path = format!("/api/v0/ltm/{id}");
    let _slow = begin(&stack.api_service, &path).await;
    let expected = json!({"a": "x".repeat(TEXT), "b": "x".repeat(TEXT)});
    let document = stack.api.document(id).await;
    assert_eq!(document["state"], expected);
    let values: Vec<&Value> = document["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|snapshot| snapshot["patch"].as_array().unwrap())
        .map(|operation| &operation["value"])
        .collect();
    assert_eq!(values, [&expected["a"], &expected["b"]]);
    let state = stack.api.get(&format!("/ltm/{id}/state")).await.expect(200);
    assert_eq!(state["state"], expected);
}

/// Errors are read by their bytes, and not by their number.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_with_large_errors_is_sent_piece_by_piece() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ltm/{id}/errors");
    for number in 0..12 {
        let item = "x".repeat(TEXT);
        let error = format!("00000000-0000-4000-8000-{number:012}");
        let body = json!({"id": error, "reason": "execute", "item": item});
        stack.api.post(&path, &body).await.expect(200);
    }
    // The API that wrote the errors may still hold memory, which would hide what a reader takes.
    let fresh = Service::api(&stack.redis.url(), &[]);
    let before = resident_bytes(fresh.pid());
    let mut slow = begin(&fresh, &format!("/api/v0/ltm/{id}")).await;
    // Into the first error: by now the API has read what it reads at once.
    timeout(LIMIT, slow.read_exact(&mut vec![0; MIB]))
        .await
        .expect("the errors begin in time")
        .unwrap();
    let more = peak_bytes(fresh.pid()).saturating_sub(before) / MIB;
    assert!(more < 64, "{more} MiB");
    let document = stack.api.document(id).await;
    assert_eq!(document["errors"].as_array().unwrap().len(), 12);
}

/// The state at the beginning of a trimmed log is read by one answer for all that need it at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_trimmed_log_share_the_state_at_its_beginning() {
    let stack = Stack::with(&[("LTM__API__RETENTION_INTERVAL", "100ms")]);
    let body = json!({"fqn": "tests.Ltm", "time": "2020-01-01T00:00:00Z",
        "state": {"a": "x".repeat(TEXT)}, "retention": {"max_age": "24h"}});
    let created = stack.api.post("/ltm", &body).await.expect(200);
    let id = created["id"].as_u64().unwrap();
    let empty = json!({"merge": {"a": null, "n": 1}});
    stack.api.append(id, empty).await;
    until("the log is trimmed", async || {
        let page = format!("/ltm/{id}/snapshots?limit=1&from=1");
        let page = stack.api.get(&page).await.expect(200);
        page["first_index"] == 0 && page["snapshots_count"] == 2 && trimmed(&stack, id)
    })
    .await;
    let fresh = Service::api(&stack.redis.url(), &[("LTM__API__WRITE_STALL", "5m")]);
    let before = resident_bytes(fresh.pid());
    let path = format!("/api/v0/ltm/{id}/snapshots");
    let readers = join_all((0..size(24, 64)).map(|_| begin(&fresh, &path))).await;
    let more = peak_bytes(fresh.pid()).saturating_sub(before) / MIB;
    assert!(more < 128, "{} readers: {more} MiB", readers.len());
}

fn trimmed(stack: &Stack, id: u64) -> bool {
    let key = format!("ltm:{{{id}}}:base");
    stack.redis.cli(&["EXISTS", &key]).trim() == "1"
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_read_at_a_time_every_document_is_whole() {
    let stack = Stack::with(&[("LTM__API__MAX_READS", "1")]);
    let (id, _) = stack.api.create(json!({})).await;
    for n in 0..100 {
        stack
            .api
            .append(id, json!({"merge": {"n": n, "text": "x".repeat(4000)}}))
            .await;
    }
    let documents = join_all((0..16).map(|_| stack.api.document(id))).await;
    for document in documents {
        assert_eq!(document["snapshots"].as_array().unwrap().len(), 101);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_texts_in_answers_have_a_limit_and_answers_with_the_same_text_share_it() {
    let stack = Stack::with(&[
        ("LTM__HTTP__SEND_BUFFER", "16 KiB"),
        ("LTM__API__ANSWERS", "5 MiB"),
        ("LTM__API__WRITE_STALL", "5m"),
        ("LTM__API__DOCUMENT_CACHE", "0B"),
    ]);
    // A state of 2 MiB, and then of 4 MiB.
    let id = large_ltm(&stack, 2 * MIB).await;
    let state = |index: u64| format!("/ltm/{id}/state?index={index}");
    let slow = begin(&stack.api_service, &format!("/api/v0{}", state(1))).await;
    stack.api.get(&state(1)).await.expect(200);
    stack.api.get(&state(2)).await.problem(503, "over-limit");
    // A write lands. Its answer is only shorter.
    let change = json!({"reason": "execute", "merge": {"c": "x".repeat(4 * MIB)}});
    let path = format!("/ltm/{id}/snapshots");
    let written = stack.api.post(&path, &change).await.expect(201);
    let shown = (written["snapshot"].is_null(), &written["index"]);
    assert_eq!(shown, (true, &json!(3)));
    drop(slow);
    until("the state has room", async || {
        let answer = stack.api.get(&state(2)).await;
        (answer.status == 200).then_some(()).ok_or(answer.text)
    })
    .await;
    let written = stack.api.post(&path, &change).await.expect(201);
    assert_eq!(written["snapshot"]["reason"], "execute");
}
