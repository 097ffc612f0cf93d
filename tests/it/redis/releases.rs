//! What each released version wrote, as docs/compatibility.md promises: the present programs read it, and go on with it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ltm_tests::{Api, Follower, RedisServer, Service, Subscriber, binary, same};
use serde_json::{Value, json};

/// The fixtures, which `tests/data/releases/make.sh` made with the programs of each release.
fn releases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/releases");
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let releases: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    assert!(!releases.is_empty());
    releases
}

/// The documents, as the release itself showed them.
fn documents(release: &Path) -> Vec<Value> {
    let text = fs::read_to_string(release.join("documents.jsonl")).unwrap();
    let read = |line| serde_json::from_str(line).unwrap();
    text.lines().map(read).collect()
}

/// Runs the commands of an append-only file.
fn load(redis: &RedisServer, file: &Path) {
    let mut connection = TcpStream::connect(redis.address()).unwrap();
    connection.write_all(&fs::read(file).unwrap()).unwrap();
    connection.write_all(b"QUIT\r\n").unwrap();
    let mut answers = String::new();
    connection.read_to_string(&mut answers).unwrap();
    let refused = answers.lines().find(|line| line.starts_with('-'));
    assert_eq!(refused, None);
    // What was to expire after the release has expired, whenever the test runs.
    for key in redis.cli(&["--scan"]).lines() {
        if redis.cli(&["ttl", key]).trim() != "-1" {
            redis.cli(&["del", key]);
        }
    }
}

fn ltm(redis: &RedisServer, args: &[&str]) -> Output {
    let mut command = Command::new(binary("ltm"));
    let output = command.env("LTM__REDIS__URL", redis.url()).args(args);
    let output = output.output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    output
}

/// The services show what the release showed, subscribers get it, and engines go on.
async fn goes_on(redis: &RedisServer, release: &Path) {
    let api_service = Service::api(&redis.url(), &[]);
    let (api, gateway) = (Api::at(&api_service), Service::gateway(&redis.url(), &[]));
    for mut before in documents(release) {
        let id = before["id"].as_u64().unwrap();
        let now = api.get(&format!("/ltm/{id}?rollbacks=true")).await;
        let now = now.expect(200);
        before.as_object_mut().unwrap().remove("playground");
        // A later version may add members.
        for (name, value) in before.as_object().unwrap() {
            assert!(same(value, &now[name]), "LTM {id}, {name}: {}", now[name]);
        }
        if let Some(key) = before["key"].as_str() {
            let path = format!("/ltm/by-key/app.Agent/{}", key.replace('/', "%2F"));
            assert_eq!(api.get(&path).await.expect(200)["id"], id);
        }
        let follow = async |mut follower: Follower, cursor: &Value| {
            let url = gateway.ws(&format!("/ws/{id}?after={}", follower.cursor));
            let mut subscriber = Subscriber::connect(&url).await.unwrap();
            while json!(follower.cursor) != *cursor {
                follower.take(&subscriber.message().await);
            }
            follower
        };
        let follower = follow(Follower::default(), &before["cursor"]).await;
        assert!(same(&follower.state, &before["state"]), "LTM {id}");
        let appended = api.append(id, json!({"merge": {"more": true}})).await;
        // The cursor that the release gave to a subscriber is still good.
        let resumed = follow(Follower::of(&before), &appended["cursor"]).await;
        assert_eq!(resumed.state["more"], true);
        assert_eq!(resumed.resets, Vec::<String>::new());
    }
    api.get("/ltm/4").await.problem(410, "deleted-ltm");
    let listed = api.get("/ltm?status=waiting+for+a+human&fqn=app.*").await;
    assert_eq!(listed.expect(200)[0]["id"], 1);
    assert!(api.create(json!({})).await.0 > 4);
    ltm(redis, &["verify", "--all"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_of_every_release_are_read_followed_and_continued() {
    for release in releases() {
        let redis = RedisServer::start(&[]);
        load(&redis, &release.join("redis.aof"));
        ltm(&redis, &["verify", "--all"]);
        goes_on(&redis, &release).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backups_of_every_release_are_restored() {
    for release in releases() {
        let redis = RedisServer::start(&[]);
        let file = release.join("backup.ltm.zst");
        ltm(&redis, &["restore", file.to_str().unwrap()]);
        goes_on(&redis, &release).await;
    }
}
