//! What readers of one LTM by AG-UI cost the gateway, beside readers of `/sse`.
//!
//! `cargo run --release --package ltm-tests --example agui_cost` prints it, within a minute.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use futures_util::future::join_all;
use ltm_tests::{Events, Recording, Stack, cpu_seconds};
use serde_json::{Value, json};

const READERS: usize = 500;
const SNAPSHOTS: usize = 300;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    println!("| round | /sse, µs of CPU for each delivery | /agui | ratio |");
    println!("| --- | ---: | ---: | ---: |");
    let recorded = Recording::all();
    let longest = recorded.iter().max_by_key(|it| it.snapshots().len());
    let patches: Vec<&Value> = longest
        .expect("there are recordings")
        .snapshots()
        .iter()
        .map(|it| &it["patch"])
        .collect();
    let mut totals = [0.0, 0.0];
    for round in 1..=ROUNDS {
        let sse = delivery("sse", &patches).await;
        let agui = delivery("agui", &patches).await;
        totals = [totals[0] + sse, totals[1] + agui];
        println!("| {round} | {sse:.1} | {agui:.1} | {:.2} |", agui / sse);
    }
    println!("| all | | | {:.2} |", totals[1] / totals[0]);
}

/// The CPU time of a gateway for each delivery, in microseconds.
async fn delivery(protocol: &str, patches: &[&Value]) -> f64 {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"_status": "active"})).await;
    let url = format!("{}/{protocol}/{id}?init=state", stack.gateway.http());
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut events = Events::open(Events::ask(&url, None)).await;
        until(&mut events, "active").await;
        readers.push(events);
    }
    let before = cpu_seconds(stack.gateway.pid());
    let readers = readers
        .into_iter()
        .map(|mut events| tokio::spawn(async move { until(&mut events, "the last one").await }));
    let readers: Vec<_> = readers.collect();
    for patch in patches.iter().cycle().take(SNAPSHOTS - 1) {
        stack.api.append(id, change(patch)).await;
    }
    stack.api.append(id, change(&json!("the last one"))).await;
    for reader in join_all(readers).await {
        reader.unwrap();
    }
    let took = cpu_seconds(stack.gateway.pid()) - before;
    took * 1e6 / (READERS * SNAPSHOTS) as f64
}

/// A patch that holds a value, which need not fit to the state.
fn change(value: &Value) -> Value {
    json!({"patch": [{"op": "add", "path": "/last", "value": value}]})
}

/// Reads until an event has this text.
async fn until(events: &mut Events, text: &str) {
    loop {
        let event = events.next().await.expect("the answer goes on");
        if event.data.contains(text) {
            return;
        }
    }
}
