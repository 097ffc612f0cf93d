//! `ltm verify` checks logs, and finds what is wrong with them.

use std::process::{Command, Output};

use ltm_tests::{Stack, binary};
use serde_json::json;

fn verify(stack: &Stack, args: &[&str]) -> Output {
    let command = Command::new(binary("ltm"))
        .args(["verify", "--redis", &stack.redis.url()])
        .args(args)
        .output();
    command.unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// An LTM with snapshots, a rollback, an error, and, where `trims`, less than all that.
async fn busy(stack: &Stack, trims: bool) -> u64 {
    let retention = json!({"max_entries": trims.then_some(10)});
    let body = json!({"fqn": "tests.Ltm", "state": {"n": 0}, "retention": retention});
    let created = stack.api.post("/ltm", &body).await.expect(200);
    let id = created["id"].as_u64().unwrap();
    for n in 1..=30 {
        stack.api.append(id, json!({"merge": {"n": n}})).await;
        if n % 10 == 0 {
            let path = format!("/ltm/{id}");
            let back = json!({"snapshot": {"index": n - 6}});
            stack
                .api
                .post(&format!("{path}/rollback"), &back)
                .await
                .expect(200);
            let error = json!({"id": "00000000-0000-4000-8000-000000000001"});
            stack
                .api
                .post(&format!("{path}/errors"), &error)
                .await
                .expect(200);
        }
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_as_the_services_write_it_is_proved() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "7")]);
    let (all, some) = (busy(&stack, false).await, busy(&stack, true).await);
    let output = verify(&stack, &["--all"]);
    assert!(output.status.success(), "{output:?}");
    let text = printed(&output);
    assert!(
        text.contains(&format!("LTM {all}: 37 entries verified, ")),
        "{text}"
    );
    assert!(text.contains(&format!("LTM {some}: ")), "{text}");
    let output = verify(&stack, &["99"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no LTM 99"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_log_is_said() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "7")]);
    let id = busy(&stack, false).await;
    let key = |name: &str| format!("ltm:{{{id}}}:{name}");
    let redis = |args: &[&str]| stack.redis.cli(args).trim().to_owned();
    for name in ["log", "meta", "checkpoint"] {
        redis(&["COPY", &key(name), &format!("kept:{name}")]);
    }
    let entries = redis(&["XRANGE", &key("log"), "-", "+"]);
    let fifth = entries.lines().find(|line| line.starts_with("5-")).unwrap();
    let checkpoint = redis(&["HGET", &key("checkpoint"), "cursor"]);
    let seq = checkpoint.split('-').next().unwrap();
    let other_cursor = format!("{seq}-1");
    let other_text = r#"{"n":99}"#;
    for (damage, fault) in [
        (
            vec!["HSET", &key("meta"), "snapshots_count", "3"],
            "meta says 3 snapshots",
        ),
        (
            vec!["HSET", &key("meta"), "cursor", "36-1"],
            "the entry after 35-",
        ),
        (
            vec!["XDEL", &key("log"), fifth],
            "the entry does not continue the one before it",
        ),
        (
            vec!["HSET", &key("checkpoint"), "state", other_text],
            "the state of the checkpoint at ",
        ),
        (
            vec!["HSET", &key("checkpoint"), "cursor", &other_cursor],
            "belongs to another history",
        ),
        (
            vec!["HSET", &key("checkpoint"), "state", "[]"],
            "its state is not a JSON object",
        ),
        (
            vec!["XADD", &key("log"), "99-1", "snapshot", "{}"],
            "the services did not write the entry 99-1",
        ),
        (vec!["DEL", &key("log")], "the entry after 0-0 is missing"),
    ] {
        redis(&damage);
        let output = verify(&stack, &[&id.to_string()]);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{damage:?} {text}");
        assert!(text.contains(fault), "{damage:?}: {text}");
        for name in ["log", "meta", "checkpoint"] {
            redis(&["COPY", &format!("kept:{name}"), &key(name), "REPLACE"]);
        }
    }
    assert!(verify(&stack, &[&id.to_string()]).status.success());
}
