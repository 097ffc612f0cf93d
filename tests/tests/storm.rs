//! Very many subscribers at once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use futures_util::{StreamExt, stream};
use ltm_tests::{RedisServer, Stack, resident_bytes};
use serde_json::json;
use tokio::{sync::Mutex, time::timeout};
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// Together the tests would need more sockets than a process may have.
static ALONE: Mutex<()> = Mutex::const_new(());

/// About as many as one gateway takes by default, or half of what this machine lets one process open.
fn viewers() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.unwrap().split_whitespace().nth(3).unwrap();
    soft.parse::<u64>()
        .map_or(10_000, |soft| (soft - 100).min(10_000))
}

/// How often logs were read.
fn reads(redis: &RedisServer) -> u64 {
    redis.info("commandstats", "cmdstat_evalsha:calls")
}

/// Reads the messages from one place to another, which must come without gap or double.
async fn read_until(url: &str, mut seq: u64, until: u64) {
    let (mut socket, _) = connect_async(url).await.unwrap();
    while seq < until {
        let message = timeout(ltm_tests::LIMIT * 2, socket.next()).await;
        let message = message.expect("something comes in time").unwrap().unwrap();
        let Message::Text(text) = message else {
            continue;
        };
        let (_, rest) = text.split_once(r#""cursor":""#).unwrap();
        let (number, _) = rest.split_once('-').unwrap();
        assert_eq!(number, (seq + 1).to_string(), "a gap or a double at {url}");
        seq += 1;
    }
    let _ = socket.close(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_herd_that_reconnects_is_served_whole_and_shares_its_reads() {
    const ENTRIES: u64 = 60;
    let _turn = ALONE.lock().await;
    let at_once = usize::try_from(viewers() / 4).unwrap().min(1000);
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({"n": 0})).await;
    let mut cursors = vec![first];
    for n in 1..ENTRIES {
        let appended = stack.api.append(id, json!({"merge": {"n": n}})).await;
        cursors.push(appended["cursor"].as_str().unwrap().to_owned());
    }
    let herd = viewers() / 2;
    let before = reads(&stack.redis);
    // Each stands somewhere in the first half.
    let follow = |number: u64| {
        let at = number % (ENTRIES / 2);
        let cursor = &cursors[usize::try_from(at).unwrap()];
        let url = stack.gateway.ws(&format!("/ws/{id}?after={cursor}"));
        async move { read_until(&url, at + 1, ENTRIES).await }
    };
    // As fast as the handshakes can be made.
    stream::iter((0..herd).map(follow))
        .buffer_unordered(at_once)
        .for_each(|()| async {})
        .await;
    let asked = reads(&stack.redis) - before;
    assert!(
        asked <= 10 * ENTRIES,
        "{herd} subscribers read Redis {asked} times"
    );
    let held = resident_bytes(stack.gateway.pid()) / 1024 / 1024;
    assert!(held < 500, "the gateway holds {held} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_do_not_cost_connections_to_redis() {
    let _turn = ALONE.lock().await;
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({"n": 0})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after={cursor}"));
    let (one, _) = connect_async(&url).await.unwrap();
    let clients = |stack: &Stack| stack.redis.info("clients", "connected_clients");
    let with_one = clients(&stack);
    let connect = |_| async { connect_async(&url).await.unwrap().0 };
    let sockets: Vec<_> = stream::iter(1..viewers())
        .map(connect)
        .buffer_unordered(100)
        .collect()
        .await;
    assert_eq!(clients(&stack), with_one);
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    let mut all = stream::iter(sockets.into_iter().chain([one]))
        .map(async |mut socket| timeout(ltm_tests::LIMIT * 2, socket.next()).await)
        .buffer_unordered(1000);
    let mut heard = 0;
    while let Some(message) = all.next().await {
        let message = message.expect("it comes in time").unwrap().unwrap();
        assert!(message.into_text().unwrap().contains(r#""value":1"#));
        heard += 1;
    }
    assert_eq!(heard, viewers());
}
