//! `ltm list` with filters, and `--watch`.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use ltm_tests::{Api, Stack, binary};
use serde_json::{Value, json};

async fn create(api: &Api, name: &str, status: &str) -> u64 {
    let body = json!({"fqn": "app.Agent", "name": name, "state": {"_status": status}});
    let created = api.post("/ltm", &body).await.expect(200);
    created["id"].as_u64().unwrap()
}

fn command(stack: &Stack, args: &[&str]) -> Command {
    let mut command = Command::new(binary("ltm"));
    command.env("LTM_URL", stack.api_service.http());
    command.args(["--json", "list"]).args(args);
    command
}

/// The ids that `ltm list` prints.
fn listed(stack: &Stack, args: &[&str]) -> Vec<u64> {
    let Output { stdout, status, .. } = command(stack, args).output().unwrap();
    assert!(status.success(), "{args:?}");
    let rows = stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let id = |row: &[u8]| {
        serde_json::from_slice::<Value>(row).unwrap()["id"]
            .as_u64()
            .unwrap()
    };
    rows.map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_has_the_filters_of_the_api() {
    let stack = Stack::start();
    let failed = create(&stack.api, "Harbours of Lisbon", "error").await;
    let active = create(&stack.api, "Lights", "active").await;
    for (args, expected) in [
        (&["--status", "error"][..], vec![failed]),
        (&["--status", "error,active"], vec![active, failed]),
        (&["--fqn", "app.*", "--name", "lis har"], vec![failed]),
        (&["--has-errors"], vec![]),
        (&["--has-errors=false"], vec![active, failed]),
        (
            &["--created-after", "2020-01-01T00:00:00Z"],
            vec![active, failed],
        ),
        (&["--created-before", "2020-01-01T00:00:00Z"], vec![]),
        (
            &["--updated-after", "2020-01-01T00:00:00Z", "--limit", "1"],
            vec![active],
        ),
        (&["--updated-before", "2020-01-01T00:00:00Z"], vec![]),
    ] {
        assert_eq!(listed(&stack, args), expected, "{args:?}");
    }
    let refused = command(&stack, &["--created-after", "noon"])
        .output()
        .unwrap();
    let says = String::from_utf8(refused.stderr).unwrap();
    assert!(
        says.contains("--created-after") && says.contains("RFC 3339"),
        "{says}"
    );
}

/// `ltm list --watch`. It is killed at the end.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_list_prints_each_row_that_comes_changes_and_leaves() {
    let stack = Stack::start();
    let id = create(&stack.api, "a", "error").await;
    let mut watch = Watch::start(command(&stack, &["--watch", "--status", "error"]));
    assert_eq!(watch.next()["id"], id);
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    assert_eq!(watch.next()["snapshots_count"], 2);
    stack
        .api
        .append(id, json!({"merge": {"_status": "active"}}))
        .await;
    assert_eq!(watch.next(), json!({"id": id, "removed": true}));
    let other = create(&stack.api, "b", "error").await;
    assert_eq!(watch.next()["id"], other);
}
