//! What histories cost in Redis's memory and in time: the tables of `docs/history.md`.
//!
//! `cargo run --release --package ltm-tests --example history_cost` prints them; a number as argument
//! sets the longest history, and the number of LTMs in the list.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use ltm_tests::{Api, RedisServer, Service};
use serde_json::json;

/// How often a question is asked of which the middle answer counts.
const ASKED: usize = 9;
/// What the middle row of the table keeps.
const KEPT: u64 = 1000;

#[tokio::main]
async fn main() {
    let most: u64 = std::env::args()
        .nth(1)
        .map_or(100_000, |text| text.parse().expect("a number"));
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    println!(
        "For comparison: `GET /healthz` {}, `PING` of redis-cli with its start {}.\n",
        shown(
            middle(async || {
                api.get_root("/healthz").await;
            })
            .await
        ),
        shown(
            middle(async || {
                redis.cli(&["PING"]);
            })
            .await
        ),
    );
    println!(
        "| snapshots | retention | Redis memory | append | first read of the state | Redis bytes for it | document | its size |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for retention in [None, Some(KEPT)] {
        for count in [1, 1000.min(most), most] {
            history(&redis, &api, count, retention).await;
        }
    }
    println!(
        "\n| LTMs | first page of 100 | page in the middle | last page | first page of one class |"
    );
    println!("| --- | --- | --- | --- | --- |");
    let mut listed = 0;
    for count in [1000.min(most), most] {
        let rest = (listed..count).map(|n| {
            let fqn = if n % 10 == 0 {
                "cost.Some"
            } else {
                "cost.Most"
            };
            let api = api.clone();
            async move { api.post("/ltm", &json!({"fqn": fqn})).await.expect(200) }
        });
        stream::iter(rest)
            .buffer_unordered(16)
            .for_each(|_| async {})
            .await;
        listed = count;
        list(&api, count).await;
    }
}

/// Makes one history and prints its row.
async fn history(redis: &RedisServer, api: &Api, count: u64, retention: Option<u64>) {
    let state: serde_json::Map<_, _> = (0..20)
        .map(|n| (format!("field_{n}"), json!("x".repeat(30))))
        .collect();
    let body = json!({"fqn": "cost.History", "state": state,
        "retention": {"max_entries": retention}});
    let id = api.post("/ltm", &body).await.expect(200)["id"]
        .as_u64()
        .unwrap();
    let began = Instant::now();
    for n in 1..count {
        let step = json!({"item": {"fqn": "cost.step", "payload": {"n": n}},
            "merge": {"n": n, "field_3": format!("{n:030}")}});
        api.append(id, step).await;
        if n % 10_000 == 0 {
            eprintln!("{n} of {count} snapshots");
        }
    }
    let append = began.elapsed() / u32::try_from(count.max(2) - 1).unwrap();
    let memory: u64 = ["log", "meta", "checkpoint", "base", "idem"]
        .iter()
        .filter_map(|key| {
            let key = format!("ltm:{{{id}}}:{key}");
            let usage = redis.cli(&["MEMORY", "USAGE", &key, "SAMPLES", "0"]);
            usage.trim().parse::<u64>().ok()
        })
        .sum();

    let mut opened = Vec::new();
    let mut read = 0;
    for _ in 0..ASKED {
        let fresh = Service::api(&redis.url(), &[]);
        let fresh = Api::at(&fresh);
        fresh.get_root("/readyz").await;
        let before = sent(redis);
        let began = Instant::now();
        fresh.get(&format!("/ltm/{id}/state")).await.expect(200);
        opened.push(began.elapsed());
        read = sent(redis) - before;
    }
    opened.sort();
    let mut size = 0;
    let document = middle(async || {
        size = api.get(&format!("/ltm/{id}")).await.text.len();
    })
    .await;
    println!(
        "| {count} | {} | {} KiB | {} | {} | {} KiB | {} | {} KiB |",
        retention.map_or("none".into(), |kept| format!("{kept} entries")),
        memory / 1024,
        if count > 1 { shown(append) } else { "-".into() },
        shown(opened[ASKED / 2]),
        read / 1024,
        shown(document),
        size / 1024,
    );
}

/// Prints the row of a list.
async fn list(api: &Api, count: u64) {
    let page = async |query: String| {
        let path = format!("/ltm?limit=100{query}");
        shown(middle(async || drop(api.get(&path).await.expect(200))).await)
    };
    println!(
        "| {count} | {} | {} | {} | {} |",
        page(String::new()).await,
        page(format!("&before={}", count / 2)).await,
        page("&before=110".into()).await,
        page("&fqn=cost.Some".into()).await,
    );
}

/// The bytes that Redis has sent.
fn sent(redis: &RedisServer) -> u64 {
    redis.info("stats", "total_net_output_bytes")
}

/// The middle of some times that this takes.
async fn middle(mut ask: impl AsyncFnMut()) -> Duration {
    let mut times = Vec::new();
    for _ in 0..ASKED {
        let began = Instant::now();
        ask().await;
        times.push(began.elapsed());
    }
    times.sort();
    times[ASKED / 2]
}

fn shown(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}
