//! Subscribers resume without a gap or a duplicate, whatever happens in between.

use futures_util::future::join_all;
use ltm_tests::{Api, Follower, Network, RedisServer, Service, Stack, Subscriber, size, until};
use ltm_types::{Cursor, Entry, Kind};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn eight_producers_at_two_apis_lose_no_update_and_all_see_one_order() {
    const PRODUCERS: usize = 8;
    let each = size(100, 250);
    let redis = RedisServer::start(&[]);
    let services = [
        Service::api(&redis.url(), &[]),
        Service::api(&redis.url(), &[]),
    ];
    let gateways = [
        Service::gateway(&redis.url(), &[]),
        Service::gateway(&redis.url(), &[]),
    ];
    let apis = services.each_ref().map(Api::at);
    let (id, _) = apis[0].create(json!({"items": []})).await;
    let followers = (0..4).map(|number: usize| {
        let url = gateways[number % 2].ws(&format!("/ws/{id}"));
        tokio::spawn(async move {
            let mut follower = Follower::default();
            follower
                .follow_until(&[url], |f| f.seen.len() == PRODUCERS * each + 1)
                .await;
            follower
        })
    });
    let followers: Vec<_> = followers.collect();
    join_all((0..PRODUCERS).map(|producer| {
        let api = apis[producer % 2].clone();
        async move {
            for number in 0..each {
                let value = format!("{producer}-{number}");
                api.append(
                    id,
                    json!({"patch": [{"op": "add", "path": "/items/-", "value": value}]}),
                )
                .await;
            }
        }
    }))
    .await;
    let followers: Vec<Follower> = join_all(followers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let document = apis[1].document(id).await;
    for follower in &followers {
        assert_eq!(follower.seen, followers[0].seen);
        assert_eq!(follower.state, document["state"]);
    }
    let mut items: Vec<&str> = document["state"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_str().unwrap())
        .collect();
    items.sort_unstable();
    items.dedup();
    assert_eq!(items.len(), PRODUCERS * each);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_gateway_is_killed_its_subscribers_go_on_at_another() {
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let mut first = Service::gateway(&redis.url(), &[]);
    let second = Service::gateway(&redis.url(), &[]);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({})).await;
    let urls: Vec<String> = [&first, &second]
        .map(|gateway| gateway.ws(&format!("/ws/{id}")))
        .into();
    let followers: Vec<_> = (0..8)
        .map(|_| {
            let urls = urls.clone();
            tokio::spawn(async move {
                let mut follower = Follower::default();
                follower.follow_until(&urls, |f| f.seen.len() == 401).await;
                follower
            })
        })
        .collect();
    for number in 0..400 {
        api.append(id, json!({"merge": {"number": number}})).await;
        if number == 200 {
            first.kill();
        }
    }
    let document = api.document(id).await;
    for follower in followers {
        let follower = follower.await.unwrap();
        assert_eq!(follower.state, document["state"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_of_redis_subscribers_go_on_where_they_were() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]);
    let service = Service::api(&redis.url(), &[]);
    let gateway = Service::gateway(&redis.url(), &[]);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({})).await;
    let mut follower = Follower::default();
    let mut subscriber = Subscriber::connect(&gateway.ws(&format!("/ws/{id}?after=0")))
        .await
        .unwrap();
    for round in 0..3 {
        api.append(id, json!({"merge": {"round": round}})).await;
        redis.kill();
        let refused = api
            .post(
                &format!("/ltm/{id}/snapshots"),
                &json!({"reason": "execute", "merge": {"lost": round}}),
            )
            .await;
        assert_eq!(refused.header("retry-after"), "1");
        refused.problem(503, "unavailable");
        redis.restart();
        api.append(id, json!({"merge": {"back": round}})).await;
    }
    while follower.seen.len() < 7 {
        follower.take(&subscriber.message().await);
    }
    assert_eq!(follower.state, json!({"round": 2, "back": 2}));
}

/// The reconnection of the Redis library gives up after six attempts.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_outage_of_redis_an_entry_arrives_without_anybody_asking() {
    // Each of the gateway's connections to Redis makes more attempts than that.
    const ATTEMPTS: usize = 30;
    let mut redis = RedisServer::start(&["--appendfsync", "always"]);
    let network = Network::to(&redis.address()).await;
    let url = format!("redis://{}/0", network.address());
    // The sweep would find it too: it is put off, so that only the live connection can.
    let gateway = Service::gateway(&url, &[("LTM__GATEWAY__SWEEP_INTERVAL", "1h")]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({})).await;
    let mut subscriber = Subscriber::connect(&gateway.ws(&format!("/ws/{id}")))
        .await
        .unwrap();
    api.append(id, json!({"merge": {"before": true}})).await;
    subscriber.message().await;
    network.refuse(true);
    redis.kill();
    until("the gateway has tried to connect often", async || {
        let refused = network.refused();
        if refused < ATTEMPTS {
            Err(refused)
        } else {
            Ok(())
        }
    })
    .await;
    redis.restart();
    network.refuse(false);
    api.append(id, json!({"merge": {"after": true}})).await;
    let message = subscriber.message().await;
    assert_eq!(message["snapshot"]["patch"][0]["path"], "/after");
}

/// An entry is written without its live message: only a comparison with the log can find it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_message_with_nothing_after_it_is_found() {
    let stack = Stack::with(&[("LTM__GATEWAY__SWEEP_INTERVAL", "200ms")]);
    let (id, cursor) = stack.api.create(json!({})).await;
    let mut subscriber = Subscriber::connect(&stack.gateway.ws(&format!("/ws/{id}")))
        .await
        .unwrap();
    stack
        .api
        .append(id, json!({"merge": {"heard": true}}))
        .await;
    let heard = subscriber.message().await;
    assert_ne!(heard["cursor"], json!(cursor));
    let previous: Cursor = heard["cursor"].as_str().unwrap().parse().unwrap();
    let lost = json!({"time": "2026-01-01T00:00:00.000000Z", "reason": "execute", "item": null,
        "patch": [{"op": "add", "path": "/lost", "value": true}], "execute_queue": [], "transitions_queue": []});
    let entry = Entry::after(previous, Kind::Snapshot, lost.to_string().into());
    let next = entry.cursor.to_string();
    stack.redis.cli(&[
        "XADD",
        &format!("ltm:{{{id}}}:log"),
        &next,
        "snapshot",
        &entry.payload,
    ]);
    stack.redis.cli(&[
        "HSET",
        &format!("ltm:{{{id}}}:meta"),
        "cursor",
        &next,
        "snapshots_count",
        "3",
    ]);
    let found = subscriber.message().await;
    assert_eq!(found["cursor"], Value::from(next));
}
