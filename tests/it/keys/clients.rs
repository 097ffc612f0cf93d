//! The command `ltm` and the Rust client name an LTM by its key, wherever they take an id.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use futures_util::StreamExt;
use ltm_client::{Client, LtmKey, Status};
use ltm_tests::{LIMIT, Service, Stack, binary};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::get_or_create;

/// Both services behind one URL.
struct Dev {
    service: Service,
    folder: tempfile::TempDir,
}

impl Dev {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::dev(folder.path());
        Self { service, folder }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut ltm = Command::new(binary("ltm"));
        ltm.env("LTM_URL", self.service.http()).args(args);
        ltm.output().unwrap()
    }

    /// What it prints, if it succeeds.
    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let text = self.says(&[&["--json"], args].concat());
        serde_json::from_str(text.trim()).unwrap()
    }
}

const KEY: &str = "app.Agent/thread/7 é";

#[test]
fn every_command_takes_class_and_key_instead_of_an_id() {
    let dev = Dev::start();
    let create = [
        "create",
        "app.Agent",
        "--key",
        "thread/7 é",
        "--state",
        "{\"n\": 0}",
    ];
    let created = dev.json(&create);
    assert_eq!(created["created"], true);
    assert_eq!(dev.json(&create)["created"], false);
    assert!(dev.says(&create).trim_end().ends_with(", not new"));
    dev.says(&["append", KEY, "--merge", "{\"n\": 1}"]);
    let document = dev.json(&["get", KEY]);
    assert_eq!(document["id"], created["id"]);
    assert_eq!(document["state"], json!({"n": 1}));
    assert!(dev.says(&["get", KEY]).contains("key thread/7 é"));
    assert!(dev.says(&["list"]).contains("thread/7 é"));
    assert_eq!(dev.json(&["list"])["key"], "thread/7 é");
    assert_eq!(
        dev.json(&["get", KEY, "--at", "0"])["state"],
        json!({"n": 0})
    );
    assert_eq!(dev.json(&["diff", KEY, "0", "1"])[0]["value"], 1);
    dev.says(&["wait", KEY, "--after", "1-1"]);
    dev.says(&["rollback", KEY, "--to", "0"]);
    dev.says(&["copy", KEY]);
    dev.says(&["delete", KEY, "--yes"]);
    let gone = dev.run(&create);
    let gone = String::from_utf8(gone.stderr).unwrap();
    assert!(gone.contains("reuse"), "{gone}");
    assert_eq!(
        dev.json(&[&create[..], &["--reuse"]].concat())["created"],
        true
    );
    for wrong in ["app.Agent/", "/key", "0", "app.Agent", "a/.."] {
        let refused = dev.run(&["get", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}: {refused:?}");
    }
    let unknown = dev.run(&["tail", "app.Agent/none"]);
    let unknown = String::from_utf8(unknown.stderr).unwrap();
    assert!(unknown.contains("no LTM app.Agent/none"), "{unknown}");
}

#[test]
fn a_tail_by_key_prints_what_is_appended() {
    let dev = Dev::start();
    dev.says(&["create", "app.Agent", "--key", "k"]);
    let mut tail = Command::new(binary("ltm"))
        .env("LTM_URL", dev.service.http())
        .args(["--json", "tail", "app.Agent/k", "--after", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["snapshot"]["reason"], "start");
    dev.says(&["append", "app.Agent/k", "--merge", "{\"n\": 1}"]);
    assert_eq!(next()["snapshot"]["patch"][0]["value"], 1);
    dev.says(&["delete", "app.Agent/k", "--yes"]);
    assert_eq!(next()["deleted"], true);
    tail.wait().unwrap();
}

#[test]
fn an_import_keeps_the_key_and_can_be_repeated() {
    let dev = Dev::start();
    let create = ["create", "app.Agent", "--key", "k", "--state", "{\"n\": 0}"];
    dev.says(&create);
    dev.says(&["append", "app.Agent/k", "--merge", "{\"n\": 1}"]);
    let document = dev.json(&["get", "app.Agent/k"]);
    let file = dev.folder.path().join("document.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let file = file.to_str().unwrap();

    let other = Dev::start();
    for _ in 0..2 {
        other.says(&["import", file]);
    }
    let imported = other.json(&["get", "app.Agent/k"]);
    for member in ["id", "key", "state", "snapshots_count"] {
        assert_eq!(imported[member], document[member], "{member}");
    }
    // Under another key, and as often as somebody asks for it.
    let mut bare = document.clone();
    bare.as_object_mut().unwrap().remove("id");
    std::fs::write(file, bare.to_string()).unwrap();
    for _ in 0..2 {
        other.says(&["import", file, "--key", "second"]);
    }
    let second = other.json(&["get", "app.Agent/second"]);
    assert_ne!(second["id"], imported["id"]);
    assert_eq!(second["state"], document["state"]);
    let rows = other.says(&["--json", "list"]);
    assert_eq!(rows.lines().count(), 2, "{rows}");
    // It belongs to an LTM with another history.
    other.says(&["append", "app.Agent/second", "--merge", "{\"n\": 2}"]);
    other.says(&["append", "app.Agent/second", "--merge", "{\"n\": 3}"]);
    assert!(
        !other
            .run(&["import", file, "--key", "second"])
            .status
            .success()
    );
}

#[test]
fn a_verification_takes_keys() {
    let stack = Stack::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(get_or_create(&stack.api, "k"));
    let verify = |ltm: &str| {
        let mut command = Command::new(binary("ltm"));
        let command = command.args(["verify", "--redis", &stack.redis.url(), ltm]);
        command.output().unwrap()
    };
    let verified = verify("app.Agent/k");
    assert!(verified.status.success(), "{verified:?}");
    assert!(!verify("app.Agent/none").status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_writes_and_follows_by_key() {
    let dev = Dev::start();
    let client = Client::new(&dev.service.http()).unwrap();
    let producer = client.producer();
    let new = json!({"fqn": "app.Agent", "key": "thread/7", "state": {"n": 0}});
    let created = producer.create(&new).send().await.unwrap();
    assert!(created.created);
    let found = producer.create(&new).send().await.unwrap();
    assert_eq!((found.created, found.id), (false, created.id));
    let key = LtmKey::new("app.Agent", "thread/7").unwrap();
    let mut views = client.views(key.clone());
    let step = json!({"reason": "execute", "merge": {"n": 1}});
    producer.append(key.clone(), &step).send().await.unwrap();
    loop {
        let next = timeout(LIMIT, views.next()).await.unwrap();
        let (_, view) = next.unwrap().unwrap();
        if view.status == Status::Live && *view.state == json!({"n": 1}) {
            break;
        }
    }
    let state = client.state(key.clone(), None, None).await.unwrap();
    assert_eq!(state.index, 1);
    client.delete(key.clone(), None).await.unwrap();
    assert!(producer.create(&new).send().await.is_err());
    let anew = producer.create(&new).reuse(true).send().await.unwrap();
    assert!(anew.created && anew.id != created.id);
}
