//! `ltm backup` and `ltm restore`, as docs/backup.md describes them.

use std::{
    collections::HashSet,
    path::Path,
    process::{Command, Output},
};

use ltm_store::{Found, Record, Redis, RedisSettings, Restored, Skipped, Store, StoreError};
use ltm_tests::{
    Api, Cluster, Follower, Network, RedisServer, Service, Stack, Subscriber, binary, until,
};
use ltm_types::LtmId;
use reqwest::Method;
use serde_json::{Value, json};

fn ltm(redis: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("ltm"));
    command.args(arguments).env("LTM__REDIS__URL", redis);
    command.output().unwrap()
}

/// What it prints as JSON, if it succeeds.
fn says(redis: &str, arguments: &[&str]) -> Value {
    let output = ltm(redis, &[&["--json"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn complains(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn verified(redis: &str) {
    let output = ltm(redis, &["verify", "--all"]);
    assert!(output.status.success(), "{output:?}");
    let output = ltm(redis, &["doctor"]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("all belong together"), "{output:?}");
}

async fn delete(api: &Api, id: u64) {
    let request = api.request(Method::DELETE, &format!("/ltm/{id}"));
    let answer = api.send(request).await;
    assert!(answer.status.is_success(), "{}", answer.text);
}

fn store_at(url: &str) -> Store {
    let settings = RedisSettings {
        url: url.into(),
        ..RedisSettings::default()
    };
    Store::new(Redis::open(&settings).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_ltm_has_its_id_key_cursors_and_place_in_the_lists() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "10")]);
    let body = json!({"fqn": "app.Agent", "key": "k/1", "name": "harbour lights", "id": 4242,
        "state": {"n": 0}, "retention": {"max_entries": 4}});
    stack.api.post("/ltm", &body).await.expect(200);
    for n in 1..=60 {
        stack.api.append(4242, json!({"merge": {"n": n}})).await;
    }
    until("the API has trimmed the log", async || {
        let base = stack.redis.cli(&["EXISTS", "ltm:{4242}:base"]);
        if base.trim() == "1" {
            Ok(())
        } else {
            Err(base)
        }
    })
    .await;
    let error = json!({"reason": "execute", "item": {"fqn": "a"}, "retries": []});
    stack.api.post("/ltm/4242/errors", &error).await.expect(200);
    let copied = stack
        .api
        .post("/ltm/4242/copy", &json!({}))
        .await
        .expect(200);
    let (gone, _) = stack.api.create(json!({})).await;
    delete(&stack.api, gone).await;
    let keyed = [("Idempotency-Key", "once")];
    let step = json!({"reason": "execute", "merge": {"n": 61}}).to_string();
    let first = stack
        .api
        .post_text("/ltm/4242/snapshots", &step, &keyed)
        .await;
    let first = first.expect(201);
    let document = stack.api.document(4242).await;
    let list = stack
        .api
        .get("/ltm?name=harb&has_errors=true")
        .await
        .expect(200);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ltm.zst");
    let written = says(&stack.redis.url(), &["backup", text(&file)]);
    assert_eq!(written["ltms"], 2);
    drop(stack);

    let redis = RedisServer::start(&[]);
    let restored = says(&redis.url(), &["restore", text(&file)]);
    assert_eq!(restored["restored"], 2);
    assert_eq!(restored["entries"], written["entries"]);
    verified(&redis.url());
    let api_service = Service::api(&redis.url(), &[]);
    let gateway = Service::gateway(&redis.url(), &[]);
    let api = Api::at(&api_service);
    let restored = api.document(4242).await;
    // The source may have been trimmed once more after the backup.
    for member in [
        "state",
        "cursor",
        "snapshots_count",
        "key",
        "name",
        "errors",
        "updated_at",
    ] {
        assert_eq!(restored[member], document[member], "{member}");
    }
    assert_eq!(restored["snapshots"][0]["reason"], "trimmed");
    until("the list finds it", async || {
        let found = api.get("/ltm?name=harb&has_errors=true").await.expect(200);
        if found == list { Ok(()) } else { Err(found) }
    })
    .await;
    // The key leads to it, an Idempotency-Key still counts, and a deleted id stays gone.
    let again = api.post("/ltm", &body).await.expect(200);
    assert_eq!(again["created"], false);
    let repeated = api.post_text("/ltm/4242/snapshots", &step, &keyed).await;
    assert_eq!(repeated.expect(201)["cursor"], first["cursor"]);
    api.get(&format!("/ltm/{gone}"))
        .await
        .problem(410, "deleted-ltm");
    api.get(&format!("/ltm/{}", copied["copy_id"]))
        .await
        .expect(200);
    // A subscriber goes on.
    let after = document["cursor"].as_str().unwrap();
    let url = gateway.ws(&format!("/ws/4242?after={after}&live=1"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    assert_eq!(subscriber.message().await["live"], true);
    let appended = api.append(4242, json!({"merge": {"n": 62}})).await;
    assert_eq!(subscriber.message().await["cursor"], appended["cursor"]);
    // No id is given twice.
    let (new, _) = api.create(json!({})).await;
    assert!(new > 4242, "{new}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_busy_ltms_has_each_as_it_was_at_one_moment() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let early = stack.api.document(id).await;
    let api = std::sync::Arc::new(Api::at(&stack.api_service));
    let writer = tokio::spawn({
        let api = api.clone();
        async move {
            for n in 1..400 {
                api.append(id, json!({"merge": {"n": n}})).await;
            }
        }
    });
    until("the LTM grows", async || {
        let state = api.get(&format!("/ltm/{id}/state")).await.expect(200);
        (state["index"].as_u64().unwrap() > 20)
            .then_some(())
            .ok_or(state)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("busy.ltm.zst");
    says(&stack.redis.url(), &["backup", text(&file)]);
    writer.await.unwrap();
    let redis = RedisServer::start(&[]);
    says(&redis.url(), &["restore", text(&file)]);
    verified(&redis.url());
    let (api_service, gateway) = (
        Service::api(&redis.url(), &[]),
        Service::gateway(&redis.url(), &[]),
    );
    let document = Api::at(&api_service).document(id).await;
    let mut follower = Follower::of(&early);
    let url = gateway.ws(&format!("/ws/{id}?after={}", follower.cursor));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    while json!(follower.cursor) != document["cursor"] {
        follower.take(&subscriber.message().await);
    }
    assert_eq!(json!(follower.state), document["state"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_leaves_what_is_there_and_names_what_it_could_not_restore() {
    let stack = Stack::start();
    let (kept, _) = stack.api.create(json!({"n": 0})).await;
    let (other, _) = stack.api.create(json!({"n": 0})).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ltm.zst");
    says(&stack.redis.url(), &["backup", text(&file)]);
    let taken = ltm(&stack.redis.url(), &["backup", text(&file)]);
    assert!(complains(&taken, 2).contains("exists"), "{taken:?}");
    stack.api.append(kept, json!({"merge": {"n": 1}})).await;
    delete(&stack.api, other).await;
    let restored = ltm(&stack.redis.url(), &["restore", text(&file)]);
    let said = complains(&restored, 1);
    assert!(said.contains("an LTM with this id was deleted"), "{said}");
    assert!(said.contains("1 LTM not restored"), "{said}");
    let state = stack
        .api
        .get(&format!("/ltm/{kept}/state"))
        .await
        .expect(200);
    assert_eq!(state["state"], json!({"n": 1}));
    // One LTM of the file.
    let redis = RedisServer::start(&[]);
    let id = other.to_string();
    let restored = says(&redis.url(), &["restore", text(&file), &id]);
    assert_eq!(restored["restored"], 1);
    let missing = ltm(&redis.url(), &["restore", text(&file), "99"]);
    assert!(complains(&missing, 3).contains("no LTM 99"), "{missing:?}");
    verified(&redis.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_backup_goes_on_and_a_file_that_breaks_off_is_said() {
    let stack = Stack::start();
    for _ in 0..3 {
        // Each is longer than a frame.
        let filler = "x".repeat(5 * 1024 * 1024);
        stack.api.create(json!({"filler": filler})).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ltm.zst");
    says(&stack.redis.url(), &["backup", text(&file)]);
    let whole = std::fs::read(&file).unwrap();
    let part = folder.path().join("all.ltm.zst.part");
    std::fs::rename(&file, &part).unwrap();
    std::fs::write(&part, &whole[..whole.len() / 2]).unwrap();
    let broken = RedisServer::start(&[]);
    let restored = ltm(&broken.url(), &["restore", text(&part)]);
    assert!(
        complains(&restored, 1).contains("breaks off"),
        "{restored:?}"
    );

    let other = ltm(
        &stack.redis.url(),
        &["backup", text(&file), "--fqn", "app.*"],
    );
    assert!(complains(&other, 2).contains("other LTMs"), "{other:?}");
    let written = ltm(&stack.redis.url(), &["--json", "backup", text(&file)]);
    let said = complains(&written, 0);
    assert!(said.contains("an interrupted backup from 20"), "{said}");
    let written: Value = serde_json::from_slice(&written.stdout).unwrap();
    assert_eq!(written["ltms"], 3);
    // What the first attempt restored is left.
    let restored = says(&broken.url(), &["restore", text(&file)]);
    let sum = restored["restored"].as_u64().unwrap() + restored["present"].as_u64().unwrap();
    assert_eq!(sum, 3, "{restored}");
    verified(&broken.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_no_ltm_has_is_neither_backed_up_nor_restored() {
    let stack = Stack::start();
    stack.api.create(json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("some.ltm.zst");
    let url = stack.redis.url();
    let none = ltm(&url, &["backup", text(&file), "--fqn", "nobody.*"]);
    assert!(complains(&none, 3).contains("\"nobody.*\""), "{none:?}");
    let missing = ltm(&url, &["backup", text(&file), "99"]);
    assert!(complains(&missing, 3).contains("LTM 99"), "{missing:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    says(&url, &["backup", text(&file)]);
    let none = ltm(&url, &["restore", text(&file), "--fqn", "nobody.*"]);
    assert!(complains(&none, 3).contains("\"nobody.*\""), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_not_restored_from_a_pipe() {
    let redis = RedisServer::start(&[]);
    let mut command = Command::new(binary("ltm"));
    command.args(["restore", "/dev/stdin", "--redis", &redis.url()]);
    let output = command.stdin(std::process::Stdio::piped()).output();
    let said = complains(&output.unwrap(), 2);
    assert!(said.contains("it must be a file"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_moves_ltms_to_a_cluster_and_back() {
    let stack = Stack::start();
    let mut ids = Vec::new();
    for n in 0..8 {
        let (id, _) = stack.api.create(json!({"n": n})).await;
        stack.api.append(id, json!({"merge": {"more": n}})).await;
        ids.push(id);
    }
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    says(&stack.redis.url(), &["backup", text(&there)]);
    let cluster = Cluster::start(false).await;
    let on_cluster = |arguments: &[&str]| {
        let mut command = Command::new(binary("ltm"));
        command.arg("--json").args(arguments);
        command.env("LTM__REDIS__CLUSTER_NODES", cluster.nodes());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    on_cluster(&["restore", text(&there)]);
    on_cluster(&["verify", "--all"]);
    on_cluster(&["backup", text(&back)]);
    let redis = RedisServer::start(&[]);
    assert_eq!(says(&redis.url(), &["restore", text(&back)])["restored"], 8);
    verified(&redis.url());
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    for id in ids {
        assert_eq!(api.document(id).await, stack.api.document(id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_does_not_go_on_with_the_file_of_another_redis() {
    let (one, other) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ltm.zst");
    let part = folder.path().join("all.ltm.zst.part");
    says(&one.url(), &["backup", text(&file)]);
    std::fs::rename(&file, &part).unwrap();
    let refused = complains(&ltm(&other.url(), &["backup", text(&file)]), 2);
    assert!(refused.contains(&one.url()), "{refused}");
    let database = format!("{}/7", one.url().trim_end_matches("/0"));
    let refused = complains(&ltm(&database, &["backup", text(&file)]), 2);
    assert!(refused.contains("database 0 of"), "{refused}");
    says(&one.url(), &["backup", text(&file)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_do_not_write_one_file() {
    let redis = RedisServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ltm.zst");
    let part = folder.path().join("all.ltm.zst.part");
    let other = std::fs::File::create(&part).unwrap();
    other.lock().unwrap();
    let refused = complains(&ltm(&redis.url(), &["backup", text(&file)]), 2);
    assert!(
        refused.contains("another `ltm backup` writes this file"),
        "{refused}"
    );
    drop(other);
    says(&redis.url(), &["backup", text(&file)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_leaves_a_file_that_is_no_backup() {
    let redis = RedisServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (file, part) = (folder.path().join("data"), folder.path().join("data.part"));
    let line = zstd::encode_all(&b"some other data\n"[..], 3).unwrap();
    for other in [b"some other data".to_vec(), line] {
        std::fs::write(&part, &other).unwrap();
        ltm(&redis.url(), &["backup", text(&file)]);
        assert_eq!(std::fs::read(&part).unwrap(), other);
        assert!(!file.exists());
    }
    // The first frame of an interrupted backup may be on the disk in part.
    for begun in [&b""[..], b"\x28", b"\x28\xb5\x2f\xfd\x04"] {
        std::fs::write(&part, begun).unwrap();
        says(&redis.url(), &["backup", text(&file)]);
        std::fs::remove_file(&file).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_restored_up_to_its_last_whole_frame() {
    let stack = Stack::start();
    let filler = "x".repeat(5 * 1024 * 1024);
    for _ in 0..2 {
        // Each is longer than a frame.
        stack.api.create(json!({"filler": filler})).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ltm.zst");
    says(&stack.redis.url(), &["backup", text(&file)]);
    let mut bytes = std::fs::read(&file).unwrap();
    let frames: Vec<_> = (0..bytes.len() - 4)
        .filter(|&at| bytes[at..].starts_with(b"\x28\xb5\x2f\xfd"))
        .collect();
    // The last byte of the checksum of the second frame.
    bytes[frames[2] - 1] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let redis = RedisServer::start(&[]);
    let said = complains(&ltm(&redis.url(), &["restore", text(&file)]), 1);
    assert!(said.contains("it is damaged at byte"), "{said}");
    assert!(said.contains("use another copy of the file"), "{said}");
    assert_eq!(redis.cli(&["KEYS", "ltm:{*}:meta"]).lines().count(), 1);
    verified(&redis.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ltm_is_left_out_of_a_complete_backup() {
    let stack = Stack::start();
    let mut ids = Vec::new();
    for n in 0..5 {
        let (id, _) = stack.api.create(json!({"n": n})).await;
        stack.api.append(id, json!({"merge": {"n": n + 1}})).await;
        ids.push(id);
    }
    let (without_cursor, without_entries, of_other_type) = (ids[1], ids[2], ids[3]);
    let meta = format!("ltm:{{{without_cursor}}}:meta");
    stack.redis.cli(&["HSET", &meta, "cursor", "x"]);
    let log = format!("ltm:{{{without_entries}}}:log");
    stack.redis.cli(&["XTRIM", &log, "MAXLEN", "1"]);
    let base = format!("ltm:{{{of_other_type}}}:base");
    stack.redis.cli(&["SET", &base, "x"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ltm.zst");
    let said = complains(&ltm(&stack.redis.url(), &["backup", text(&file)]), 1);
    for id in &ids[1..4] {
        assert!(said.contains(&format!("LTM {id} is left out")), "{said}");
    }
    assert!(said.contains("3 damaged LTMs"), "{said}");
    let redis = RedisServer::start(&[]);
    assert_eq!(says(&redis.url(), &["restore", text(&file)])["restored"], 2);
    verified(&redis.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_goes_on_at_another_server_finds_every_ltm() {
    // Each process has the same keys in another order.
    let servers = [RedisServer::start(&[]), RedisServer::start(&[])];
    let fill =
        "for i = 1, 3000 do redis.call('HSET', 'ltm:{' .. i .. '}:meta', 'fqn', 'a') end return 1";
    for server in &servers {
        server.cli(&["EVAL", fill, "0"]);
    }
    let network = Network::to(&servers[0].address()).await;
    let store = store_at(&format!("redis://{}/0", network.address()));
    let mut scan = store.scan().await.unwrap();
    let mut found = HashSet::new();
    let mut take = |step: Vec<Found>| found.extend(step.into_iter().map(|it| format!("{it:?}")));
    take(scan.next().await.unwrap().unwrap());
    network.lead_to(&servers[1].address());
    network.cut();
    loop {
        match scan.next().await {
            Ok(Some(step)) => take(step),
            Ok(None) => break,
            // The connection was cut.
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(found.len(), 3000);
}

/// The records of an LTM.
async fn records(store: &Store, id: u64) -> Vec<Record> {
    let id = LtmId::new(id).unwrap();
    let mut backup = store.back_up(id).await.unwrap().unwrap();
    let mut records = Vec::new();
    while let Some(record) = backup.next().await.unwrap() {
        records.push(record);
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_leaves_a_key_to_the_ltm_that_has_taken_it_meanwhile() {
    let stack = Stack::start();
    let body = json!({"fqn": "app.Agent", "key": "k", "id": 4242, "state": {"n": 0}});
    stack.api.post("/ltm", &body).await.expect(200);
    let mut records = records(&store_at(&stack.redis.url()), 4242).await;
    let end = records.pop().unwrap();

    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let mut restore = store_at(&redis.url()).restore();
    for record in records {
        restore.take(record).await.unwrap();
    }
    let new = json!({"fqn": "app.Agent", "key": "k", "state": {"n": 1}});
    let new = Api::at(&service).post("/ltm", &new).await.expect(200);
    let holder = LtmId::new(new["id"].as_u64().unwrap()).unwrap();
    let id = LtmId::new(4242).unwrap();
    let outcome = restore.take(end).await.unwrap();
    let taken = Restored::Skipped(id, Skipped::KeyTaken(holder));
    assert_eq!(outcome, taken);
    restore.finish().await.unwrap();
    assert_eq!(redis.cli(&["KEYS", "ltm:{4242}:*"]), "");
    drop(service);
    verified(&redis.url());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_rejects_a_counter_that_a_script_cannot_count() {
    let redis = RedisServer::start(&[]);
    let mut restore = store_at(&redis.url()).restore();
    restore.take(Record::Ids(1 << 53)).await.unwrap();
    restore.take(Record::Ids((1 << 53) + 1)).await.unwrap_err();
    assert_eq!(redis.cli(&["GET", "ltm:ids"]), (1_u64 << 53).to_string());
}
