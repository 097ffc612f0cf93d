//! `ltm import`: recorded documents become LTMs with the same history.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use ltm_tests::{Api, Follower, Recording, Stack, Subscriber, binary, same, until};
use serde_json::{Value, json};

fn ltm(stack: &Stack, args: &[&str]) -> Command {
    let mut command = Command::new(binary("ltm"));
    command
        .env("LTM_URL", stack.api_service.http())
        .args(["--json", "import"])
        .args(args);
    command
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let read = |line| serde_json::from_str(line).unwrap();
    text.lines().map(read).collect()
}

/// Imports what a text holds.
fn imports_text(stack: &Stack, text: &str, args: &[&str]) -> Output {
    let mut command = ltm(stack, &[&["-"], args].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    child.wait_with_output().unwrap()
}

/// The same without what an import may change.
fn timeless(snapshots: &Value) -> Value {
    let mut snapshots = snapshots.clone();
    for snapshot in snapshots.as_array_mut().unwrap() {
        snapshot.as_object_mut().unwrap().remove("time");
    }
    snapshots
}

fn check_document(name: &str, ours: &Value, recorded: &Value, corrected: bool) {
    for field in ["name", "fqn", "state", "structure", "concurrent_instances"] {
        assert!(
            same(&ours[field], &recorded[field]),
            "{name}: {field} is {} and was {}",
            ours[field],
            recorded[field]
        );
    }
    let mut snapshots = timeless(&ours["snapshots"]);
    if corrected {
        let last = snapshots.as_array_mut().unwrap().pop().unwrap();
        assert_eq!(last["reason"], "import");
    }
    assert!(
        same(&snapshots, &timeless(&recorded["snapshots"])),
        "{name}"
    );
    let none = json!([]);
    let recorded_rollbacks = recorded
        .get("rollbacks")
        .unwrap_or(&none)
        .as_array()
        .unwrap();
    let rollbacks = ours["rollbacks"].as_array().unwrap();
    assert_eq!(rollbacks.len(), recorded_rollbacks.len(), "{name}");
    for (ours, recorded) in rollbacks.iter().zip(recorded_rollbacks) {
        assert_eq!(ours["reason"], recorded["reason"], "{name}");
        assert!(same(&ours["state"], &recorded["state"]), "{name}");
        let (ours, recorded) = (
            timeless(&ours["snapshots"]),
            timeless(&recorded["snapshots"]),
        );
        assert!(same(&ours, &recorded), "{name}");
    }
    let errors = recorded.get("errors").unwrap_or(&none).as_array().unwrap();
    assert_eq!(
        ours["errors"].as_array().unwrap().len(),
        errors.len(),
        "{name}"
    );
    for error in errors {
        let ours = ours["errors"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["id"] == error["id"]);
        for field in ["reason", "item", "retries", "retrying", "success"] {
            assert!(
                same(&ours.unwrap()[field], &error[field]),
                "{name}: {field}"
            );
        }
    }
}

/// What a subscriber must hold, kept beside it as plain lists of states.
#[derive(Default)]
struct Shadow {
    current: Vec<Value>,
    taken_out: Vec<Vec<Value>>,
}

impl Shadow {
    fn check(&mut self, follower: &Follower, message: &Value) {
        if message.get("snapshot").is_some() {
            self.current.push(follower.state.clone());
        }
        let Some(rollback) = message.get("rollback") else {
            return;
        };
        let to = match message["snapshot_index"].as_i64() {
            Some(index) => self.current[..usize::try_from(index + 1).unwrap()].to_vec(),
            None => {
                let undone = rollback["rollback_index"].as_u64().unwrap();
                self.taken_out[usize::try_from(undone).unwrap()].clone()
            }
        };
        let nothing = json!({});
        let then = to.last().unwrap_or(&nothing);
        assert!(same(&follower.state, then), "{message}");
        self.taken_out
            .push(std::mem::replace(&mut self.current, to));
    }
}

/// Follows an LTM as soon as it is there, until it is at `end` and its state as given.
async fn follow(stack: &Stack, id: u64, entries: u64) -> Follower {
    until(&format!("LTM {id} exists"), async || {
        stack.api.get(&format!("/ltm/{id}/state")).await.status == 200
    })
    .await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let (mut follower, mut shadow) = (Follower::default(), Shadow::default());
    while follower.cursor.seq < entries {
        let message = subscriber.message().await;
        follower.take(&message);
        shadow.check(&follower, &message);
    }
    follower
}

async fn document(api: &Api, id: u64) -> Value {
    api.get(&format!("/ltm/{id}?rollbacks=true"))
        .await
        .expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_document_is_the_same_once_imported_and_followed() {
    let stack = Stack::start();
    let mut with_rollbacks = 0;
    for (id, recording) in (1001..).zip(Recording::all()) {
        let (name, recorded) = (recording.name.as_str(), &recording.document);
        let count = |field: &str| recorded[field].as_array().map_or(0, Vec::len) as u64;
        with_rollbacks += u64::from(count("rollbacks") > 0);
        let mut command = ltm(&stack, &[name, "--id", &id.to_string()]);
        let import = tokio::task::spawn_blocking(move || command.output().unwrap());
        let entries = count("snapshots") + count("errors");
        let (output, _) = tokio::join!(import, follow(&stack, id, entries.min(1)));
        let output = output.unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let said = &lines(&output)[0];
        assert_eq!(said["id"], id, "{name}");
        assert_eq!(said["without_patch"], json!([]), "{name}");
        let corrected = recording.trace["recreated_equals_state"] == false;
        assert_eq!(said["corrected"], corrected, "{name}");
        let ours = document(&stack.api, id).await;
        check_document(name, &ours, recorded, corrected);
        let follower = follow(&stack, id, said["entries"].as_u64().unwrap()).await;
        assert!(same(&follower.state, &recorded["state"]), "{name}");
        assert_eq!(follower.cursor.to_string(), ours["cursor"], "{name}");
    }
    assert!(
        with_rollbacks >= 2,
        "recordings with rollbacks ship with the tests"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_times_are_kept_and_what_is_there_is_left_alone() {
    let stack = Stack::start();
    let steps: Vec<Value> = (0..5)
        .map(|n| json!({"time": format!("2026-01-0{} 10:00:00.5", n + 1), "reason": if n == 0 { "start" } else { "execute" },
            "item": null, "patch": [{"op": "add", "path": "/n", "value": n}],
            "execute_queue": [{"n": n}], "transitions_queue": []}))
        .collect();
    let document_of = |id: u64, snapshots: &[Value], state: Value| {
        json!({"id": id, "name": "b", "fqn": "a.B", "state": state, "snapshots": snapshots, "structure": {"name": "b", "fqn": "b"},
            "errors": [], "playground": true})
    };
    let part = document_of(77, &steps[..3], json!({"n": 2}));
    let whole = document_of(77, &steps, json!({"n": 4}));
    let other = document_of(78, &steps, json!({"n": 4}));
    // A list, and one after the other.
    let text = format!("[{part}]\n{other}");
    let output = imports_text(&stack, &text, &[]);
    assert!(output.status.success(), "{output:?}");
    let ids: Vec<_> = lines(&output)
        .iter()
        .map(|line| line["id"].clone())
        .collect();
    assert_eq!(ids, [77, 78]);
    // Broken off after three entries, it goes on there.
    for before in [3, 5] {
        let output = imports_text(&stack, &whole.to_string(), &[]);
        assert_eq!(lines(&output)[0]["before"], before, "{output:?}");
    }
    let ours = document(&stack.api, 77).await;
    assert_eq!(timeless(&ours["snapshots"]), timeless(&whole["snapshots"]));
    assert_eq!(ours["snapshots"][4]["time"], "2026-01-05T10:00:00.500000Z");
    let listed = stack.api.get("/ltm?playground=true").await.expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    // New ids are above those that were chosen.
    assert_eq!(stack.api.create(json!({})).await.0, 79);

    // Another LTM with the same id, and one that is not a document, are refused; the rest goes on.
    let mut another = document_of(77, &steps, json!({"n": 4}));
    another["fqn"] = "c.D".into();
    let last = document_of(90, &steps[..1], json!({"n": 0}));
    let output = imports_text(&stack, &format!("{another} {{\"fqn\": 1}} {last}"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output)[0]["id"], 90);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(
        complaint.contains("LTM 77 already exists and has a different history: a.B"),
        "{complaint}"
    );
    assert!(
        complaint.contains("not a document of an LTM"),
        "{complaint}"
    );
    assert!(
        complaint.contains("imported 1 document; 2 documents failed"),
        "{complaint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ltm_of_the_same_class_and_name_with_another_history_is_left_alone() {
    let stack = Stack::start();
    let step = |n: u64, reason: &str| {
        json!({"time": format!("2026-01-01 10:00:0{n}"), "reason": reason, "item": null,
            "patch": [{"op": "add", "path": "/n", "value": n}], "execute_queue": [], "transitions_queue": []})
    };
    let steps = [step(0, "start"), step(1, "execute"), step(2, "execute")];
    let document_text =
        json!({"id": 77, "name": "b", "fqn": "a.B", "state": {"n": 2}, "snapshots": steps})
            .to_string();
    // An engine has begun an LTM of its own under this id.
    let body = json!({"id": 77, "fqn": "a.B", "name": "b", "state": {"n": 0}});
    let cursor = stack.api.post("/ltm", &body).await.expect(200)["cursor"].clone();
    let output = imports_text(&stack, &document_text, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("LTM 77 already exists and has a different history"));
    assert_eq!(document(&stack.api, 77).await["cursor"], cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_does_not_stop_the_others() {
    let stack = Stack::start();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let text = |id: u64| {
        json!({"id": id, "fqn": "a.B", "state": {}, "snapshots": [{"reason": "start", "patch": []}]})
            .to_string()
    };
    std::fs::write(path("broken"), format!("[{}, {{", text(7))).unwrap();
    std::fs::write(path("whole"), text(8)).unwrap();
    let files = [path("nowhere"), path("broken"), path("whole")];
    let output = ltm(&stack, &[&files[0], &files[1], &files[2]])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let ids: Vec<_> = lines(&output)
        .iter()
        .map(|line| line["id"].clone())
        .collect();
    assert_eq!(ids, [7, 8]);
    // One id is not for two documents.
    let two = format!("{} {}", text(1), text(2));
    let output = imports_text(&stack, &two, &["--id", "9"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(lines(&output).len(), 1, "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_does_not_apply_loses_nothing_but_itself() {
    let stack = Stack::start();
    let step = |reason: &str, patch: Value| {
        json!({"time": "2026-01-01 10:00:00", "reason": reason, "item": {"of": reason}, "patch": patch,
            "execute_queue": [], "transitions_queue": []})
    };
    let snapshots = [
        step(
            "start",
            json!([{"op": "add", "path": "/list", "value": []}]),
        ),
        step(
            "stale",
            json!([{"op": "replace", "path": "/list/3", "value": 1}]),
        ),
        step(
            "execute",
            json!([{"op": "add", "path": "/list/0", "value": 2}]),
        ),
    ];
    let document_text =
        json!({"fqn": "a.B", "state": {"list": [2, 7]}, "snapshots": snapshots}).to_string();
    let output = imports_text(&stack, &document_text, &[]);
    assert!(output.status.success(), "{output:?}");
    let said = &lines(&output)[0];
    assert_eq!(said["without_patch"], json!([1]));
    assert_eq!(said["corrected"], true);
    let ours = document(&stack.api, said["id"].as_u64().unwrap()).await;
    assert_eq!(ours["state"], json!({"list": [2, 7]}));
    assert_eq!(ours["snapshots"][1]["item"], json!({"of": "stale"}));
    assert_eq!(ours["snapshots"][1]["patch"], json!([]));
    assert_eq!(ours["snapshots"].as_array().unwrap().len(), 4);
    let empty = imports_text(
        &stack,
        r#"{"fqn":"a.B","state":{"n":1},"snapshots":[]}"#,
        &[],
    );
    assert_eq!(empty.status.code(), Some(1));
}
