//! How HAProxy spreads subscribers over gateways, and what that costs: the table of `docs/performance.md`.
//!
//! `cargo run --release --package ltm-tests --example balance` compares least connections with hashing by LTM, without and with a load
//! bound, for many LTMs of a few subscribers each, and for one hot LTM among them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::process::Command;

use futures_util::{StreamExt, stream};
use ltm_tests::{Api, Follower, Haproxy, RedisServer, Scrape, Service, Subscriber};
use serde_json::json;

const GATEWAYS: usize = 4;
const ENTRIES: usize = 10;
const LTMS: usize = 100;

/// What stands in place of `balance …` of the gateways' backend; the last one is what is deployed.
const WAYS: [(&str, &str); 4] = [
    ("least connections", "balance leastconn"),
    (
        "hash",
        "balance hash path,field(-1,/)\n    hash-type consistent",
    ),
    (
        "hash, bound 150 %",
        "balance hash path,field(-1,/)\n    hash-type consistent\n    hash-balance-factor 150",
    ),
    (
        "hash, bound 125 %",
        "balance hash path,field(-1,/)\n    hash-type consistent\n    hash-balance-factor 125",
    ),
];

#[tokio::main]
async fn main() {
    for (shape, hot) in [
        ("100 LTMs of 4 subscribers", 4),
        ("the same, one of them has 400", 400),
    ] {
        println!("{shape}\n");
        println!(
            "| strategy | subscribers per gateway | LTMs followed, sum | KiB from Redis per entry | Redis CPU, µs per entry | gateway CPU, µs per delivery |\n| --- | --- | --- | --- | --- | --- |"
        );
        for (name, balance) in WAYS {
            measure(name, balance, hot).await;
        }
        println!();
    }
}

async fn measure(name: &str, balance: &str, hot: usize) {
    let redis = RedisServer::start(&[]);
    let api = Service::api(&redis.url(), &[]);
    let gateways: Vec<_> = (0..GATEWAYS)
        .map(|_| Service::gateway(&redis.url(), &[]))
        .collect();
    let deployed = WAYS.last().expect("the deployed one is the last").1;
    let changes = [(deployed, balance)];
    let all: Vec<&Service> = gateways.iter().collect();
    let haproxy = Haproxy::with(&[&api], &all, &changes);
    haproxy.until_seen("api", "api0", "UP").await;
    for number in 0..GATEWAYS {
        haproxy
            .until_seen("gateway", &format!("gateway{number}"), "UP")
            .await;
    }
    let client = Api::at(&api);
    let (mut ids, mut wanted) = (Vec::new(), Vec::new());
    for number in 0..LTMS {
        let id = client.create(json!({})).await.0;
        ids.push(id);
        wanted.extend(std::iter::repeat_n(id, if number == 0 { hot } else { 4 }));
    }
    // As they come in life: of all LTMs mixed.
    fastrand::seed(1);
    fastrand::shuffle(&mut wanted);
    let subscribers: Vec<_> = stream::iter(wanted)
        .map(|id| {
            let url = haproxy.ws(&format!("/ws/{id}?after=0"));
            async move { (id, Subscriber::connect(&url).await.unwrap()) }
        })
        .buffered(8)
        .collect()
        .await;
    let mut followers: Vec<_> = subscribers
        .into_iter()
        .map(|(_, subscriber)| (subscriber, Follower::default()))
        .collect();
    hear(&mut followers, 1).await;
    let (sent, redis_cpu) = redis_counts(&redis.url());
    let gateways_cpu = sum(&all, "process_cpu_seconds_total").await;
    for _ in 0..ENTRIES {
        for &id in &ids {
            client.append(id, json!({"merge": {"n": 1}})).await;
        }
    }
    hear(&mut followers, 1 + ENTRIES).await;
    let (sent_then, redis_cpu_then) = redis_counts(&redis.url());
    let gateways_cpu = sum(&all, "process_cpu_seconds_total").await - gateways_cpu;
    let mut seats = Vec::new();
    for gateway in &all {
        seats.push(Scrape::of(gateway).await.value("ltm_subscribers"));
    }
    let entries = (ENTRIES * LTMS) as f64;
    println!(
        "| {name} | {seats:?} | {} | {:.2} | {:.0} | {:.0} |",
        sum(&all, "ltm_followed_ltms").await,
        (sent_then - sent) / entries,
        (redis_cpu_then - redis_cpu) * 1e6 / entries,
        gateways_cpu * 1e6 / (followers.len() * ENTRIES) as f64,
    );
}

/// Waits until everybody has so many entries.
async fn hear(followers: &mut [(Subscriber, Follower)], entries: usize) {
    for (subscriber, follower) in followers {
        while follower.seen.len() < entries {
            follower.take(&subscriber.message().await);
        }
    }
}

async fn sum(services: &[&Service], metric: &str) -> f64 {
    let mut sum = 0.0;
    for service in services {
        sum += Scrape::of(service).await.value(metric);
    }
    sum
}

/// The bytes that Redis has sent, in KiB, and the seconds of CPU that it has taken.
fn redis_counts(url: &str) -> (f64, f64) {
    let info = Command::new("redis-cli")
        .args(["-u", url, "INFO", "everything"])
        .output()
        .expect("redis-cli is on PATH");
    let info = String::from_utf8(info.stdout).expect("text");
    let value = |name: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.expect("Redis says it").parse().expect("a number")
    };
    let cpu = value("used_cpu_user:") + value("used_cpu_sys:");
    (value("total_net_output_bytes:") / 1024.0, cpu)
}
