//! AG-UI: runs of other agents that were recorded, as pages see them.

use ltm_tests::{Api, Event, Events, Stack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::agui::{open, rest, types};

/// Writes what `ltm agui` records of an event.
async fn record(api: &Api, id: u64, item: Value, patch: Value) {
    let snapshot = json!({"reason": "agui", "item": item, "patch": patch});
    api.append(id, snapshot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_run_is_replayed_and_a_page_that_comes_in_the_middle_gets_what_is_open() {
    let stack = Stack::start();
    let (api, run) = (&stack.api, json!({"threadId": "t1", "runId": "r1"}));
    let (id, first) = api
        .create(json!({"_status": "active", "_run": {}, "_messages": []}))
        .await;
    let question = json!({"id": "q", "role": "user", "content": "?"});
    let started = json!({"type": "RUN_STARTED", "threadId": "t1", "runId": "r1", "input": {"messages": [question]}});
    let patch = json!([
        {"op": "replace", "path": "/_run", "value": run},
        {"op": "add", "path": "/_messages/-", "value": question},
    ]);
    record(api, id, started, patch).await;
    let plan = json!([{"op": "add", "path": "/plan", "value": 1}]);
    record(api, id, json!({"type": "STATE_SNAPSHOT"}), plan).await;
    let start = json!({"type": "TEXT_MESSAGE_START", "messageId": "a", "role": "assistant"});
    let open_one = json!({"id": "a", "role": "assistant", "content": {"chunks": []}});
    let patch = json!([{"op": "add", "path": "/_messages/-", "value": open_one}]);
    record(api, id, start, patch).await;
    let content = |text: &str| json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "a", "delta": text, "rawEvent": {"huge": 1}});
    let chunk =
        |text: &str| json!([{"op": "add", "path": "/_messages/1/content/chunks/-", "value": text}]);
    record(api, id, content("It"), chunk("It")).await;

    let mut page = open(&stack.gateway, &id.to_string()).await;
    let mut got = Vec::new();
    for _ in 0..5 {
        got.push(page.next().await.unwrap());
    }
    let attached = [
        "RUN_STARTED",
        "MESSAGES_SNAPSHOT",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "STATE_SNAPSHOT",
    ];
    assert_eq!(types(&got), attached);
    assert_eq!(got[1].json()["messages"], json!([question]));
    assert_eq!(got[3].json()["delta"], "It");
    assert_eq!(
        got[4].json()["snapshot"],
        json!({"plan": 1}),
        "without the recording's members"
    );
    // A page that is cut before the last event has no cursor, and gets all of it again.
    let cursors: Vec<bool> = got.iter().map(|event| !event.id.is_empty()).collect();
    assert_eq!(cursors, [false, false, false, false, true]);
    let cursor = got[4].id.clone();

    record(api, id, content(" is."), chunk(" is.")).await;
    let more = page.next().await.unwrap();
    assert_eq!(
        more.json()["rawEvent"],
        json!({"ltm-live": {"cursor": more.id}})
    );
    // It does not end: the gateway ends what is open before the run.
    let end = json!({"type": "RUN_FINISHED", "threadId": "t1", "runId": "r1", "outcome": {"type": "success"}});
    let finished = json!([
        {"op": "add", "path": "/_run/outcome", "value": {"type": "success"}},
        {"op": "replace", "path": "/_status", "value": "finished"},
    ]);
    record(api, id, end, finished).await;
    let end = rest(&mut page).await;
    assert_eq!(types(&end), ["TEXT_MESSAGE_END", "RUN_FINISHED"]);
    assert_eq!(end[1].json()["runId"], "r", "the page knows its own run");

    let whole = rest(&mut open(&stack.gateway, &format!("{id}?after={first}")).await).await;
    let replay = [
        "RUN_STARTED",
        "STATE_DELTA",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ];
    assert_eq!(types(&whole), replay);
    assert_eq!(whole[0].json()["input"]["messages"], json!([question]));
    // Whoever resumes in a message has it opened again.
    let resumed = rest(&mut open(&stack.gateway, &format!("{id}?after={cursor}")).await).await;
    let expected = [
        "RUN_STARTED",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ];
    assert_eq!(types(&resumed), expected);
    assert_eq!(resumed[2].json()["delta"], " is.");
}

/// The status of the answer to a browser that has read the answer to its end, and reconnects by itself.
async fn again(stack: &Stack, id: u64) -> (Vec<Event>, StatusCode) {
    let url = format!("{}/agui/{id}", stack.gateway.http());
    let read = rest(&mut Events::open(Events::ask(&url, None)).await).await;
    let last = read.iter().rev().find(|event| !event.id.is_empty());
    let answer = Events::ask(&url, last.map(|event| &*event.id)).send();
    (read, answer.await.unwrap().status())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_has_the_end_of_a_recorded_run_does_not_come_again() {
    let stack = Stack::start();
    let api = &stack.api;
    for (r#type, status) in [("RUN_FINISHED", "finished"), ("RUN_ERROR", "error")] {
        let state = json!({"_status": "active", "_run": {}, "_messages": []});
        let (id, first) = api.create(state).await;
        let url = format!("{}/agui/{id}?after={first}", stack.gateway.http());
        let item = json!({"type": r#type, "message": "no", "code": "broken", "result": [1], "outcome": {"type": "success"}});
        let patch = json!([{"op": "replace", "path": "/_status", "value": status}]);
        record(api, id, item, patch).await;
        let read = rest(&mut Events::open(Events::ask(&url, None)).await).await;
        assert_eq!(types(&read), ["RUN_STARTED", r#type]);
        let (end, cursor) = (read[1].json(), &read[1].id);
        assert_eq!(end["metadata"]["ltm-live"]["cursor"], **cursor);
        if status == "finished" {
            assert_eq!(
                (&end["result"], &end["outcome"]["type"]),
                (&json!([1]), &json!("success"))
            );
        } else {
            assert_eq!(
                (&end["message"], &end["code"]),
                (&json!("no"), &json!("broken"))
            );
            // The recorder writes it after the event.
            let error = json!({"id": "00000000-0000-4000-8000-000000000001", "reason": "agui"});
            let path = format!("/ltm/{id}/errors");
            api.post(&path, &error).await.expect(200);
        }
        let answer = Events::ask(&url, Some(cursor)).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{type}");
        let (read, answer) = again(&stack, id).await;
        assert_eq!(
            (types(&read)[3].as_str(), answer),
            (r#type, StatusCode::NO_CONTENT)
        );
        // Another run is news.
        let patch = json!([{"op": "replace", "path": "/_status", "value": "active"}]);
        record(api, id, json!({"type": "RUN_STARTED", "runId": "2"}), patch).await;
        let answer = Events::ask(&url, Some(cursor)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{type}");
        let request = api.request(Method::DELETE, &format!("/ltm/{id}"));
        api.send(request).await.expect(200);
        assert_eq!(again(&stack, id).await.1, StatusCode::NO_CONTENT, "{type}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_gets_of_a_subagent_names_the_subagent() {
    let stack = Stack::start();
    let (api, owner) = (&stack.api, "a");
    let text = json!({"id": "m", "role": "assistant", "content": {"chunks": ["It"]}, "subagentRunId": owner});
    let state = json!({"_status": "active", "_run": {}, "_messages": [text]});
    let (id, _) = api.create(state).await;
    let mut page = open(&stack.gateway, &id.to_string()).await;
    let mut read = Vec::new();
    for _ in 0..5 {
        read.push(page.next().await.unwrap());
    }
    let of_subagent = |r#type: &str, id: &str, name: &str| json!({"type": r#type, id: name, "subagentRunId": owner});
    let started = json!({"type": "SUBAGENT_STARTED", "subagentRunId": "b", "name": "b", "parentSubagentRunId": owner});
    for item in [
        of_subagent("STEP_FINISHED", "stepName", "tools"),
        started.clone(),
        of_subagent("SUBAGENT_ERROR", "message", "failed"),
    ] {
        record(api, id, item, json!([])).await;
    }
    let finished = json!([{"op": "replace", "path": "/_status", "value": "finished"}]);
    record(api, id, json!({"type": "RUN_FINISHED"}), finished).await;
    read.extend(rest(&mut page).await);
    let read: Vec<Value> = read.iter().map(Event::json).collect();
    let of = |event: &Value| (event["type"].clone(), event["subagentRunId"].clone());
    let expected = [
        ("RUN_STARTED", None),
        ("MESSAGES_SNAPSHOT", None),
        ("TEXT_MESSAGE_START", Some("a")),
        ("TEXT_MESSAGE_CONTENT", Some("a")),
        ("STATE_SNAPSHOT", None),
        ("STEP_STARTED", Some("a")),
        ("STEP_FINISHED", Some("a")),
        ("SUBAGENT_STARTED", Some("b")),
        ("SUBAGENT_STARTED", Some("a")),
        ("SUBAGENT_ERROR", Some("a")),
        ("SUBAGENT_FINISHED", Some("b")),
        ("TEXT_MESSAGE_END", Some("a")),
        ("RUN_FINISHED", None),
    ];
    let expected = expected.map(|(r#type, owner)| (json!(r#type), json!(owner)));
    assert_eq!(read.iter().map(of).collect::<Vec<_>>(), expected);
    // The page knows no such parent.
    assert_eq!(read[7].get("parentSubagentRunId"), None);
}
