//! What a recorded run leaves, whoever watches it.

use futures_util::future::join_all;
use ltm_tests::{RawConnection, Service, until};
use serde_json::{Value, json};

use super::recorder::{AGENT, Recorded, input, path};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_recorded_to_its_end_after_its_page_has_left() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t1", "r1");
    let mut run = recorded.agent.asked().await;
    assert_eq!(
        (&run.input["threadId"], &run.input["runId"]),
        (&json!("t1"), &json!("r1"))
    );
    run.begin().await;
    let state = json!({"type": "STATE_SNAPSHOT", "snapshot": {"todo": ["plan"]}});
    run.event(&state).await;
    // The page asked in a task that is gone by now, or soon.
    run.say("m1", &["By ", "the ", "sea"]).await;
    let delta = json!([{"op": "add", "path": "/todo/-", "value": "sail"}]);
    run.event(&json!({"type": "STATE_DELTA", "delta": delta}))
        .await;
    run.event(&json!({"type": "RAW", "event": {"much": "text"}}))
        .await;
    run.finish().await;
    let state = recorded.until_status("t1", "finished").await;
    let messages = json!([
        {"id": "r1-question", "role": "user", "content": "Which way?"},
        {"id": "m1", "role": "assistant", "content": "By the sea"},
    ]);
    assert_eq!(state["_messages"], messages);
    assert_eq!(state["todo"], json!(["plan", "sail"]));
    assert_eq!(state["_run"]["runId"], "r1");
    assert!(recorded.items("t1", "RAW").await.is_empty());
    assert_eq!(recorded.items("t1", "RUN_FINISHED").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_goes_on_with_the_next_run() {
    let mut recorded = Recorded::start(&[]).await;
    for run in ["r1", "r2"] {
        recorded.run("t", run);
        let mut asked = recorded.agent.asked().await;
        asked.begin().await;
        asked.say(&format!("{run}-answer"), &["yes"]).await;
        asked.finish().await;
        until("the run has ended", async || {
            let state = recorded.state("t").await;
            state["_status"] == "finished" && state["_run"]["runId"] == run
        })
        .await;
    }
    let state = recorded.state("t").await;
    let ids: Vec<&str> = state["_messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        ["r1-question", "r1-answer", "r2-question", "r2-answer"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_asks_again_for_the_last_run_gets_it_and_runs_nothing() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r1");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    run.finish().await;
    recorded.until_status("t", "finished").await;
    let path = format!("/agui/{AGENT}/t");
    let again = recorded.post(&path, &input("t", "r1")).await;
    let text = again.text().await.unwrap();
    assert!(
        text.contains("MESSAGES_SNAPSHOT") && text.contains("RUN_FINISHED"),
        "{text}"
    );
    assert!(!recorded.agent.is_asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_of_a_running_thread_does_not_ask_the_agent_again() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r1");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    let mut pages = Vec::new();
    for number in 2..6 {
        let second = input("t", &format!("r{number}"));
        // Its answer begins when it is attached to the run.
        pages.push(recorded.post(&format!("/agui/{AGENT}/t"), &second).await);
    }
    assert!(!recorded.agent.is_asked());
    run.finish().await;
    let state = recorded.until_status("t", "finished").await;
    assert_eq!(state["_run"]["runId"], "r1");
    assert_eq!(recorded.items("t", "RUN_STARTED").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_ends_at_the_agent_and_in_the_log() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r1");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    run.begin_message("m").await;
    until("the message is there", async || {
        recorded.state("t").await["_messages"][1]["id"] == "m"
    })
    .await;
    let stopped = recorded
        .post(&format!("/agui/{AGENT}/t/stop"), &json!({}))
        .await;
    assert_eq!(
        stopped.json::<Value>().await.unwrap(),
        json!({"stopped": true})
    );
    run.left().await;
    let state = recorded.until_status("t", "finished").await;
    assert_eq!(
        state["_messages"][1]["content"], "",
        "what was open is closed"
    );
    let finished = recorded.items("t", "RUN_FINISHED").await;
    assert_eq!(finished[0]["result"], json!({"cancelled": true}));
    let again = recorded
        .post(&format!("/agui/agent/{AGENT}/stop/t"), &json!({}))
        .await;
    assert_eq!(
        again.json::<Value>().await.unwrap(),
        json!({"stopped": false})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_whose_run_never_began_does_not_look_as_if_it_ran() {
    let recorded = Recorded::start(&[]).await;
    let stopped = recorded
        .post(&format!("/agui/{AGENT}/t/stop"), &json!({}))
        .await;
    assert_eq!(stopped.status(), 200);
    assert_eq!(
        stopped.json::<Value>().await.unwrap(),
        json!({"stopped": false})
    );
    assert_eq!(recorded.api.get(&path("t")).await.status, 404);
    let mut no_run = input("t", "r");
    no_run["runId"] = Value::Null;
    let refused = recorded.post(&format!("/agui/{AGENT}/t"), &no_run).await;
    assert_eq!(refused.status(), 422);
    assert_eq!(recorded.api.get(&path("t")).await.status, 404);
    let url = format!("{}/agui/{AGENT}/t/events", recorded.recorder.http());
    let refused = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/x-ndjson")
        .body("{}");
    assert_eq!(refused.send().await.unwrap().status(), 422);
    assert_eq!(recorded.state("t").await["_status"], "finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_can_be_run_at_the_addresses_that_copilotkit_calls() {
    let mut recorded = Recorded::start(&[]).await;
    let url = format!("{}/agui/info", recorded.recorder.http());
    let info: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(info["agents"]["default"]["name"], "default");
    let single = json!({"method": "info"});
    let same: Value = recorded.post("/agui", &single).await.json().await.unwrap();
    assert_eq!(same, info);
    let run = format!("/agui/agent/{AGENT}/run");
    let single =
        json!({"method": "agent/run", "params": {"agentId": AGENT}, "body": input("b", "r")});
    for (path, body, thread) in [
        (run.as_str(), &input("a", "r"), "a"),
        ("/agui", &single, "b"),
        (&format!("/agui/{AGENT}"), &input("c", "r"), "c"),
    ] {
        recorded.call(path, body);
        let mut run = recorded.agent.asked().await;
        assert_eq!(run.input["threadId"], thread);
        run.begin().await;
        run.finish().await;
        recorded.until_status(thread, "finished").await;
    }
    let wrong = recorded
        .post("/agui", &json!({"method": "agent/fly"}))
        .await;
    assert_eq!(wrong.status(), 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_somebody_has_can_be_recorded() {
    let recorded = Recorded::start(&[]).await;
    let events =
        |thread: &str| format!("{}/agui/{AGENT}/{thread}/events", recorded.recorder.http());
    let send = async |thread: &str, kind: &str, body: String| {
        let request = reqwest::Client::new()
            .post(events(thread))
            .header("content-type", kind);
        request.body(body).send().await.unwrap()
    };
    let first = [
        json!({"type": "RUN_STARTED", "threadId": "t", "runId": "r"}),
        json!({"type": "TEXT_MESSAGE_CHUNK", "messageId": "m", "delta": "By "}),
    ];
    let lines: String = first.iter().map(|it| format!("{it}\n")).collect();
    let answer: Value = send("t", "application/x-ndjson", lines)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&answer["events"], &answer["running"]),
        (&json!(2), &json!(true))
    );
    // The caller may go on in another request.
    let rest = [
        json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "sea"}),
        json!({"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}),
    ];
    let rest: String = rest.iter().map(|it| format!("data: {it}\n\n")).collect();
    let answer: Value = send("t", "text/event-stream", rest)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&answer["events"], &answer["running"]),
        (&json!(2), &json!(false))
    );
    let state = recorded.state("t").await;
    assert_eq!(
        state["_messages"],
        json!([{"id": "m", "role": "assistant", "content": "By sea"}])
    );
    assert_eq!(state["_status"], "finished");
    let document = recorded.api.get(&path("t")).await.expect(200);
    assert_eq!(document["cursor"], answer["cursor"]);

    let wrong = format!("{}\n{{\"type\": \"TEXT_MESSAGE_END\"}}\n", first[0]);
    for (kind, body, status, detail) in [
        (
            "application/json",
            "{}".to_owned(),
            415,
            "text/event-stream",
        ),
        (
            "application/x-ndjson",
            wrong,
            422,
            "1 events before it are recorded",
        ),
        (
            "application/x-ndjson",
            "{\"type\": \"RUN_FINISHED\"}".into(),
            422,
            "RUN_STARTED",
        ),
    ] {
        let thread = format!("wrong-{status}-{}", detail.len());
        let answer = send(&thread, kind, body).await;
        assert_eq!(answer.status(), status);
        let problem = answer.text().await.unwrap();
        assert!(problem.contains(detail), "{problem}");
    }
}

/// Sends the end of a run and another run: in one piece, or the second one after the first is in the log.
async fn two_runs(recorded: &mut Recorded, thread: &str, at_once: bool) {
    recorded.run(thread, "r1");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    let finished = |run: &str| json!({"type": "RUN_FINISHED", "threadId": thread, "runId": run});
    let between = json!({"type": "CUSTOM", "name": "between"});
    let started = json!({"type": "RUN_STARTED", "threadId": thread, "runId": "r2"});
    let first = [finished("r1"), between, started];
    if at_once {
        let all: String = first.iter().map(|it| format!("data: {it}\n\n")).collect();
        run.raw(&format!("{:x}\r\n{all}\r\n", all.len())).await;
    } else {
        run.event(&first[0]).await;
        recorded.until_status(thread, "finished").await;
        run.event(&first[1]).await;
        run.event(&first[2]).await;
    }
    let state = recorded.until_status(thread, "active").await;
    assert!(state["_run"]["lease"].is_u64(), "{state}");
    run.say("m2", &["two"]).await;
    run.event(&finished("r2")).await;
    until("the second run has ended", async || {
        let state = recorded.state(thread).await;
        state["_status"] == "finished" && state["_run"]["runId"] == "r2"
    })
    .await;
    let state = recorded.state(thread).await;
    assert_eq!(state["_messages"][1]["content"], "two");
    assert_eq!(recorded.items(thread, "RUN_STARTED").await.len(), 2);
    assert!(recorded.items(thread, "CUSTOM").await.is_empty());
    // The agent keeps its answer open, and a page wants the next run.
    recorded.run(thread, "r3");
    recorded.agent.asked().await;
    run.left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_in_one_answer_is_recorded_however_it_arrives() {
    let mut recorded = Recorded::start(&[]).await;
    two_runs(&mut recorded, "together", true).await;
    two_runs(&mut recorded, "apart", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pages_at_once_attach_to_the_run_of_another_recorder() {
    let mut recorded = Recorded::start(&[]).await;
    let other = Service::recorder(&recorded.dev.http(), &recorded.agent.url(), &[]);
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    let url = format!("{}/agui/{AGENT}/t", other.http());
    let pages = (0..40).map(|number| {
        let page = input("t", &format!("p{number}"));
        reqwest::Client::new().post(&url).json(&page).send()
    });
    for answer in join_all(pages).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert!(!recorded.agent.is_asked());
    run.finish().await;
    recorded.until_status("t", "finished").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_do_not_get_into_the_run_of_another_recorder() {
    let mut recorded = Recorded::start(&[]).await;
    let other = Service::recorder(&recorded.dev.http(), &recorded.agent.url(), &[]);
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    for recorder in [&recorded.recorder, &other] {
        let url = format!("{}/agui/{AGENT}/t/events", recorder.http());
        let mine = json!({"type": "CUSTOM", "name": "mine"});
        let request = reqwest::Client::new()
            .post(url)
            .header("content-type", "application/x-ndjson")
            .body(mine.to_string());
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), 503);
        let problem: Value = refused.json().await.unwrap();
        assert!(
            problem["type"].as_str().unwrap().ends_with("busy"),
            "{problem}"
        );
    }
    run.finish().await;
    recorded.until_status("t", "finished").await;
    assert!(recorded.items("t", "CUSTOM").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_two_runs_is_recorded_to_its_end() {
    let recorded = Recorded::start(&[]).await;
    let url = format!("{}/agui/{AGENT}/t/events", recorded.recorder.http());
    let mut lines = String::new();
    for run in ["r1", "r2"] {
        for kind in ["RUN_STARTED", "RUN_FINISHED"] {
            lines += &format!("{}\n", json!({"type": kind, "threadId": "t", "runId": run}));
        }
    }
    let sent = reqwest::Client::new()
        .post(url)
        .header("Content-Type", "application/x-ndjson")
        .body(lines);
    let answer: Value = sent.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&answer["events"], &answer["running"]),
        (&json!(4), &json!(false))
    );
    assert_eq!(recorded.state("t").await["_run"]["runId"], "r2");
}

/// Somebody who sends the events of a run, and has more of them.
async fn caller_of_a_run(recorded: &Recorded) -> RawConnection {
    let started = json!({"type": "RUN_STARTED", "threadId": "t", "runId": "r"});
    let mut caller = RawConnection::to(recorded.recorder.address()).await;
    let head = format!(
        "POST /agui/{AGENT}/t/events HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: 9999\r\n\r\n{started}\n"
    );
    caller.send(head.as_bytes()).await.unwrap();
    recorded.until_status("t", "active").await;
    caller
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_events_that_somebody_sends_can_be_stopped() {
    let recorded = Recorded::start(&[]).await;
    let mut caller = caller_of_a_run(&recorded).await;
    recorded
        .post(&format!("/agui/{AGENT}/t/stop"), &json!({}))
        .await;
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&answer["events"], &answer["running"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(recorded.state("t").await["_status"], "finished");
    let finished = recorded.items("t", "RUN_FINISHED").await;
    assert_eq!(finished[0]["result"], json!({"cancelled": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_sends_events_learns_how_many_are_recorded_when_the_recorder_stops() {
    let mut recorded = Recorded::start(&[]).await;
    let mut caller = caller_of_a_run(&recorded).await;
    recorded.recorder.signal("TERM");
    let (head, body) = caller.answer().await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&answer["events"], &answer["running"]),
        (&json!(1), &json!(true))
    );
    assert!(recorded.recorder.wait().success());
    assert_eq!(recorded.state("t").await["_status"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_events_can_be_stopped_between_two_requests() {
    let recorded = Recorded::start(&[]).await;
    let url = format!("{}/agui/{AGENT}/t/events", recorded.recorder.http());
    let started = json!({"type": "RUN_STARTED", "threadId": "t", "runId": "r"});
    let sent = reqwest::Client::new()
        .post(url)
        .header("Content-Type", "application/x-ndjson")
        .body(started.to_string());
    let answer: Value = sent.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["running"], true);
    let stop = format!("/agui/{AGENT}/t/stop");
    for stopped in [true, false] {
        let answer = recorded.post(&stop, &json!({})).await;
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer, json!({"stopped": stopped}));
    }
    let finished = recorded.items("t", "RUN_FINISHED").await;
    assert_eq!(finished[0]["result"], json!({"cancelled": true}));
}
