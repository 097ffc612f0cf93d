//! Subscribers that read slowly or vanish: what they cost the gateway and other subscribers.

use std::time::Duration;

use futures_util::future::join_all;
use ltm_tests::{
    Api, Crowd, Follower, Heard, Network, Scrape, Stack, Subscriber, resident_bytes, until,
};
use serde_json::json;
use tokio::sync::oneshot;

const KIB: usize = 1024;
const MIB: usize = KIB * KIB;

/// Appends `count` snapshots of about `bytes` each.
async fn append_many(api: &Api, id: u64, count: usize, bytes: usize) {
    for round in 0..count {
        let text = format!("{round} {}", "x".repeat(bytes));
        api.append(id, json!({"merge": {"text": text}})).await;
    }
}

/// Reads until it has all entries.
async fn read_all(subscriber: &mut Subscriber, follower: &mut Follower, entries: usize) {
    while follower.seen.len() < entries {
        follower.take(&subscriber.message().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_reads_a_kibibyte_a_second_does_not_hold_up_the_others() {
    const ENTRIES: usize = 200;
    let stack = Stack::with(&[
        ("LTM__HTTP__SEND_BUFFER", "16 KiB"),
        ("LTM__GATEWAY__QUEUE", "16 KiB"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}?after=0");
    let mut slow = Subscriber::with_buffer(stack.gateway.address(), &path, 8192).await;
    let (hurry, mut hurried) = oneshot::channel();
    let slow = tokio::spawn(async move {
        let mut follower = Follower::default();
        follower.take(&slow.message().await);
        // A message has about 2 KiB.
        while tokio::time::timeout(Duration::from_secs(2), &mut hurried)
            .await
            .is_err()
        {
            follower.take(&slow.message().await);
        }
        let seen_slowly = follower.seen.len();
        read_all(&mut slow, &mut follower, ENTRIES + 1).await;
        seen_slowly
    });
    let url = stack.gateway.ws(&path);
    let others = (0..200).map(|_| {
        let url = url.clone();
        tokio::spawn(async move {
            let mut subscriber = Subscriber::connect(&url).await.unwrap();
            read_all(&mut subscriber, &mut Follower::default(), ENTRIES + 1).await;
        })
    });
    let others: Vec<_> = others.collect();
    append_many(&stack.api, id, ENTRIES, 2 * KIB).await;
    for other in join_all(others).await {
        other.unwrap();
    }
    hurry.send(()).unwrap();
    let seen = slow.await.unwrap();
    assert!(seen < ENTRIES / 2, "it was not slow: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_vanishes_without_a_word_gives_its_seat_back_and_goes_on_where_it_was() {
    let stack = Stack::with(&[
        ("LTM__GATEWAY__PING_INTERVAL", "300ms"),
        ("LTM__GATEWAY__MAX_SUBSCRIBERS", "1"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    let network = Network::to(stack.gateway.address()).await;
    let path = format!("/ws/{id}?after=0");
    let mut gone = Subscriber::connect(&format!("ws://{}{path}", network.address()))
        .await
        .unwrap();
    let mut follower = Follower::default();
    read_all(&mut gone, &mut follower, 1).await;
    network.hold();
    append_many(&stack.api, id, 5, KIB).await;
    let url = stack.gateway.ws(&path);
    let connect = async || Subscriber::connect(&url).await;
    let other = until("the permit of the first is free", connect).await;
    other.leave().await;
    network.release();
    // What was under way arrives, and then the end.
    while let Heard::Message(message) = gone.hear().await {
        follower.take(&message);
    }
    let urls = [stack.gateway.ws(&format!("/ws/{id}"))];
    follower.follow_until(&urls, |f| f.seen.len() == 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_that_read_nothing_stay_within_the_documented_memory_and_get_everything() {
    const LTMS: usize = 50;
    const ENTRIES: usize = 8;
    const QUEUE: usize = 32 * KIB;
    // docs/limits.md: two pages, and what every socket takes; and what all share.
    const EACH: usize = 2 * 64 * KIB + 8 * KIB;
    const SHARED: usize = 64 * MIB;
    let crowd = Crowd::of(1_000).await;
    let stack = Stack::with(&[
        ("LTM__HTTP__SEND_BUFFER", "16 KiB"),
        ("LTM__GATEWAY__CACHE", "1 MiB"),
        ("LTM__GATEWAY__WRITE_STALL", "10m"),
        ("LTM__GATEWAY__PING_INTERVAL", "10m"),
    ]);
    let mut paths = Vec::new();
    for _ in 0..LTMS {
        let (id, _) = stack.api.create(json!({})).await;
        append_many(&stack.api, id, ENTRIES, 40 * KIB).await;
        paths.push(format!("/ws/{id}?after=0"));
    }
    let count = crowd.size;
    let before = resident_bytes(stack.gateway.pid());
    let address = stack.gateway.address();
    let connect =
        |number: usize| Subscriber::with_buffer(address, &paths[number % LTMS], 32 * 1024);
    let mut stalled = join_all((0..count).map(connect)).await;
    let held = || resident_bytes(stack.gateway.pid());
    let (least, most) = (before + count * QUEUE, before + count * EACH + SHARED);
    until("the queues are full", async || held() >= least).await;
    // Who reads is served beside them, and by then they have got what they take.
    for path in &paths {
        let mut reader = Subscriber::connect(&stack.gateway.ws(path)).await.unwrap();
        read_all(&mut reader, &mut Follower::default(), ENTRIES + 1).await;
    }
    let each = (held() - before) / count / KIB;
    eprintln!("{each} KiB for each of {count}");
    assert!(held() < most, "{each} KiB for each of {count}");
    let read = stalled.iter_mut().map(async |subscriber| {
        read_all(subscriber, &mut Follower::default(), ENTRIES + 1).await;
    });
    join_all(read).await;
    assert!(held() < most, "{} MiB", held() / MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_that_wait_have_a_limit_and_subscribers_of_one_ltm_count_once() {
    let stack = Stack::with(&[
        ("LTM__HTTP__SEND_BUFFER", "16 KiB"),
        ("LTM__GATEWAY__LARGE_MESSAGES", "3 MiB"),
        ("LTM__GATEWAY__COMPRESSION", "false"),
    ]);
    let path = async || {
        let state = json!({"text": "x".repeat(2 * MIB)});
        let (id, _) = stack.api.create(state).await;
        format!("/ws/{id}?init=state")
    };
    let (one, other) = (path().await, path().await);
    let mut slow = Subscriber::with_buffer(stack.gateway.address(), &one, 8192).await;
    let resets = r#"ltm_resets_total{reason="requested"}"#;
    Scrape::until(&stack.gateway, resets, 1.0).await;
    let connect = async |path: &str| {
        let url = stack.gateway.ws(path);
        Subscriber::connect(&url).await.unwrap().hear().await
    };
    until("the state of the first waits", async || {
        match connect(&other).await {
            Heard::Closed(1013) => Ok(()),
            heard => Err(format!("{heard:?}").chars().take(100).collect::<String>()),
        }
    })
    .await;
    assert!(matches!(connect(&one).await, Heard::Message(_)));
    slow.message().await;
    until("the state of the other has room", async || {
        match connect(&other).await {
            Heard::Message(message) => Ok(message),
            heard => Err(format!("{heard:?}")),
        }
    })
    .await;
}
