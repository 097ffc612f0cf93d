//! A rolling update: one gateway after another restarts behind HAProxy, under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use ltm_tests::{
    Api, Follower, Haproxy, Heard, RedisServer, Service, Subscriber, free_port, until,
};
use serde_json::json;
use tokio::time::sleep;

const LTMS: usize = 20;
const SUBSCRIBERS: usize = 300;
const SETTINGS: &[(&str, &str)] = &[("LTM__GATEWAY__DRAIN_TIME", "3s")];

/// What happened to all subscribers together.
#[derive(Default)]
struct Counts {
    /// Who has a connection now.
    connected: AtomicUsize,
    /// The fewest that had one at a time, since it was last asked.
    fewest: AtomicUsize,
    /// Closes because a gateway restarts.
    restarts: AtomicUsize,
    /// Tries to connect that failed.
    refused: AtomicUsize,
    /// Connections that ended in any other way.
    lost: AtomicUsize,
}

impl Counts {
    fn come(&self) {
        self.connected.fetch_add(1, Ordering::SeqCst);
    }

    fn go(&self) {
        let left = self.connected.fetch_sub(1, Ordering::SeqCst) - 1;
        self.fewest.fetch_min(left, Ordering::SeqCst);
    }

    async fn until_all_are_connected(&self) {
        until("every subscriber is connected", async || {
            let connected = self.connected.load(Ordering::SeqCst);
            if connected < SUBSCRIBERS {
                Err(connected)
            } else {
                Ok(())
            }
        })
        .await;
    }
}

/// Follows as the documentation says, until its state says that it is the end. After a close it waits
/// for a random part of a time that doubles with each failure.
async fn follow(url: String, counts: Arc<Counts>) -> Follower {
    let mut follower = Follower::default();
    let mut failures = 0;
    loop {
        sleep(Duration::from_millis(fastrand::u64(0..100 << failures))).await;
        let at = format!("{url}?after={}", follower.cursor);
        let Ok(mut subscriber) = Subscriber::connect(&at).await else {
            counts.refused.fetch_add(1, Ordering::SeqCst);
            failures = (failures + 1).min(6);
            continue;
        };
        failures = 0;
        counts.come();
        let ended = loop {
            match subscriber.hear().await {
                Heard::Message(message) => follower.take(&message),
                ended => break ended,
            }
            if follower.state["end"] == json!(true) {
                counts.go();
                return follower;
            }
        };
        counts.go();
        let count = match ended {
            Heard::Closed(1012) => &counts.restarts,
            _ => &counts.lost,
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

/// Appends to an LTM until it is told to stop, then its end.
async fn produce(api: Api, id: u64, stop: Arc<AtomicBool>) {
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        api.append(id, json!({"merge": {"n": number}})).await;
        number += 1;
        sleep(Duration::from_millis(fastrand::u64(0..200))).await;
    }
    api.append(id, json!({"merge": {"end": true}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_is_a_reconnect_and_nothing_more() {
    let redis = RedisServer::start(&[]);
    let api = Service::api(&redis.url(), &[]);
    // Nobody takes the port of a gateway while it restarts.
    let start = |address: &str| {
        let listen = [("LTM__GATEWAY__LISTEN", address)];
        Service::gateway(&redis.url(), &[SETTINGS, &listen].concat())
    };
    let mut gateways: Vec<Service> = (0..3)
        .map(|_| start(&format!("127.0.0.1:{}", free_port())))
        .collect();
    let haproxy = Haproxy::start(&[&api], &gateways.iter().collect::<Vec<_>>());
    for (backend, server) in [("api", "api0"), ("gateway", "gateway0")] {
        haproxy.until_seen(backend, server, "UP").await;
    }
    let through = Api::at_url(&haproxy.http());
    let mut ids = Vec::new();
    for _ in 0..LTMS {
        ids.push(through.create(json!({"n": null})).await.0);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = ids
        .iter()
        .map(|&id| tokio::spawn(produce(through.clone(), id, stop.clone())))
        .collect();
    let counts = Arc::new(Counts::default());
    let subscribers: Vec<_> = (0..SUBSCRIBERS)
        .map(|n| {
            let url = haproxy.ws(&format!("/ws/{}", ids[n % LTMS]));
            tokio::spawn(follow(url, counts.clone()))
        })
        .collect();
    counts.until_all_are_connected().await;

    let mut told = 0;
    for (number, gateway) in gateways.iter_mut().enumerate() {
        let name = format!("gateway{number}");
        haproxy.until_seen("gateway", &name, "UP").await;
        counts.until_all_are_connected().await;
        counts.fewest.store(SUBSCRIBERS, Ordering::SeqCst);
        let seats: usize = haproxy.stat("gateway", &name)["scur"].parse().unwrap();
        let address = gateway.address().to_owned();
        gateway.signal("TERM");
        haproxy.until_seen("gateway", &name, "DOWN").await;
        // Whoever follows there is served until it is told to go, and that begins only now.
        assert_eq!(counts.restarts.load(Ordering::SeqCst), told, "{name}");
        assert_eq!(gateway.wait().code(), Some(0), "{name}");
        *gateway = start(&address);
        Api::at(gateway).until_ready_is(200).await;
        counts.until_all_are_connected().await;
        told += seats;
        assert_eq!(counts.restarts.load(Ordering::SeqCst), told, "{name}");
        // In batches: all at once would be all of its seats.
        let away = SUBSCRIBERS - counts.fewest.load(Ordering::SeqCst);
        println!("{name}: {seats} seats, {away} away at a time at most");
        assert!(
            seats > SUBSCRIBERS / 10 && away < seats / 2,
            "{name}: {away} of {seats} at once"
        );
    }
    stop.store(true, Ordering::SeqCst);
    for producer in producers {
        producer.await.unwrap();
    }
    let followers = join_all(subscribers).await;
    for (n, follower) in followers.into_iter().enumerate() {
        let follower = follower.unwrap();
        let id = ids[n % LTMS];
        let document = through.document(id).await;
        assert_eq!(follower.cursor.to_string(), document["cursor"], "LTM {id}");
        assert_eq!(follower.seen.len() as u64, follower.cursor.seq, "LTM {id}");
        assert_eq!(follower.resets, [""; 0]);
        assert_eq!(follower.state, document["state"]);
    }
    assert_eq!(counts.refused.load(Ordering::SeqCst), 0, "refused");
    assert_eq!(counts.lost.load(Ordering::SeqCst), 0, "lost");
    // Nor did HAProxy have to try a second time.
    let all = haproxy.stat("gateway", "BACKEND");
    let [retries, redispatches] = ["wretr", "wredis"].map(|name| &all[name]);
    assert_eq!([retries, redispatches], ["0", "0"]);
}
