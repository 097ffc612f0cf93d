//! What compression makes of a document of 10,000 snapshots with the texts of a recorded history.
//!
//! `cargo run --release --example compression_cost` prints it, within a minute.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use ltm_tests::{Api, Recording, RedisServer, Service, cpu_seconds};
use reqwest::Client;
use serde_json::{Value, json};

const SNAPSHOTS: usize = 10_000;
const ROUNDS: u32 = 20;

#[tokio::main]
async fn main() {
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    println!("| history | coding | bytes | of the text | CPU ms of the API |");
    println!("| --- | --- | ---: | ---: | ---: |");
    for recording in Recording::all() {
        let snapshots = recording.snapshots();
        if snapshots.len() < 30 {
            continue;
        }
        let id = write(&api, snapshots).await;
        let url = format!("{}/api/v0/ltm/{id}", service.http());
        let name = recording.name.rsplit('/').next().unwrap_or_default();
        let (text, _) = read(&service, &url, "identity").await;
        for coding in ["identity", "gzip", "zstd"] {
            let (bytes, cpu) = read(&service, &url, coding).await;
            let part = 100.0 * bytes as f64 / text as f64;
            println!("| {name} | {coding} | {bytes} | {part:.1} % | {cpu:.1} |");
        }
    }
}

/// Writes an LTM whose snapshots have the items and patches of these. Each patch is a value, so that they need not fit.
async fn write(api: &Api, recorded: &[Value]) -> u64 {
    let (id, _) = api.create(json!({})).await;
    let all: Vec<Value> = recorded
        .iter()
        .cycle()
        .take(SNAPSHOTS - 1)
        .map(|it| {
            let patch = [json!({"op": "add", "path": "/last", "value": it["patch"]})];
            json!({"reason": it["reason"], "time": it["time"], "item": it["item"], "patch": patch})
        })
        .collect();
    for batch in all.chunks(100) {
        let body = json!({"snapshots": batch});
        let path = format!("/ltm/{id}/snapshots");
        api.post(&path, &body).await.expect(201);
    }
    id
}

/// Reads the document. Returns the bytes that arrive, and the CPU time of the API in milliseconds.
async fn read(service: &Service, url: &str, coding: &str) -> (usize, f64) {
    let client = Client::new();
    let (before, mut bytes) = (cpu_seconds(service.pid()), 0);
    for _ in 0..ROUNDS {
        let request = client.get(url).header("accept-encoding", coding);
        let answer = request.send().await.unwrap();
        bytes = answer.bytes().await.unwrap().len();
    }
    let took = cpu_seconds(service.pid()) - before;
    (bytes, took * 1000.0 / f64::from(ROUNDS))
}
