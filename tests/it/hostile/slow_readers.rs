//! Clients that read large answers slowly, or not at all: what they cost a service.

use futures_util::future::join_all;
use ltm_tests::{LIMIT, Service, Stack, peak_bytes, resident_bytes, size, until};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

const MIB: usize = 1024 * 1024;
/// A text of this length, twice, makes the state.
const TEXT: usize = 7 * MIB;

/// An LTM with a state of 14 MiB, which two snapshots made.
async fn large_ltm(stack: &Stack) -> u64 {
    let (id, _) = stack.api.create(json!({})).await;
    for member in ["a", "b"] {
        let change = json!({"merge": {member: "x".repeat(TEXT)}});
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
    let id = large_ltm(&stack).await;
    let api = &stack.api_service;
    cost(api, &format!("/api/v0/ltm/{id}/state"), 64).await;
    cost(api, &format!("/api/v0/ltm/{id}/snapshots"), 64).await;
    cost(api, &format!("/api/v0/ltm/{id}"), 64).await;
    cost(&stack.gateway, &format!("/sse/{id}?init=state"), 64).await;
}

/// The answers are those of a client that reads at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_is_whole_whoever_shares_it() {
    let stack = Stack::start();
    let id = large_ltm(&stack).await;
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
