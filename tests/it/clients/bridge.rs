//! `ltm bridge`: what the reference publishes arrives here, in the right order.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use ltm_tests::{LIMIT, Recording, RedisServer, Stack, binary, same, until};
use serde_json::{Value, json};

/// A bridge from a Redis of its own, in which the reference would publish.
struct Bridge {
    child: Child,
    notes: mpsc::Receiver<String>,
    from: RedisServer,
}

impl Bridge {
    fn start(stack: &Stack, args: &[&str]) -> Self {
        let from = RedisServer::start(&[]);
        let mut child = Command::new(binary("ltm"))
            .env("LTM_URL", stack.api_service.http())
            .args(["--json", "bridge", "--from", &from.url()])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, notes) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let bridge = Self { child, notes, from };
        bridge.until_noted("following the channels");
        bridge
    }

    fn until_noted(&self, text: &str) {
        while !self
            .notes
            .recv_timeout(LIMIT)
            .expect("a note")
            .contains(text)
        {}
    }

    fn publish(&self, id: u64, message: &Value) {
        let kind = match message.get("snapshot") {
            Some(snapshot) => snapshot["reason"].as_str().unwrap(),
            None if message.get("error").is_some() => "error",
            None => "rollback",
        };
        let heard = self
            .from
            .cli(&["PUBLISH", &format!("ltm:{id}:{kind}"), &message.to_string()]);
        assert_eq!(heard.trim(), "1", "{kind}");
    }

    /// Ends it as an operator does; gives what it says.
    fn end(self) -> Value {
        let pid = self.child.id();
        Command::new("sh")
            .args(["-c", &format!("kill -TERM {pid}")])
            .status()
            .unwrap();
        let output = self.child.wait_with_output();
        // The rest of what it notes is of no interest.
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

async fn until_same(stack: &Stack, id: u64, recorded: &Value, errors: usize) -> Value {
    until(&format!("LTM {id} has the recorded history"), async || {
        let answer = stack.api.get(&format!("/ltm/{id}?rollbacks=true")).await;
        let count = |document: &Value, field: &str| document[field].as_array().map_or(0, Vec::len);
        if answer.status != 200 {
            return Err(answer.text);
        }
        let ours = answer.json();
        let same = count(&ours, "snapshots") == count(recorded, "snapshots")
            && count(&ours, "rollbacks") == count(recorded, "rollbacks")
            && count(&ours, "errors") == errors;
        if same { Ok(ours) } else { Err(answer.text) }
    })
    .await
}

fn timeless(snapshots: &Value) -> Value {
    let mut snapshots = snapshots.clone();
    for snapshot in snapshots.as_array_mut().unwrap() {
        snapshot.as_object_mut().unwrap().remove("time");
    }
    snapshots
}

fn recording(name: &str) -> Option<Recording> {
    let file = format!("/{name}.json");
    Recording::all()
        .into_iter()
        .find(|recording| recording.name.ends_with(&file))
}

/// What was published, in the order in which it was.
fn messages(recording: &Recording) -> Vec<Value> {
    recording.trace["websocket"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// A made history, in the words of the reference, as its in-line engine publishes it.
fn made(id: u64) -> (Vec<Value>, Value) {
    let step = |n: u64, reason: &str| {
        json!({"time": format!("2026-01-01 10:00:0{n}.5"), "reason": reason, "item": {"item_id": n.to_string(), "fqn": "root.child"},
            "patch": [{"op": "add", "path": "/n", "value": n}],
            "execute_queue": if n == 0 { json!([{"fqn": "root", "payload": {}}]) } else { json!([]) }, "transitions_queue": []})
    };
    let steps = [
        step(0, "start"),
        step(1, "execute"),
        step(2, "execute"),
        step(3, "transition"),
        step(4, "execute"),
    ];
    let message = |step: &Value| json!({"id": id, "snapshot": step});
    let error = json!({"id": id, "error": {"id": "1b792e94-5709-40ad-9301-71627ba56ead", "reason": "execute",
        "item": {}, "retries": [], "retrying": false, "success": false, "updated_at": "2026-01-01 10:00:04.6+00:00"}});
    let published = vec![
        message(&steps[1]),
        message(&steps[2]),
        message(&steps[0]),
        message(&steps[3]),
        json!({"id": id, "snapshot_index": 2}),
        message(&steps[4]),
        error,
    ];
    let kept = [
        steps[0].clone(),
        steps[1].clone(),
        steps[2].clone(),
        steps[4].clone(),
    ];
    let document = json!({"state": {"n": 4}, "snapshots": kept,
        "rollbacks": [{"reason": "manual", "state": {"n": 3}, "snapshots": steps[..4]}]});
    (published, document)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_published_late_is_put_right() {
    let stack = Stack::start();
    let bridge = Bridge::start(&stack, &[]);
    let (published, document) = made(7);
    for message in &published {
        bridge.publish(7, message);
    }
    let ours = until_same(&stack, 7, &document, 1).await;
    assert_eq!(ours["fqn"], "root");
    assert_eq!(ours["state"], document["state"]);
    assert_eq!(
        timeless(&ours["snapshots"]),
        timeless(&document["snapshots"])
    );
    assert_eq!(ours["snapshots"][1]["time"], "2026-01-01T10:00:01.500000Z");
    let taken_out = &ours["rollbacks"][0];
    assert_eq!(
        timeless(&taken_out["snapshots"]),
        timeless(&document["rollbacks"][0]["snapshots"])
    );
    let said = bridge.end();
    let expected = json!({"ltms": 1, "snapshots": 5, "rollbacks": 1, "errors": 1, "not_placed": 0, "reasons": []});
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_placed_is_said_at_the_end() {
    let stack = Stack::start();
    let bridge = Bridge::start(&stack, &["--hold", "1"]);
    let (published, _) = made(7);
    // The start of 8 was published before; that of 9 does not come in time.
    bridge.publish(8, &published[3]);
    bridge.until_noted("LTM 8 cannot be followed any more");
    bridge.publish(8, &published[5]);
    bridge.from.cli(&["PUBLISH", "ltm:7:execute", "no JSON"]);
    for message in &published[..4] {
        bridge.publish(7, message);
    }
    bridge.publish(7, &json!({"id": 7, "snapshot_index": null}));
    bridge.until_noted("LTM 7 cannot be followed any more");
    let said = bridge.end();
    assert_eq!((&said["ltms"], &said["snapshots"]), (&json!(1), &json!(4)));
    assert_eq!(said["not_placed"], 5);
    let reasons = said["reasons"].to_string();
    for reason in [
        "LTM 8 from here on",
        "LTM 7: a message that cannot be read",
        "LTM 7 from here on: a rollback was undone",
    ] {
        assert!(reasons.contains(reason), "{reasons}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_reference_at_hand_an_ltm_that_began_before_is_imported_and_goes_on() {
    // A second stack holds the document, as the reference does.
    let reference = Stack::start();
    let (published, _) = made(7);
    let steps: Vec<&Value> = [2, 0, 1].map(|n| &published[n]["snapshot"]).into();
    let body = json!({"id": 7, "fqn": "app.Root", "name": "root", "snapshot": steps[0]});
    reference.api.post("/ltm", &body).await.expect(200);
    for step in &steps[1..] {
        reference.api.append(7, (*step).clone()).await;
    }
    let stack = Stack::start();
    let url = reference.api_service.http();
    let bridge = Bridge::start(&stack, &["--hold", "0", "--flou-api", &url]);
    // Published again while it is asked for: known already.
    bridge.publish(7, &published[1]);
    bridge.until_noted("LTM 7 imported");
    for message in &published[3..] {
        bridge.publish(7, message);
    }
    let (_, document) = made(7);
    let ours = until_same(&stack, 7, &document, 1).await;
    assert_eq!(ours["fqn"], "app.Root");
    assert_eq!(ours["state"], document["state"]);
    let said = bridge.end();
    assert_eq!(said["not_placed"], 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_with_the_connection_is_asked_for() {
    let reference = Stack::start();
    let stack = Stack::start();
    let url = reference.api_service.http();
    let mut bridge = Bridge::start(&stack, &["--flou-api", &url]);
    let (published, _) = made(7);
    let step = |n: usize| &published[n]["snapshot"];
    let body = json!({"id": 7, "fqn": "app.Root", "name": "root", "snapshot": step(2)});
    reference.api.post("/ltm", &body).await.expect(200);
    for n in [0, 1, 3, 5] {
        reference.api.append(7, step(n).clone()).await;
    }
    let document = reference.api.document(7).await;
    for n in [0, 2] {
        bridge.publish(7, &published[n]);
    }
    bridge.until_noted("LTM 7 begins");
    bridge.from.kill();
    bridge.until_noted("disconnected");
    bridge.from.restart();
    bridge.until_noted("following the channels");
    // Of what follows only the last is heard.
    bridge.publish(7, &published[5]);
    let ours = until_same(&stack, 7, &document, 0).await;
    assert_eq!(
        timeless(&ours["snapshots"]),
        timeless(&document["snapshots"])
    );
    assert_eq!(bridge.end()["not_placed"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_channels_give_the_recorded_documents() {
    let stack = Stack::start();
    let reference = Stack::start();
    let url = reference.api_service.http();
    let bridge = Bridge::start(&stack, &["--flou-api", &url]);
    let mut bridged = 0;
    for name in [
        "linear",
        "rollback",
        "rollback_recover",
        "celery_rollback",
        "celery_error_retry",
        "replay_middle",
    ] {
        let Some(recording) = recording(name) else {
            continue;
        };
        let recorded = &recording.document;
        let id = recording.trace["id"].as_u64().unwrap();
        let imported = Command::new(binary("ltm"))
            .env("LTM_URL", &url)
            .args(["import", &recording.name, "--id", &id.to_string()])
            .status();
        assert!(imported.unwrap().success());
        for message in messages(&recording) {
            bridge.publish(id, &message);
        }
        let errors = recorded["errors"].as_array().map_or(0, Vec::len);
        let ours = until_same(&stack, id, recorded, errors).await;
        assert!(same(&ours["state"], &recorded["state"]), "{name}");
        assert!(
            same(
                &timeless(&ours["snapshots"]),
                &timeless(&recorded["snapshots"])
            ),
            "{name}"
        );
        for (ours, theirs) in ours["rollbacks"]
            .as_array()
            .unwrap()
            .iter()
            .zip(recorded["rollbacks"].as_array().unwrap())
        {
            assert!(
                same(
                    &timeless(&ours["snapshots"]),
                    &timeless(&theirs["snapshots"])
                ),
                "{name}"
            );
            assert!(same(&ours["state"], &theirs["state"]), "{name}");
        }
        bridged += 1;
    }
    assert!(
        bridged >= 1,
        "a recording with a socket ships with the tests"
    );
    let said = bridge.end();
    assert_eq!(said["not_placed"], 0, "{said}");
}
