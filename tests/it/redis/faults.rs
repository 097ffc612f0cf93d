//! Faults of Redis, one at a time.

use futures_util::future::join_all;
use ltm_store::{Redis, RedisSettings, Store, StoreError};
use ltm_tests::{Api, Follower, Replicated, Service, Stack, Subscriber, until};
use ltm_types::{Cursor, LtmId};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_somebody_added_by_hand_is_reported_and_skipped() {
    let stack = Stack::start();
    let api = &stack.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    api.append(id, json!({"merge": {"n": 1}})).await;
    let log = format!("ltm:{{{id}}}:log");
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0&live=1"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    for (field, value) in [
        ("snapshot", "{}"),
        ("nonsense", ""),
        ("rollback", "no JSON"),
    ] {
        let foreign = stack.redis.cli(&["XADD", &log, "*", field, value]);
        // Readers go on: from Redis, and from memory.
        let fresh = Service::api(&stack.redis.url(), &[]);
        for api in [api, &Api::at(&fresh)] {
            let document = api.document(id).await;
            assert_eq!(document["state"], json!({"n": 1}));
            assert_eq!(document["snapshots_count"], 2);
        }
        let mut follower = Follower::default();
        follower
            .follow_until(&[stack.gateway.ws(&format!("/ws/{id}"))], |f| {
                f.seen.len() == 2
            })
            .await;

        // Writers are told what to do, and then it works.
        let step = json!({"reason": "execute", "merge": {"n": 2}});
        let problem = api.post(&format!("/ltm/{id}/snapshots"), &step).await;
        let problem = problem.problem(500, "damaged-log");
        let detail = problem["detail"].as_str().unwrap();
        let (_, advice) = detail.split_once("remove it: ").unwrap();
        assert!(advice.contains(&foreign), "{detail}");
        let (commands, _) = advice.split_once("; if Redis refuses").unwrap();
        let mut refused = false;
        for command in commands.split(", then ") {
            let said = stack.redis.cli(&command.split(' ').collect::<Vec<_>>());
            refused |= said.contains("ERR");
        }
        if refused {
            let copied = api.post(&format!("/ltm/{id}/copy"), &json!({})).await;
            let copy = copied.expect(200)["copy_id"].as_u64().unwrap();
            api.append(copy, json!({"merge": {"n": 2}})).await;
            assert_eq!(api.document(copy).await["state"], json!({"n": 2}));
            return;
        }
        api.append(id, json!({"merge": {"n": 1}})).await;
        stack
            .api
            .post(
                &format!("/ltm/{id}/rollback"),
                &json!({"snapshot": {"index": 1}}),
            )
            .await
            .expect(200);
    }
    let mut follower = Follower::default();
    while follower.cursor.seq < 8 {
        follower.take(&subscriber.message().await);
    }
    assert_eq!(follower.state, json!({"n": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_room_refuses_writes_in_words_and_loses_nothing() {
    let stack = Stack::start();
    let api = &stack.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    stack.redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let path = format!("/ltm/{id}/snapshots");
    let step = json!({"reason": "execute", "merge": {"n": 1}});
    let refused = api.post(&path, &step).await;
    assert_eq!(refused.header("retry-after"), "1");
    let problem = refused.problem(503, "unavailable");
    assert!(
        problem["detail"].as_str().unwrap().contains("OOM"),
        "{problem}"
    );
    for (path, body) in [
        ("/ltm".to_owned(), json!({"fqn": "tests.Ltm"})),
        (
            format!("/ltm/{id}/rollback"),
            json!({"snapshot": {"index": 0}}),
        ),
        (format!("/ltm/{id}/copy"), json!({})),
    ] {
        api.post(&path, &body).await.problem(503, "unavailable");
    }
    assert_eq!(api.document(id).await["state"], json!({"n": 0}));
    stack.redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    api.append(id, json!({"merge": {"n": 2}})).await;
    assert_eq!(
        subscriber.message().await["snapshot"]["patch"][0]["value"],
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_cannot_save_refuses_writes_in_words() {
    let stack = Stack::start();
    let api = &stack.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    let dir = stack.redis.cli(&["CONFIG", "GET", "dir"]);
    let dir = dir.lines().nth(1).unwrap();
    // A folder stands where the file should be written.
    std::fs::create_dir(format!("{dir}/dump.rdb")).unwrap();
    stack.redis.cli(&["CONFIG", "SET", "save", "3600 1"]);
    stack.redis.cli(&["BGSAVE"]);
    until("Redis has failed to save", async || {
        let info = stack.redis.cli(&["INFO", "persistence"]);
        info.contains("rdb_last_bgsave_status:err")
    })
    .await;
    let step = json!({"reason": "execute", "merge": {"n": 1}});
    let refused = api.post(&format!("/ltm/{id}/snapshots"), &step).await;
    let problem = refused.problem(503, "unavailable");
    assert!(
        problem["detail"].as_str().unwrap().contains("MISCONF"),
        "{problem}"
    );
    assert_eq!(api.document(id).await["state"], json!({"n": 0}));
    stack.redis.cli(&["CONFIG", "SET", "save", ""]);
    api.append(id, json!({"merge": {"n": 1}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_whose_disk_is_full_refuses_writes_in_words_and_loses_nothing() {
    let stack = Stack::start();
    let api = &stack.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut follower = Follower::default();
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    follower.take(&subscriber.message().await);
    // The append-only file goes on in a device that has no room.
    let dir = stack.redis.cli(&["CONFIG", "GET", "dir"]);
    let dir = dir.lines().nth(1).unwrap();
    let full = format!("{dir}/appendonlydir/appendonly.aof.2.incr.aof");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    stack.redis.cli(&["BGREWRITEAOF"]);
    let path = format!("/ltm/{id}/snapshots");
    let detail = until("the API refuses a write", async || {
        let step = json!({"reason": "execute", "merge": {"n": follower.seen.len()}});
        let answer = api.post(&path, &step).await;
        if answer.status != 201 {
            return Some(answer.problem(503, "unavailable")["detail"].to_string());
        }
        follower.take(&subscriber.message().await);
        None
    })
    .await;
    assert!(detail.contains("No space left on device"), "{detail}");
    assert_eq!(api.document(id).await["state"], follower.state);
    std::fs::remove_file(full).unwrap();
    let step = json!({"reason": "execute", "merge": {"room": true}});
    until("the API accepts a write again", async || {
        let accepted = api.post(&path, &step).await.status == 201;
        if !accepted {
            // Redis refuses this while the first one is not over.
            stack.redis.cli(&["BGREWRITEAOF"]);
        }
        accepted
    })
    .await;
    follower.take(&subscriber.message().await);
    assert_eq!(api.document(id).await["state"], follower.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_loses_writes_resets_whoever_saw_them() {
    let world = Replicated::start(&[("LTM__GATEWAY__SWEEP_INTERVAL", "200ms")]).await;
    let api = &world.api;
    let (id, _) = api.create(json!({"n": 0})).await;
    let url = world.gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&format!("{url}?after=0"))
        .await
        .unwrap();
    let mut follower = Follower::default();
    follower.take(&subscriber.message().await);
    world.until_replicated(id).await;
    world.between.hold();
    for n in 1..=3 {
        api.append(id, json!({"merge": {"lost": n}})).await;
        follower.take(&subscriber.message().await);
    }
    world.fail_over();
    until("the API reads from the new primary", async || {
        api.get(&format!("/ltm/{id}/state")).await.status == 200
    })
    .await;
    api.append(id, json!({"merge": {"kept": true}})).await;
    let kept = json!({"n": 0, "kept": true});
    assert_eq!(api.document(id).await["state"], kept);
    while follower.state != kept {
        follower.take(&subscriber.message().await);
    }
    assert!(!follower.resets.is_empty());
    assert!(follower.resets.iter().all(|reason| reason == "forked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_meets_a_demoted_leader_lets_the_connection_go() {
    for wait_replicas in ["0", "1"] {
        let world = Replicated::start(&[("LTM__REDIS__WAIT_REPLICAS", wait_replicas)]).await;
        let api = &world.api;
        let (id, _) = api.create(json!({"n": 0})).await;
        world.until_replicated(id).await;
        let address = world.replica.address();
        let (host, port) = address.split_once(':').unwrap();
        world.replica.cli(&["REPLICAOF", "NO", "ONE"]);
        // No connection is cut: only the answers tell.
        world.to_leader.lead_to(&address);
        world.leader.cli(&["REPLICAOF", host, port]);
        let path = format!("/ltm/{id}/snapshots");
        let step = r#"{"reason":"execute","merge":{"n":1}}"#;
        until("the API reaches the new primary", async || {
            let answer = api
                .post_text(&path, step, &[("Idempotency-Key", "1")])
                .await;
            if answer.status == 201 {
                return Ok(());
            }
            Err(answer.problem(503, "unavailable"))
        })
        .await;
        assert_eq!(api.document(id).await["state"], json!({"n": 1}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_over_a_connection_that_redis_has_closed_is_sent_again() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let paths = [
        "/ltm".to_owned(),
        format!("/ltm/{id}"),
        format!("/ltm/{id}/state"),
    ];
    for round in 0..10 {
        stack.redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        // Each thread of the API has a connection of its own.
        let reads = paths.iter().cycle().take(16);
        let answers = join_all(reads.map(|path| stack.api.get(path))).await;
        for answer in answers {
            assert_eq!(answer.status, 200, "round {round}: {}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_lost_its_end_is_not_damaged() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let appended = stack.api.append(id, json!({"merge": {"n": 1}})).await;
    let head: Cursor = appended["cursor"].as_str().unwrap().parse().unwrap();
    let settings = RedisSettings {
        url: stack.redis.url(),
        ..RedisSettings::default()
    };
    let store = Store::new(Redis::open(&settings).unwrap());
    let id = LtmId::new(id).unwrap();
    // A reader looked up an entry before a failover lost it.
    let lost = store.state_after(id, head.seq + 1).await;
    assert!(matches!(lost, Err(StoreError::Trimmed(_))), "{lost:?}");
    // Nothing but damage makes a log shorter than its head says.
    let log = format!("ltm:{{{id}}}:log");
    stack.redis.cli(&["XDEL", &log, &head.to_string()]);
    let damaged = store.state_after(id, head.seq).await;
    assert!(
        matches!(damaged, Err(StoreError::Damaged { .. })),
        "{damaged:?}"
    );
}
