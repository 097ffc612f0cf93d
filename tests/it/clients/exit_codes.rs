//! How `ltm` fails: what it says, and its exit code.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
};

use ltm_tests::{RedisServer, Stack, binary, until_blocking};
use serde_json::json;

use super::cli::{Dev, SAMPLE, complains, ltm, says};

#[test]
fn a_script_tells_by_the_exit_code_what_went_wrong() {
    let dev = Dev::start();
    says(&dev.url(), &["create", "app.Agent"]);
    for (args, code, words) in [
        (&["get", "7"][..], 3, "unknown-ltm"),
        (&["tail", "7"], 3, "there is no LTM 7"),
        (&["append", "7", "--merge", "{}"], 3, "unknown-ltm"),
        (&["play", "/nonexistent.json"], 2, "/nonexistent.json"),
        (&["append", "1"], 2, "Usage: ltm append"),
        (
            &[
                "append",
                "1",
                "--patch",
                r#"[{"op": "remove", "path": "/x"}]"#,
            ],
            4,
            "patch-failed",
        ),
        (
            &["append", "1", "--merge", "{}", "--if-match", "9-9"],
            5,
            "cursor-mismatch",
        ),
        (
            &["wait", "1", "--status", "done", "--timeout", "1ms"],
            124,
            "is not done yet",
        ),
        (
            &["verify", "1", "--redis", "redis://127.0.0.1:1/0"],
            6,
            "redis://127.0.0.1:1/0",
        ),
        (&["verify", "1", "--redis", "nowhere"], 2, "redis.url"),
        (&["import", "/dev/null"], 2, "no document"),
        (&["list", "--created-after", "yesterday"], 2, "RFC 3339"),
        (&["dev", "--listen", "nonsense"], 2, "--listen"),
        (
            &["import", SAMPLE, "/nonexistent.json"],
            1,
            "1 document failed",
        ),
    ] {
        let output = ltm(&dev.url(), args).output().unwrap();
        let said = complains(&output, code);
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let nobody = ltm("http://127.0.0.1:1", &["list"]).output().unwrap();
    assert!(complains(&nobody, 6).contains("start the services with `ltm dev`"));
    // As in `| head`, whose end nobody has to hear of.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let left = ltm(&dev.url(), &["list"]).stdout(writer).output();
    assert_eq!(complains(&left.unwrap(), 141), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_port_is_no_missing_ltm() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let (api, gateway) = (stack.api_service.http(), stack.gateway.http());
    for (url, args) in [
        (&gateway, &["list"][..]),
        (&gateway, &["get", "1"]),
        (&gateway, &["wait", "1", "--status", "done"]),
        (&api, &["tail", &id.to_string()]),
    ] {
        let said = complains(&ltm(url, args).output().unwrap(), 2);
        assert!(said.contains("not-found"), "{args:?}: {said}");
    }
}

#[test]
fn a_command_that_follows_ends_with_its_reader_although_nothing_happens() {
    let dev = Dev::start();
    says(&dev.url(), &["create", "app.Agent"]);
    for args in [&["tail", "1", "--after", "0"][..], &["list", "--watch"]] {
        let mut command = ltm(&dev.url(), args);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        drop(reader);
        let ended = until_blocking("it ends", || child.try_wait().unwrap());
        assert_eq!(ended.code(), Some(141), "{args:?}");
    }
}

#[test]
fn a_watched_list_at_a_wrong_address_fails_at_once() {
    let watch = ltm("http://127.0.0.1:1", &["list", "--watch"]).output();
    let said = complains(&watch.unwrap(), 6);
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn what_is_wrong_is_said_once_and_with_what_would_be_right() {
    let nowhere = "http://127.0.0.1:1";
    let said = |args: &[&str], code| complains(&ltm(nowhere, args).output().unwrap(), code);
    let wrong = said(&["list", "--url", "localhost:8000"], 2);
    assert!(wrong.contains("such as http://localhost:8000"), "{wrong}");
    let missing = said(&["import", "/nonexistent.json"], 1);
    assert_eq!(missing.matches("/nonexistent.json").count(), 1, "{missing}");
    // LTM_URL is set here.
    let usage = said(&["wait", "1"], 2);
    assert!(!usage.contains("--url"), "{usage}");
    assert!(usage.contains("Usage: ltm wait "), "{usage}");
    let variable = ltm("nowhere", &["list"]).output().unwrap();
    assert!(complains(&variable, 2).contains("http://nowhere"));
}

#[test]
fn a_list_that_a_filter_makes_empty_does_not_say_to_create_an_ltm() {
    let dev = Dev::start();
    let list = |args: &[&str]| complains(&ltm(&dev.url(), args).output().unwrap(), 0);
    assert!(list(&["list"]).contains("ltm create"));
    assert_eq!(list(&["list", "--status", "nope"]), "no LTM matches\n");
}

#[test]
fn a_redis_that_cannot_be_used_is_named_with_what_to_do() {
    let redis = RedisServer::start(&[]);
    let doctor = |url: &str, code| {
        let output = ltm("http://127.0.0.1:1", &["doctor", "--redis", url]).output();
        complains(&output.unwrap(), code)
    };
    let said = doctor(&redis.url_as("nobody", "secret"), 4);
    assert!(said.contains(&redis.address()), "{said}");
    assert!(said.contains("correct the user"), "{said}");
    assert!(!said.contains("secret"), "{said}");

    let stack = Stack::start();
    let said = doctor(&format!("redis://{}/0", stack.api_service.address()), 6);
    assert!(said.contains("another program answers there"), "{said}");
    let said = doctor("redis://127.0.0.1:1/0", 6);
    assert!(said.contains("start it"), "{said}");
}

#[test]
fn an_empty_redis_is_verified_and_named() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let verify = ltm("http://127.0.0.1:1", &["verify", "--all", "--redis", &url]).output();
    let said = complains(&verify.unwrap(), 0);
    assert_eq!(said, format!("0 logs verified, in database 0 of {url}\n"));
}

#[test]
fn arguments_of_the_recorder_apply_to_what_it_prints_and_probes() {
    let agui = |args: &[&str]| {
        let upstream = ["agui", "--upstream", "app.Agent=http://127.0.0.1:1"];
        let mut command = Command::new(binary("ltm"));
        command.args(upstream).args(args).output().unwrap()
    };
    let printed = agui(&["--listen", "127.0.0.1:8765", "--print-config"]);
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("127.0.0.1:8765"), "{printed}");
    assert!(
        printed.contains("app.Agent=http://127.0.0.1:1"),
        "{printed}"
    );
    // A port where nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let said = complains(&agui(&["--listen", &address, "--probe"]), 1);
    assert!(said.contains(&address), "{said}");
}

#[test]
fn settings_that_cannot_be_used_end_every_program_with_2() {
    for (args, name, value) in [
        (&["dev"][..], "LTM__API__MAX_BODY", "huge"),
        (&["dev"], "LTM__AUTH__MODE", "required"),
        (
            &["agui", "--upstream", "nonsense"],
            "LTM_URL",
            "http://127.0.0.1:1",
        ),
    ] {
        let mut command = ltm("http://127.0.0.1:1", args);
        command.env("LTM__REDIS__URL", "redis://127.0.0.1:1/0");
        complains(&command.env(name, value).output().unwrap(), 2);
    }
}

#[test]
fn a_redis_that_is_away_is_in_the_first_line_of_dev() {
    let mut command = ltm("http://127.0.0.1:1", &["dev", "--listen", "127.0.0.1:0"]);
    command.env("LTM__REDIS__URL", "redis://127.0.0.1:1/0");
    let mut dev = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut log = BufReader::new(dev.stderr.take().unwrap());
    log.read_line(&mut first).unwrap();
    dev.kill().unwrap();
    dev.wait().unwrap();
    assert!(first.contains("not ready until Redis answers"), "{first}");
    assert!(first.contains("redis://127.0.0.1:1/0"), "{first}");
}
