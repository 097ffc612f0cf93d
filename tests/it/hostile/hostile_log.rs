//! Entries with valid cursors and invalid content, as a faulty writer or a manual change leaves them. And entries of kinds
//! that a newer version writes.

use std::process::{Command, Output};

use ltm_tests::{Api, Service, Stack, Subscriber, binary, peak_bytes, until};
use ltm_types::{Cursor, Kind};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

/// A snapshot as the services write it, with this patch.
fn snapshot(patch: &Value) -> String {
    json!({"time": "2026-01-02T03:04:05.000000Z", "reason": "execute", "item": null, "patch": patch,
        "execute_queue": [], "transitions_queue": []})
    .to_string()
}

/// Appends an entry whose cursor is right, whatever it holds, as a writer beside the services would; `told`
/// says whether it is published, too.
fn forge(stack: &Stack, id: u64, kind: &str, payload: &str, told: bool) -> Cursor {
    forge_bytes(stack, id, kind, payload.as_bytes(), told)
}

fn forge_bytes(stack: &Stack, id: u64, kind: &str, payload: &[u8], told: bool) -> Cursor {
    let key = |name: &str| format!("ltm:{{{id}}}:{name}");
    let head: Cursor = stack
        .redis
        .cli(&["HGET", &key("meta"), "cursor"])
        .parse()
        .unwrap();
    let kind = Kind::from_name(kind);
    let cursor = head.next_of_bytes(kind.as_str().as_bytes(), payload);
    // A script, because its text can spell any byte.
    let bytes: String = payload.iter().map(|byte| format!("\\{byte:03}")).collect();
    let script = format!(
        "local payload = '{bytes}'
        redis.call('XADD', KEYS[1], ARGV[1], ARGV[2], payload)
        redis.call('HSET', KEYS[2], 'cursor', ARGV[1])
        if ARGV[3] == '1' then redis.call('PUBLISH', KEYS[3], ARGV[1] .. ' ' .. ARGV[2] .. ' 0 ' .. payload) end
        return 'done'"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("forge.lua");
    std::fs::write(&file, script).unwrap();
    let (log, meta, live) = (key("log"), key("meta"), key("live"));
    let (at, told) = (cursor.to_string(), if told { "1" } else { "0" });
    let said = stack.redis.cli(&[
        "--eval",
        file.to_str().unwrap(),
        &log,
        &meta,
        &live,
        ",",
        &at,
        kind.as_str(),
        told,
    ]);
    assert!(said.contains("done"), "{said}");
    cursor
}

/// What is no entry of its kind.
fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("snapshot", text("no JSON")),
        ("snapshot", text("")),
        ("snapshot", text(r#""patch""#)),
        ("snapshot", text(r#"{"reason":"execute"}"#)),
        ("snapshot", text(r#"{"patch":{"n":1}}"#)),
        ("snapshot", text(r#"{"patch":[]}}"#)),
        ("rollback", text(r#"{"rollback":[]}"#)),
        ("error", text(r#"{"id":7}"#)),
        (
            "snapshot",
            b"{\"patch\":[],\"reason\":\"\xff\xfe\"}".to_vec(),
        ),
    ]
}

/// Follows what the problem advises, and gives the copy.
async fn copy_as_advised(api: &Api, problem: &Value) -> u64 {
    let detail = problem["detail"].as_str().unwrap();
    let (_, advice) = detail.split_once("POST /api/v0").expect(detail);
    let path = advice.split(';').next().unwrap();
    let copied = api.post(path, &json!({})).await.expect(200);
    copied["copy_id"].as_u64().unwrap()
}

/// Every read and every write says that the log is damaged, and what to do.
async fn everything_is_refused(api: &Api, id: u64, at: Cursor) -> Value {
    let mut problem = Value::Null;
    for path in ["", "/snapshots", "/state", "/state?index=0"] {
        let read = api.get(&format!("/ltm/{id}{path}")).await;
        problem = read.problem(500, "damaged-log");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&at.to_string()), "{path}: {detail}");
        assert!(detail.contains(&format!("`ltm verify {id}`")), "{detail}");
    }
    for (path, body) in [
        ("snapshots", json!({"reason": "execute", "merge": {"n": 9}})),
        ("rollback", json!({"snapshot": {"index": 0}})),
        (
            "errors",
            json!({"id": "00000000-0000-4000-8000-000000000001"}),
        ),
        ("copy", json!({})),
    ] {
        let write = api.post(&format!("/ltm/{id}/{path}"), &body).await;
        write.problem(500, "damaged-log");
    }
    problem
}

/// What `ltm verify` prints about a log in which something is wrong.
fn verdict(stack: &Stack, id: u64) -> String {
    let output = verify(stack, id);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn verify(stack: &Stack, id: u64) -> Output {
    Command::new(binary("ltm"))
        .args(["verify", "--redis", &stack.redis.url(), &id.to_string()])
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_are_led_past_an_entry_that_cannot_be_read_and_stay() {
    let stack = Stack::with(&[("LTM__GATEWAY__SWEEP_INTERVAL", "200ms")]);
    for (round, (kind, payload)) in nonsense().into_iter().enumerate() {
        // Told live, or only to be found in the log.
        let told = round % 2 == 0;
        let (id, first) = stack.api.create(json!({"n": 0})).await;
        let path = format!("/ws/{id}");
        let mut live = Subscriber::connect(&stack.gateway.ws(&path)).await.unwrap();
        let wrong = forge_bytes(&stack, id, kind, &payload, told);
        let patch = json!([{"op": "replace", "path": "/n", "value": 1}]);
        let right = forge(&stack, id, "snapshot", &snapshot(&patch), told).to_string();
        let message = live.message().await;
        assert_eq!(message["cursor"], right, "{kind} {payload:?}: {message}");
        assert_eq!(message["snapshot"]["patch"], patch);
        stack.gateway.until_logged(&wrong.to_string()).await;

        // Whoever comes later, from wherever, gets the same and then what is live.
        let mut everybody = vec![live];
        for (after, begins) in [
            ("0", true),
            (first.as_str(), false),
            (&wrong.to_string(), false),
        ] {
            let url = stack.gateway.ws(&format!("{path}?after={after}&live=1"));
            let mut late = Subscriber::connect(&url).await.unwrap();
            if begins {
                assert_eq!(late.message().await["cursor"], first);
            }
            assert_eq!(late.message().await["cursor"], right, "after {after}");
            assert_eq!(late.message().await["live"], true, "after {after}");
            everybody.push(late);
        }
        let next = forge(&stack, id, "snapshot", &snapshot(&json!([])), told);
        for subscriber in &mut everybody {
            assert_eq!(subscriber.message().await["cursor"], next.to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_refuses_a_log_with_an_entry_that_cannot_be_read_and_what_was_before_can_be_copied()
{
    let stack = Stack::start();
    let fresh = Service::api(&stack.redis.url(), &[]);
    let fresh = Api::at(&fresh);
    let not_applying = snapshot(&json!([{"op": "remove", "path": "/nowhere"}]));
    let mut cases = nonsense();
    cases.push(("snapshot", not_applying.into_bytes()));
    for (kind, payload) in cases {
        let (id, _) = stack.api.create(json!({"n": 0})).await;
        let before = stack.api.append(id, json!({"merge": {"n": 1}})).await;
        let wrong = forge_bytes(&stack, id, kind, &payload, true);
        // The one holds the state before it, the other has to read it.
        for api in [&stack.api, &fresh] {
            let problem = everything_is_refused(api, id, wrong).await;
            let copy = copy_as_advised(api, &problem).await;
            let copied = api.document(copy).await;
            assert_eq!(copied["cursor"], before["cursor"], "{copied}");
            assert_eq!(copied["state"], json!({"n": 1}));
            api.append(copy, json!({"merge": {"n": 2}})).await;
        }
        let said = verdict(&stack, id);
        assert!(said.contains(&format!("at {wrong}: ")), "{said}");
    }
    // Others are served as ever.
    let (other, _) = stack.api.create(json!({})).await;
    fresh.append(other, json!({"merge": {"n": 1}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_cursor_of_an_entry_that_is_there_can_be_copied_up_to() {
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({"n": 0})).await;
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    let copy = async |until: &str| {
        let path = format!("/ltm/{id}/copy?until={until}");
        stack.api.post(&path, &json!({})).await
    };
    let copied = copy(&first).await.expect(200)["copy_id"].as_u64().unwrap();
    assert_eq!(stack.api.document(copied).await["state"], json!({"n": 0}));
    for text in ["", "0", "1", "nonsense", "1-"] {
        assert_eq!(
            copy(text).await.problem(400, "invalid-cursor")["field"],
            "until"
        );
    }
    for elsewhere in ["1-1", "2-1", "3-1", "18446744073709551615-1"] {
        copy(elsewhere).await.problem(422, "trimmed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_made_is_not_sent_and_the_reason_is_logged() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let patch = json!([{"op": "remove", "path": "/nowhere"}]);
    let wrong = forge(&stack, id, "snapshot", &snapshot(&patch), true);
    let url = stack.gateway.ws(&format!("/ws/{id}?init=state"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    assert_eq!(subscriber.close_code().await, 1011);
    stack.gateway.until_logged(&wrong.to_string()).await;
    // Only a state tells that the patch does not apply: what is in the log is sent for what it is.
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    subscriber.message().await;
    assert_eq!(subscriber.message().await["snapshot"]["patch"], patch);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_writes_is_passed_over_by_all_readers() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "2")]);
    let fresh = Service::api(&stack.redis.url(), &[]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    subscriber.message().await;
    for (n, payload) in ["{\"label\":\"x\"}", "", "no JSON", "[]"]
        .into_iter()
        .enumerate()
    {
        forge(&stack, id, "labelled", payload, n % 2 == 0);
        for api in [&stack.api, &Api::at(&fresh)] {
            let appended = api.append(id, json!({"merge": {"n": n + 1}})).await;
            assert_eq!(subscriber.message().await["cursor"], appended["cursor"]);
            let document = api.document(id).await;
            assert_eq!(document["state"]["n"], n + 1);
        }
    }
    assert_eq!(stack.api.document(id).await["snapshots_count"], 9);
    let output = verify(&stack, id);
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_adds_to_an_entry_is_passed_on_and_changes_nothing() {
    let stack = Stack::with(&[
        ("LTM__API__CHECKPOINT_EVERY", "2"),
        ("LTM__GATEWAY__SWEEP_INTERVAL", "200ms"),
    ]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    subscriber.message().await;
    for n in 1..=6 {
        let patch = json!([{"op": "replace", "path": "/n", "value": n}]);
        let payload = snapshot(&patch).replacen('{', r#"{"seal":{"by":[1]},"#, 1);
        let cursor = forge(&stack, id, "snapshot", &payload, n % 2 == 0);
        let message = subscriber.message().await;
        assert_eq!(message["cursor"], json!(cursor));
        assert_eq!(message["snapshot"]["seal"], json!({"by": [1]}));
        assert_eq!(message["snapshot"]["patch"], patch);
        assert_eq!(stack.api.document(id).await["state"]["n"], n);
    }
    let appended = stack.api.append(id, json!({"merge": {"n": 7}})).await;
    assert_eq!(subscriber.message().await["cursor"], appended["cursor"]);
    let document = stack.api.document(id).await;
    assert_eq!(document["snapshots"][6]["seal"], json!({"by": [1]}));
    let output = verify(&stack, id);
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_too_deep_for_the_stack_ends_no_process() {
    let stack = Stack::start();
    let deep = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
    let with =
        |patch: String| snapshot(&json!([])).replace("\"patch\":[]", &format!("\"patch\":{patch}"));
    let value = |levels| {
        with(format!(
            r#"[{{"op":"add","path":"/deep","value":{}}}]"#,
            deep(levels)
        ))
    };
    // The second one makes a deep state of shallow parts.
    for payloads in [
        vec![value(100_000)],
        vec![with(deep(100_000))],
        vec![
            value(500),
            with(format!(
                r#"[{{"op":"copy","from":"/deep","path":"/deep{}/-"}}]"#,
                "/0".repeat(499)
            )),
        ],
    ] {
        let (id, _) = stack.api.create(json!({"n": 0})).await;
        let mut wrong = Cursor::ORIGIN;
        for payload in &payloads {
            wrong = forge(&stack, id, "snapshot", payload, true);
        }
        everything_is_refused(&stack.api, id, wrong).await;
        let said = verdict(&stack, id);
        assert!(said.contains(&format!("at {wrong}: ")), "{said}");
    }
    stack.api.create(json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_explodes_ends_no_process_whoever_wrote_it() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"a": ["x".repeat(MIB)]})).await;
    let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
    let wrong = forge(
        &stack,
        id,
        "snapshot",
        &snapshot(&json!(vec![double; 40])),
        true,
    );
    let problem = stack.api.get(&format!("/ltm/{id}")).await;
    let problem = problem.problem(500, "damaged-log");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&wrong.to_string()), "{detail}");
    let peak = peak_bytes(stack.api_service.pid());
    assert!(peak < 1024 * MIB, "{} MiB", peak / MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_to_snapshots_that_never_were_is_refused() {
    let stack = Stack::start();
    let rollback = |count: u64, undone: Option<u64>| {
        json!({"snapshot_index": 0, "rollback": {"time": "2026-01-02T03:04:05.000000Z", "reason": "manual",
            "patch": [], "snapshots_count": count, "rollback_index": undone}})
        .to_string()
    };
    for (count, undone) in [
        (3, None),
        (u64::MAX, None),
        (2, Some(0)),
        (2, Some(u64::MAX)),
    ] {
        let (id, _) = stack.api.create(json!({"n": 0})).await;
        stack.api.append(id, json!({"merge": {"n": 1}})).await;
        let wrong = forge(&stack, id, "rollback", &rollback(count, undone), true);
        everything_is_refused(&stack.api, id, wrong).await;
        let said = verdict(&stack, id);
        assert!(said.contains(&format!("at {wrong}: ")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_log_whose_head_is_nonsense_keeps_no_other_from_being_followed() {
    let stack = Stack::with(&[("LTM__GATEWAY__SWEEP_INTERVAL", "200ms")]);
    let (broken, _) = stack.api.create(json!({})).await;
    let (other, _) = stack.api.create(json!({})).await;
    let url = |id: u64| stack.gateway.ws(&format!("/ws/{id}"));
    let _subscriber = Subscriber::connect(&url(broken)).await.unwrap();
    let mut subscriber = Subscriber::connect(&url(other)).await.unwrap();
    let meta = format!("ltm:{{{broken}}}:meta");
    stack.redis.cli(&["HSET", &meta, "cursor", "nonsense"]);
    // Nobody tells the gateway: it has to compare the logs.
    let next = forge(&stack, other, "snapshot", &snapshot(&json!([])), false);
    assert_eq!(subscriber.message().await["cursor"], next.to_string());
    stack.gateway.until_logged("its head is not a cursor").await;
    stack
        .api
        .get(&format!("/ltm/{broken}"))
        .await
        .problem(500, "damaged-log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_and_no_entry_is_not_believed() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let mut subscriber = Subscriber::connect(&stack.gateway.ws(&format!("/ws/{id}")))
        .await
        .unwrap();
    let channel = format!("ltm:0:{{{id}}}:live");
    for (n, message) in [
        "",
        "nonsense",
        "2-2 snapshot",
        "x snapshot {}",
        "2-2 snapshot {\"patch\":[]}",
        "2-2 snapshot 0 {\"patch\":[]}",
    ]
    .into_iter()
    .enumerate()
    {
        stack.redis.cli(&["PUBLISH", &channel, message]);
        let appended = stack.api.append(id, json!({"merge": {"n": n}})).await;
        assert_eq!(subscriber.message().await["cursor"], appended["cursor"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_that_no_clock_can_tell_ends_nobodys_retention() {
    let stack = Stack::with(&[("LTM__API__RETENTION_INTERVAL", "100ms")]);
    let longest =
        json!({"fqn": "a", "retention": {"max_age": "18446744073709551615s", "idle_ttl": null}});
    stack.api.post("/ltm", &longest).await.expect(200);
    let short = json!({"fqn": "a", "retention": {"idle_ttl": "1ms"}});
    for _ in 0..2 {
        let created = stack.api.post("/ltm", &short).await.expect(200);
        let id = created["id"].as_u64().unwrap();
        until("the API has deleted the idle LTM", async || {
            stack.api.get(&format!("/ltm/{id}/state")).await.status == 410
        })
        .await;
    }
}
