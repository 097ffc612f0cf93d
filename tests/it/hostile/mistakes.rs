//! Mistakes of other systems: each test fails if we make the same one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::{StreamExt, stream};
use ltm_tests::{
    Api, Crowd, Follower, LIMIT, Network, RedisServer, Service, Stack, Subscriber, resident_bytes,
    size, until,
};
use serde_json::json;
use tokio::{task::JoinHandle, time::timeout};
use tokio_tungstenite::{connect_async, tungstenite::Message};

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
    let crowd = Crowd::of(size(2_500, 5_000)).await;
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({"n": 0})).await;
    let mut cursors = vec![first];
    for n in 1..ENTRIES {
        let appended = stack.api.append(id, json!({"merge": {"n": n}})).await;
        cursors.push(appended["cursor"].as_str().unwrap().to_owned());
    }
    let before = reads(&stack.redis);
    // Each stands somewhere in the first half.
    let follow = |number: usize| {
        let at = number as u64 % (ENTRIES / 2);
        let cursor = &cursors[usize::try_from(at).unwrap()];
        let url = stack.gateway.ws(&format!("/ws/{id}?after={cursor}"));
        async move { read_until(&url, at + 1, ENTRIES).await }
    };
    // As fast as the handshakes can be made.
    let herd_of = async |count| {
        stream::iter((0..count).map(follow))
            .buffer_unordered(500)
            .for_each(|()| async {})
            .await;
        resident_bytes(stack.gateway.pid())
    };
    // The first ones take what all share. The others leave nothing behind.
    let first = herd_of(crowd.size / 5).await;
    let more = crowd.size / 5 * 4;
    let grown = herd_of(more).await.saturating_sub(first) / more;
    let asked = reads(&stack.redis) - before;
    assert!(
        asked <= 10 * ENTRIES,
        "{} subscribers read Redis {asked} times",
        crowd.size
    );
    assert!(grown < 8 * 1024, "the gateway keeps {grown} bytes of each");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_redis_connection_per_viewer() {
    let crowd = Crowd::of(size(2_000, 10_000)).await;
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({"n": 0})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after={cursor}"));
    let (one, _) = connect_async(&url).await.unwrap();
    let clients = |stack: &Stack| stack.redis.info("clients", "connected_clients");
    let with_one = clients(&stack);
    let connect = |_| async { connect_async(&url).await.unwrap().0 };
    let sockets: Vec<_> = stream::iter(1..crowd.size)
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
        .map(async |mut socket| {
            loop {
                let message = timeout(LIMIT * 2, socket.next()).await;
                let message = message.expect("it comes in time").unwrap().unwrap();
                if let Message::Text(text) = message {
                    break text;
                }
            }
        })
        .buffer_unordered(1000);
    let mut heard = 0;
    while let Some(text) = all.next().await {
        assert!(text.contains(r#""value":1"#), "{text}");
        heard += 1;
    }
    assert_eq!(heard, crowd.size);
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
    for _ in 0..size(150, 500) {
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
    until("the API has trimmed the log", async || {
        let entry = stack.redis.cli(&["XRANGE", &log, &first, &first]);
        entry.is_empty()
    })
    .await;
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
