//! The mistakes that others made, each a test that fails where it is made here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use ltm_tests::{
    Api, Follower, LIMIT, Network, RedisServer, Service, Stack, Subscriber, resident_bytes,
};
use serde_json::json;
use tokio::{sync::Mutex, task::JoinHandle, time::timeout};
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
        let message = timeout(LIMIT * 2, socket.next()).await;
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
async fn a_herd_of_reconnects_that_loads_histories_into_memory() {
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
async fn one_redis_connection_per_viewer() {
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
    // Each thread has its own; the first viewer has used one.
    let threads = std::thread::available_parallelism().unwrap().get() as u64;
    let with_all = clients(&stack);
    assert!(with_all < with_one + threads, "{with_one}, then {with_all}");
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    let mut all = stream::iter(sockets.into_iter().chain([one]))
        .map(async |mut socket| timeout(LIMIT * 2, socket.next()).await)
        .buffer_unordered(1000);
    let mut heard = 0;
    while let Some(message) = all.next().await {
        let message = message.expect("it comes in time").unwrap().unwrap();
        assert!(message.into_text().unwrap().contains(r#""value":1"#));
        heard += 1;
    }
    assert_eq!(heard, viewers());
}

/// Appends until it is told to stop; gives how many.
fn keep_writing(api: Api, id: u64, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    tokio::spawn(async move {
        let mut count = 0;
        while !stop.load(Ordering::SeqCst) {
            api.append(id, json!({"merge": {"count": count}})).await;
            count += 1;
        }
        count
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_after_reading() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"count": 0})).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = keep_writing(stack.api.clone(), id, stop.clone());
    for _ in 0..500 {
        // A page of the history carries the cursor too, without growing as the document does.
        let page = stack.api.get(&format!("/ltm/{id}/state")).await.expect(200);
        let mut follower = Follower::of(&page);
        let url = stack
            .gateway
            .ws(&format!("/ws/{id}?after={}", follower.cursor));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        for _ in 0..3 {
            follower.take(&subscriber.message().await);
        }
        subscriber.leave().await;
    }
    let document = stack.api.document(id).await;
    let mut follower = Follower::of(&document);
    let mut subscriber = Subscriber::connect(
        &stack
            .gateway
            .ws(&format!("/ws/{id}?after={}", follower.cursor)),
    )
    .await
    .unwrap();
    follower.take(&subscriber.message().await);
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dollar_as_a_cursor() {
    let redis = RedisServer::start(&[]);
    let network = Network::to(&redis.address()).await;
    // Only the reconnect can find what was missed: the sweep is put off, and nothing comes after.
    let settings = [("LTM__GATEWAY__SWEEP_INTERVAL", "1h")];
    let gateway = Service::gateway(&format!("redis://{}/0", network.address()), &settings);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({"n": 0})).await;
    let url = gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let mut follower = Follower::default();
    follower.take(&subscriber.message().await);
    for round in 1..=3 {
        network.refuse(true);
        network.cut();
        for n in 1..=50 {
            api.append(id, json!({"merge": {"n": round * 100 + n}}))
                .await;
        }
        network.refuse(false);
        while follower.state != json!({"n": round * 100 + 50}) {
            follower.take(&subscriber.message().await);
        }
    }
    assert_eq!(follower.seen.len(), 151);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trimmed_history_skipped_in_silence() {
    let stack = Stack::with(&[
        ("LTM__API__CHECKPOINT_EVERY", "5"),
        ("LTM__RETENTION__MAX_ENTRIES", "10"),
    ]);
    let (id, first) = stack.api.create(json!({"n": 0})).await;
    for n in 1..=60 {
        stack.api.append(id, json!({"merge": {"n": n}})).await;
    }
    let log = format!("ltm:{{{id}}}:log");
    let began = Instant::now();
    while !stack
        .redis
        .cli(&["XRANGE", &log, &first, &first])
        .is_empty()
    {
        assert!(began.elapsed() < LIMIT, "the log is never trimmed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut follower = Follower {
        cursor: first.parse().unwrap(),
        state: json!({"n": 0}),
        ..Follower::default()
    };
    stack.api.append(id, json!({"merge": {"m": 1}})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let end = json!({"n": 60, "m": 1});
    follower.follow_until(&[url], |f| f.state == end).await;
    assert_eq!(follower.resets, ["trimmed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_used_again_after_a_loss() {
    let stack = Stack::with(&[("LTM__GATEWAY__SWEEP_INTERVAL", "200ms")]);
    let api = &stack.api;
    let (id, _) = api.create(json!({"old": true})).await;
    api.append(id, json!({"merge": {"n": 1}})).await;
    let before = api.document(id).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    stack.redis.cli(&["FLUSHALL"]);
    assert_eq!(subscriber.close_code().await, 4404);
    let step = json!({"reason": "execute", "merge": {"n": 2}});
    let path = format!("/ltm/{id}/snapshots");
    api.post(&path, &step).await.problem(404, "unknown-ltm");

    // The counter of ids is gone, too: another LTM gets the id, and is told apart.
    let fresh = Service::api(&stack.redis.url(), &[]);
    let (again, _) = Api::at(&fresh).create(json!({"new": true})).await;
    assert_eq!(again, id);
    assert_eq!(api.document(id).await["state"], json!({"new": true}));
    api.append(id, json!({"merge": {"n": 3}})).await;
    let mut follower = Follower::of(&before);
    let state = json!({"new": true, "n": 3});
    follower.follow_until(&[url], |f| f.state == state).await;
    assert_eq!(follower.resets, ["forked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscribed_connection_that_is_deaf_while_health_is_green() {
    let redis = RedisServer::start(&[]);
    let network = Network::to(&redis.address()).await;
    let settings = [
        ("LTM__REDIS__RESPONSE_TIMEOUT", "1s"),
        ("LTM__GATEWAY__SWEEP_INTERVAL", "1h"),
    ];
    let gateway = Service::gateway(&format!("redis://{}/0", network.address()), &settings);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({})).await;
    let mut subscriber = Subscriber::connect(&gateway.ws(&format!("/ws/{id}")))
        .await
        .unwrap();
    api.append(id, json!({"merge": {"before": true}})).await;
    subscriber.message().await;
    network.hold();
    api.append(id, json!({"merge": {"during": true}})).await;
    Api::at(&gateway).until_ready_is(503).await;
    network.cut();
    network.release();
    let message = subscriber.message().await;
    assert_eq!(message["snapshot"]["patch"][0]["path"], "/during");
}
