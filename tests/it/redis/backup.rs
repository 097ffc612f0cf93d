//! Backup and restore, as docs/backup.md says.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ltm_tests::{Api, Follower, RedisServer, Service, Stack, Subscriber, binary, until};
use serde_json::{Value, json};

/// Appends until it is told to stop.
async fn write(api: Arc<Api>, id: u64, stop: Arc<AtomicBool>) -> u64 {
    let mut written = 0;
    while !stop.load(Ordering::SeqCst) {
        written += 1;
        api.append(id, json!({"merge": {"n": written}})).await;
    }
    written
}

/// The index of the latest snapshot.
async fn index(api: &Api, id: u64) -> u64 {
    let state = api.get(&format!("/ltm/{id}/state")).await.expect(200);
    state["index"].as_u64().unwrap()
}

/// Waits until there is a snapshot with this index.
async fn until_grown(api: &Api, id: u64, to: u64) {
    until(&format!("snapshot {to} is written"), async || {
        let latest = index(api, id).await;
        if latest < to { Err(latest) } else { Ok(()) }
    })
    .await;
}

/// Follows from a cursor up to the last entry that there is.
async fn follow(gateway: &Service, id: u64, mut follower: Follower, head: &Value) -> Follower {
    let after = follower.cursor;
    let url = gateway.ws(&format!("/ws/{id}?after={after}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    while json!(follower.cursor) != *head {
        follower.take(&subscriber.message().await);
    }
    follower
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_busy_redis_is_whole_and_subscribers_go_on_or_are_told() {
    let stack = Stack::start();
    let ids = [
        stack.api.create(json!({"n": 0})).await.0,
        stack.api.create(json!({"n": 0})).await.0,
    ];
    let early: Vec<Value> = [
        stack.api.document(ids[0]).await,
        stack.api.document(ids[1]).await,
    ]
    .into();
    let api = Arc::new(Api::at(&stack.api_service));
    let stop = Arc::new(AtomicBool::new(false));
    let writers = ids.map(|id| tokio::spawn(write(api.clone(), id, stop.clone())));
    until_grown(&stack.api, ids[0], 100).await;

    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.rdb");
    stack.redis.cli(&["--rdb", backup.to_str().unwrap()]);
    // What is acknowledged after it is not in it.
    let at_backup = index(&stack.api, ids[0]).await;
    until_grown(&stack.api, ids[0], at_backup + 100).await;
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        assert!(writer.await.unwrap() > 100);
    }
    let lost = [
        stack.api.document(ids[0]).await,
        stack.api.document(ids[1]).await,
    ];
    let (gone, _) = stack.api.create(json!({})).await;
    drop(stack);

    let redis = RedisServer::restored(&backup);
    let (api_service, gateway) = (
        Service::api(&redis.url(), &[]),
        Service::gateway(&redis.url(), &[]),
    );
    let api = Api::at(&api_service);
    let mut verify = Command::new(binary("ltm"));
    let proved = verify
        .args(["verify", "--all", "--redis", &redis.url()])
        .output()
        .unwrap();
    assert!(proved.status.success(), "{proved:?}");
    for (number, id) in ids.into_iter().enumerate() {
        let document = api.document(id).await;
        let count = document["snapshots_count"].as_u64().unwrap();
        assert!(count >= 2 && count < lost[number]["snapshots_count"].as_u64().unwrap());
        // Who was not further than the backup goes on.
        let follower = Follower::of(&early[number]);
        let caught_up = follow(&gateway, id, follower, &document["cursor"]).await;
        assert_eq!(caught_up.seen.len() as u64, count - 1);
        assert_eq!(json!(caught_up.state), document["state"]);
        // Who was is told, and has what there is.
        let after = lost[number]["cursor"].as_str().unwrap();
        let url = gateway.ws(&format!("/ws/{id}?after={after}"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        let told = subscriber.message().await;
        assert_eq!(told["reset"]["reason"], "forked", "{told}");
        assert_eq!(told["reset"]["state"], document["state"]);
        assert_eq!(told["cursor"], document["cursor"]);
        let appended = api.append(id, json!({"merge": {"n": "again"}})).await;
        assert_eq!(subscriber.message().await["cursor"], appended["cursor"]);
    }
    assert_eq!(api.get(&format!("/ltm/{gone}")).await.status, 404);
    let (new, _) = api.create(json!({})).await;
    assert!(!ids.contains(&new));
}
