//! Redis fails over by Sentinels, and the services follow.

use ltm_tests::{
    Api, FAILOVER_LIMIT, Follower, Sentinels, Service, Subscriber, Writer, items, until,
    until_within,
};
use serde_json::json;

/// An API and two gateways that know only the Sentinels. The database and the user are those of
/// `redis.url`, whose address leads nowhere.
struct World {
    /// Dropped after the services.
    api: Api,
    api_service: Service,
    gateways: Vec<Service>,
    redis: Sentinels,
}

const URL: &str = "redis://app:secret@127.0.0.1:1/3";

impl World {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let redis = Sentinels::start().await;
        for server in [&redis.leader, &redis.replica] {
            server.cli(&[
                "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all",
            ]);
        }
        let urls = redis.urls();
        let settings = [&redis.settings(&urls), settings].concat();
        let api_service = Service::api(URL, &settings);
        let gateways = (0..2).map(|_| Service::gateway(URL, &settings)).collect();
        let world = Self {
            api: Api::at(&api_service),
            api_service,
            gateways,
            redis,
        };
        world.until_ready_is(200).await;
        world
    }

    async fn until_ready_is(&self, status: u16) {
        for service in self.gateways.iter().chain([&self.api_service]) {
            Api::at(service).until_ready_is(status).await;
        }
    }

    fn urls(&self, id: u64) -> Vec<String> {
        let url = |gateway: &Service| gateway.ws(&format!("/ws/{id}"));
        self.gateways.iter().map(url).collect()
    }

    /// Waits until the replica has this LTM.
    async fn until_replicated(&self, id: u64) {
        let meta = format!("ltm:{{{id}}}:meta");
        until(&format!("the replica has LTM {id}"), async || {
            self.redis.replica.cli(&["-n", "3", "EXISTS", &meta]) == "1"
        })
        .await;
    }

    /// Waits until every service knows that another Redis leads.
    async fn until_all_know(&self) {
        for service in self.gateways.iter().chain([&self.api_service]) {
            service.until_logged("another Redis is the primary").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_under_writes_is_followed_by_itself_and_what_was_acknowledged_is_there_once() {
    let settings = [
        ("LTM__REDIS__WAIT_REPLICAS", "1"),
        ("LTM__REDIS__WAIT_TIMEOUT", "500ms"),
    ];
    let mut world = World::start(&settings).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.api.create(json!({"n": null})).await.0);
    }
    let meta = format!("ltm:{{{}}}:meta", ids[0]);
    assert_eq!(world.redis.leader.cli(&["-n", "3", "EXISTS", &meta]), "1");
    let writers: Vec<_> = ids
        .iter()
        .map(|&id| Writer::start(&world.api, id))
        .collect();
    let followers: Vec<_> = (0..6)
        .map(|n| {
            let mut urls = world.urls(ids[n % ids.len()]);
            urls.rotate_left(n % 2);
            tokio::spawn(async move {
                let mut follower = Follower::default();
                let done = |f: &Follower| f.state["end"] == json!(true);
                follower.follow_until(&urls, done).await;
                follower
            })
        })
        .collect();
    for writer in &writers {
        writer.until_more(20).await;
    }
    world.redis.leader.kill();
    world.redis.until_the_replica_leads().await;
    // Two are needed for a write to be acknowledged: the old leader comes back and follows.
    world.redis.leader.restart();
    world.redis.demote_the_leader().await;
    for writer in &writers {
        writer.until_more(20).await;
    }
    for (writer, &id) in writers.into_iter().zip(&ids) {
        let all: Vec<usize> = (0..writer.stop().await).collect();
        assert_eq!(items(&world.api, id).await, all, "LTM {id}");
    }
    for &id in &ids {
        world.api.append(id, json!({"merge": {"end": true}})).await;
    }
    for (n, follower) in followers.into_iter().enumerate() {
        let follower = follower.await.unwrap();
        let document = world.api.document(ids[n % ids.len()]).await;
        assert_eq!(follower.state, document["state"]);
        assert_eq!(follower.cursor.to_string(), document["cursor"]);
        // Only a write that nobody was told of can have been lost.
        assert!(follower.resets.iter().all(|reason| reason == "forked"));
    }
    world.until_ready_is(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_sentinels_that_loses_writes_resets_whoever_saw_them() {
    let mut world = World::start(&[]).await;
    let (id, _) = world.api.create(json!({"n": 0})).await;
    let mut subscribers = Vec::new();
    for url in world.urls(id) {
        let mut follower = Follower::default();
        let mut subscriber = Subscriber::connect(&format!("{url}?after=0"))
            .await
            .unwrap();
        follower.take(&subscriber.message().await);
        subscribers.push((follower, subscriber));
    }
    world.until_replicated(id).await;
    // From here on the replica gets nothing more.
    world.redis.replica.pause();
    world
        .redis
        .leader
        .cli(&["CLIENT", "KILL", "TYPE", "replica"]);
    for n in 1..=3 {
        world.api.append(id, json!({"merge": {"lost": n}})).await;
        for (follower, subscriber) in &mut subscribers {
            follower.take(&subscriber.message().await);
        }
    }
    world.redis.leader.kill();
    world.redis.replica.resume();
    let kept = json!({"n": 0, "kept": true});
    let step = json!({"reason": "execute", "merge": {"kept": true}});
    until_within(
        FAILOVER_LIMIT,
        "the API reaches the new primary",
        async || {
            let answer = world.api.post(&format!("/ltm/{id}/snapshots"), &step).await;
            if answer.status == 201 {
                return Ok(());
            }
            Err(answer.problem(503, "unavailable"))
        },
    )
    .await;
    assert_eq!(world.api.document(id).await["state"], kept);
    for (follower, subscriber) in &mut subscribers {
        while follower.state != kept {
            follower.take(&subscriber.message().await);
        }
        assert!(!follower.resets.is_empty());
        assert!(follower.resets.iter().all(|reason| reason == "forked"));
    }
    world.until_ready_is(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_replaced_while_it_slept_gets_no_writes_when_it_comes_back() {
    let world = World::start(&[]).await;
    let (id, _) = world.api.create(json!({"n": 0})).await;
    let mut subscriber = Subscriber::connect(&world.urls(id)[0]).await.unwrap();
    world.until_replicated(id).await;
    world.redis.leader.pause();
    world.redis.until_the_replica_leads().await;
    world.until_all_know().await;
    // Also the connection that listens has moved.
    let channel = format!("ltm:3:{{{id}}}:live");
    until("a gateway listens on the new primary", async || {
        world.redis.replica.cli(&["PUBSUB", "NUMSUB", &channel]) == format!("{channel}\n1")
    })
    .await;
    // It believes that it leads, and takes writes, until the Sentinels demote it.
    world.redis.leader.resume();
    world.api.append(id, json!({"merge": {"n": 1}})).await;
    let log = format!("ltm:{{{id}}}:log");
    assert_eq!(world.redis.replica.cli(&["-n", "3", "XLEN", &log]), "2");
    let message = subscriber.message().await;
    assert_eq!(message["snapshot"]["patch"][0]["value"], 1, "{message}");
    world.redis.demote_the_leader().await;
    world.api.append(id, json!({"merge": {"n": 2}})).await;
    let message = subscriber.message().await;
    assert_eq!(message["snapshot"]["patch"][0]["value"], 2, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sentinel_that_answers_is_enough() {
    let mut world = World::start(&[]).await;
    let (id, _) = world.api.create(json!({"n": 0})).await;
    world.redis.sentinels[0].kill();
    world.redis.sentinels[1].pause();
    let urls = world.redis.urls();
    // The Sentinel that hangs holds up a lookup for longer than a command may take.
    let soon = [("LTM__REDIS__RESPONSE_TIMEOUT", "500ms")];
    let settings = [&world.redis.settings(&urls)[..], &soon].concat();
    let (api, gateway) = (
        Service::api(URL, &settings),
        Service::gateway(URL, &settings),
    );
    for service in [&api, &gateway] {
        Api::at(service).until_ready_is(200).await;
    }
    let url = gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    subscriber.message().await;
    Api::at(&api).append(id, json!({"merge": {"n": 1}})).await;
    assert_eq!(
        subscriber.message().await["snapshot"]["patch"][0]["value"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sentinels_the_services_go_on_and_without_a_leader_too_they_say_what_is_missing() {
    let mut world = World::start(&[]).await;
    let (id, _) = world.api.create(json!({"n": 0})).await;
    let mut subscriber = Subscriber::connect(&world.urls(id)[0]).await.unwrap();
    for sentinel in &mut world.redis.sentinels {
        sentinel.kill();
    }
    world
        .api_service
        .until_logged("no Sentinel reports a primary; retrying")
        .await;
    world.api.append(id, json!({"merge": {"n": 1}})).await;
    subscriber.message().await;
    world.until_ready_is(200).await;

    world.redis.leader.kill();
    world.until_ready_is(503).await;
    let step = json!({"reason": "execute", "merge": {"n": 2}});
    for service in [&world.api_service, &world.gateways[0]] {
        let service = Api::at(service);
        until("/readyz names every Sentinel", async || {
            let problem = service
                .get_root("/readyz")
                .await
                .problem(503, "unavailable");
            let detail = problem["detail"].as_str().unwrap();
            let named = |s: &ltm_tests::RedisServer| detail.contains(&s.address());
            let all = world.redis.sentinels.iter().all(named);
            if all { Ok(()) } else { Err(problem) }
        })
        .await;
    }
    let refused = world.api.post(&format!("/ltm/{id}/snapshots"), &step).await;
    let problem = refused.problem(503, "unavailable");
    assert!(
        problem["detail"].as_str().unwrap().contains("Sentinels"),
        "{problem}"
    );

    world.redis.leader.restart();
    world.redis.leader.cli(&[
        "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all",
    ]);
    for sentinel in &mut world.redis.sentinels {
        sentinel.restart();
    }
    world.until_ready_is(200).await;
    world.api.append(id, json!({"merge": {"n": 2}})).await;
    let message = subscriber.message().await;
    assert_eq!(message["snapshot"]["patch"][0]["value"], 2, "{message}");
}
