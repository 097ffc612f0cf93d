//! Load on services that run already, for whoever restarts or upgrades them meanwhile: every entry that was
//! acknowledged must reach every subscriber, once and in order.
//!
//! `cargo run --package ltm-tests --example under_load -- http://127.0.0.1:8000 60` goes on for 60 seconds, with 20 LTMs
//! and 200 subscribers; two more numbers change those. It says how often clients had to connect or ask again, and
//! fails where an entry is missing, doubled or not there in time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use ltm_tests::{Api, Follower, Heard, Subscriber};
use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

/// What clients went through.
#[derive(Default)]
struct Counts {
    appended: AtomicUsize,
    appended_again: AtomicUsize,
    told_to_go: AtomicUsize,
    lost: AtomicUsize,
    refused: AtomicUsize,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("the URL of a deployment");
    let mut number = |default| {
        arguments
            .next()
            .map_or(default, |text| text.parse().unwrap())
    };
    let (seconds, ltms, subscribers) = (number(60), number(20), number(200));
    let api = Api::at_url(&url);
    let mut ids = Vec::new();
    for _ in 0..ltms {
        ids.push(api.create(json!({"n": null})).await.0);
    }
    let (counts, stop) = <(Arc<Counts>, Arc<AtomicBool>)>::default();
    let producers = ids
        .iter()
        .map(|&id| tokio::spawn(produce(api.clone(), id, counts.clone(), stop.clone())));
    let producers: Vec<_> = producers.collect();
    let ws = url.replacen("http", "ws", 1);
    let followers = (0..subscribers).map(|n| {
        tokio::spawn(follow(
            format!("{ws}/ws/{}", ids[n % ids.len()]),
            counts.clone(),
        ))
    });
    let followers: Vec<_> = followers.collect();
    println!("running");
    sleep(Duration::from_secs(seconds as u64)).await;
    stop.store(true, SeqCst);

    let appended = join_all(producers).await;
    for (n, follower) in join_all(followers).await.into_iter().enumerate() {
        let follower = follower.expect("a subscriber that got everything in order");
        let (id, appended) = (
            ids[n % ids.len()],
            appended[n % ids.len()].as_ref().unwrap(),
        );
        let document = api.document(id).await;
        assert_eq!(follower.cursor.to_string(), document["cursor"], "LTM {id}");
        // The first entry is the creation.
        assert_eq!(follower.seen.len(), appended + 1, "LTM {id}");
        assert_eq!(follower.resets, [""; 0]);
        assert_eq!(follower.state, document["state"], "LTM {id}");
    }
    println!(
        "{} entries, all of them at all {subscribers} subscribers, once and in order.\n\
         Told to go (1012): {}. Connections lost: {}, refused: {}. Appends asked for again: {}.",
        counts.appended.load(SeqCst),
        counts.told_to_go.load(SeqCst),
        counts.lost.load(SeqCst),
        counts.refused.load(SeqCst),
        counts.appended_again.load(SeqCst),
    );
}

/// Appends until it is told to stop, then its end; gives how many entries were acknowledged.
async fn produce(api: Api, id: u64, counts: Arc<Counts>, stop: Arc<AtomicBool>) -> usize {
    for number in 0.. {
        let ends = stop.load(SeqCst);
        let body = json!({"reason": "step", "merge": {"n": number, "end": ends}});
        while !append(&api, id, number, &body).await {
            counts.appended_again.fetch_add(1, SeqCst);
            sleep(Duration::from_millis(fastrand::u64(50..200))).await;
        }
        counts.appended.fetch_add(1, SeqCst);
        if ends {
            return number + 1;
        }
        sleep(Duration::from_millis(fastrand::u64(0..200))).await;
    }
    unreachable!("the numbers do not end")
}

/// Appends one entry; the key makes a second try safe. Gives whether it was acknowledged.
async fn append(api: &Api, id: u64, number: usize, body: &serde_json::Value) -> bool {
    let request = api
        .request(Method::POST, &format!("/ltm/{id}/snapshots"))
        .header("Idempotency-Key", number.to_string())
        .json(body);
    match request.send().await {
        Ok(answer) if answer.status().is_success() => true,
        Ok(answer) => {
            assert!(answer.status().is_server_error(), "{}", answer.status());
            false
        }
        Err(_) => false,
    }
}

/// Follows as the documentation says, until its state says that it is the end.
async fn follow(url: String, counts: Arc<Counts>) -> Follower {
    let mut follower = Follower::default();
    let mut failures = 0;
    while follower.state["end"] != json!(true) {
        sleep(Duration::from_millis(fastrand::u64(0..100 << failures))).await;
        let Ok(mut subscriber) =
            Subscriber::connect(&format!("{url}?after={}", follower.cursor)).await
        else {
            counts.refused.fetch_add(1, SeqCst);
            failures = (failures + 1).min(6);
            continue;
        };
        failures = 0;
        while follower.state["end"] != json!(true) {
            let count = match subscriber.hear().await {
                Heard::Message(message) => {
                    follower.take(&message);
                    continue;
                }
                Heard::Closed(1012) => &counts.told_to_go,
                _ => &counts.lost,
            };
            count.fetch_add(1, SeqCst);
            break;
        }
    }
    follower
}
