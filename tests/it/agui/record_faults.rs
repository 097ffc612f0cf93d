//! What a recorder does when the agent, the API, or the recorder itself fails.

use ltm_tests::{Agent, Network, Service, until};
use serde_json::{Value, json};

use super::recorder::{AGENT, Recorded, input, path};

/// The code and the message with which a run ended.
async fn failure(recorded: &Recorded, thread: &str) -> (String, String) {
    recorded.until_status(thread, "error").await;
    let error = recorded.items(thread, "RUN_ERROR").await.remove(0);
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    until("the error is recorded", async || {
        !recorded.errors(thread).await.is_empty()
    })
    .await;
    (text("code"), text("message"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_agent_fails_ends_with_an_error_that_says_how() {
    let settings = [("LTM__AGUI__MAX_EVENT", "1KiB")];
    let mut recorded = Recorded::start(&settings).await;
    let large = format!("{{\"type\":\"CUSTOM\",\"name\":\"{}\"}}", "x".repeat(2000));
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let answers = [
        (
            "HTTP/1.1 500 Oops\r\ncontent-length: 5\r\n\r\nno no".to_owned(),
            "upstream-status",
            "no no",
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
                .into(),
            "upstream-status",
            "302",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n".into(),
            "upstream-format",
            "text/html",
        ),
        (head.to_owned(), "upstream-cut", "lost"),
        (
            format!("{head}0\r\n\r\n"),
            "upstream-cut",
            "without RUN_FINISHED",
        ),
        (
            format!("{head}{}", chunk("data: {broken\n\n")),
            "bad-event",
            "not a JSON object",
        ),
        (
            format!("{head}{}", chunk("data: {\"type\":\"STATE_DELTA\"}\n\n")),
            "bad-event",
            "delta",
        ),
        (
            format!("{head}{}", chunk(&format!("data: {large}\n\n"))),
            "event-too-large",
            "agui.max_event",
        ),
    ];
    for (number, (answer, code, detail)) in answers.iter().enumerate() {
        let thread = format!("t{number}");
        recorded.run(&thread, "r");
        let mut run = recorded.agent.asked().await;
        run.raw(answer).await;
        drop(run);
        let (was, message) = failure(&recorded, &thread).await;
        assert_eq!(was, *code, "{message}");
        assert!(message.contains(detail), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_agent_is_not_there_ends_with_an_error() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.recorder = Service::recorder(&recorded.dev.http(), "http://127.0.0.1:1/agui", &[]);
    recorded.run("t", "r");
    let (code, message) = failure(&recorded, "t").await;
    assert_eq!(code, "upstream-unreachable");
    assert!(
        message.contains("refused") && !message.contains("127.0.0.1"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_keeps_what_its_agent_sent_before_it_was_cut() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    run.begin_message("m").await;
    run.event(&json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "By the s"}))
        .await;
    drop(run);
    assert_eq!(failure(&recorded, "t").await.0, "upstream-cut");
    let state = recorded.state("t").await;
    assert_eq!(state["_messages"][1]["content"], "By the s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_if_its_agent_says_nothing_for_too_long() {
    let mut recorded = Recorded::start(&[("LTM__AGUI__IDLE", "300ms")]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    assert_eq!(failure(&recorded, "t").await.0, "upstream-idle");
    run.left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_recorded_once_if_the_api_was_away() {
    let mut recorded = Recorded::start(&[]).await;
    let network = Network::to(recorded.dev.address()).await;
    let server = format!("http://{}", network.address());
    recorded.recorder = Service::recorder(&server, &recorded.agent.url(), &[]);
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    // The answers are lost, so the recorder cannot know what the API has written.
    network.hold_answers();
    let step = |n: usize| json!({"type": "CUSTOM", "name": "test.step", "value": n});
    for n in 0..300 {
        run.event(&step(n)).await;
    }
    until("the API has written some", async || {
        !recorded.items("t", "CUSTOM").await.is_empty()
    })
    .await;
    network.refuse(true);
    network.cut();
    network.release();
    for n in 300..600 {
        run.event(&step(n)).await;
    }
    until("the recorder tries", async || network.refused() > 2).await;
    network.refuse(false);
    run.finish().await;
    recorded.until_status("t", "finished").await;
    let items = recorded.items("t", "CUSTOM").await;
    let steps: Vec<&Value> = items.iter().map(|it| &it["value"]).collect();
    assert_eq!(json!(steps), json!((0..600).collect::<Vec<_>>()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_over_what_others_write_to_its_ltm() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    run.begin_message("m").await;
    until("the message is there", async || {
        recorded.state("t").await["_messages"][1]["id"] == "m"
    })
    .await;
    let step = json!({"reason": "note", "merge": {"note": 1}});
    recorded
        .api
        .post(&format!("{}/snapshots", path("t")), &step)
        .await
        .expect(201);
    run.event(&json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "yes"}))
        .await;
    run.event(
        &json!({"type": "STATE_DELTA", "delta": [{"op": "replace", "path": "/note", "value": 2}]}),
    )
    .await;
    run.finish().await;
    let state = recorded.until_status("t", "finished").await;
    assert_eq!(
        (&state["note"], &state["_messages"][1]["content"]),
        (&json!(2), &json!("yes"))
    );
    assert!(recorded.errors("t").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_recorder_was_killed_is_ended_by_another_one_and_the_thread_goes_on() {
    let settings = [("LTM__AGUI__LEASE", "1s")];
    let mut recorded = Recorded::start(&settings).await;
    recorded.run("t", "r1");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    run.begin_message("m").await;
    until("the message is there", async || {
        recorded.state("t").await["_messages"][1]["id"] == "m"
    })
    .await;
    recorded.recorder.kill();
    run.left().await;
    assert_eq!(recorded.state("t").await["_status"], "active");
    recorded.recorder = Service::recorder(&recorded.dev.http(), &recorded.agent.url(), &settings);
    assert_eq!(failure(&recorded, "t").await.0, "recorder-lost");
    assert_eq!(recorded.state("t").await["_messages"][1]["content"], "");
    recorded.run("t", "r2");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    run.finish().await;
    assert_eq!(
        recorded.until_status("t", "finished").await["_run"]["runId"],
        "r2"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_run_is_not_taken_for_a_lost_one() {
    let settings = [("LTM__AGUI__LEASE", "1s")];
    let mut recorded = Recorded::start(&settings).await;
    let _other = Service::recorder(&recorded.dev.http(), &recorded.agent.url(), &settings);
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    // More than two leases of the agent's silence.
    until("the run says that it lives", async || {
        recorded.items("t", "CUSTOM").await.len() > 8
    })
    .await;
    assert_eq!(recorded.state("t").await["_status"], "active");
    run.finish().await;
    recorded.until_status("t", "finished").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_that_is_stopped_ends_its_runs() {
    let mut recorded = Recorded::start(&[("LTM__AGUI__DRAIN_TIME", "100ms")]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    recorded.until_status("t", "active").await;
    recorded.recorder.signal("TERM");
    run.left().await;
    assert_eq!(failure(&recorded, "t").await.0, "recorder-stopped");
    assert!(recorded.recorder.wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_that_is_stopped_lets_its_runs_finish_in_the_drain_time() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    recorded.until_status("t", "active").await;
    recorded.recorder.signal("TERM");
    recorded.recorder.until_logged("stopping").await;
    run.say("m", &["done"]).await;
    run.finish().await;
    assert_eq!(
        recorded.until_status("t", "finished").await["_messages"][1]["content"],
        "done"
    );
    assert!(recorded.recorder.wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_waits_while_the_buffer_is_full() {
    let settings = [("LTM__AGUI__BUFFER", "64KiB")];
    let mut recorded = Recorded::start(&settings).await;
    let network = Network::to(recorded.dev.address()).await;
    let server = format!("http://{}", network.address());
    recorded.recorder = Service::recorder(&server, &recorded.agent.url(), &settings);
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    recorded.until_status("t", "active").await;
    network.hold();
    let before = ltm_tests::resident_bytes(recorded.recorder.pid());
    let step = json!({"type": "CUSTOM", "name": "test.step", "value": "x".repeat(10_000)});
    let mut sent = 0;
    // The system's buffers take some megabytes before the agent feels it.
    let stuck = async {
        while sent < 10_000 {
            run.event(&step).await;
            sent += 1;
        }
    };
    let stuck = tokio::time::timeout(std::time::Duration::from_secs(3), stuck).await;
    assert!(stuck.is_err(), "the recorder took 100 MB");
    let grown = ltm_tests::resident_bytes(recorded.recorder.pid()).saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown}");
    network.release();
    drop(run);
    recorded.until_status("t", "error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_and_a_run_too_many_are_refused() {
    let settings = [
        ("LTM__AGUI__MAX_INPUT", "1KiB"),
        ("LTM__AGUI__MAX_RUNS", "1"),
    ];
    let mut recorded = Recorded::start(&settings).await;
    let mut large = input("t", "r");
    large["state"] = json!({"text": "x".repeat(2000)});
    let run = format!("/agui/{AGENT}/t");
    let refused = recorded.post(&run, &large).await;
    assert_eq!(refused.status(), 413);
    assert!(refused.text().await.unwrap().contains("agui.max_input"));
    recorded.run("t", "r");
    let asked = recorded.agent.asked().await;
    let refused = recorded
        .post(&format!("/agui/{AGENT}/other"), &input("other", "r"))
        .await;
    assert_eq!(refused.status(), 503);
    assert!(refused.text().await.unwrap().contains("agui.max_runs"));
    let other = recorded.api.get(&path("other")).await;
    assert_eq!(other.status, 404, "nobody has created the LTM");
    drop(asked);
    recorded.until_status("t", "error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_api_refuses_to_record_ends_with_an_error() {
    let data = tempfile::tempdir().unwrap();
    let dev = Service::dev_with(data.path(), &[("LTM__API__MAX_STATE", "20KB")]);
    let mut recorded = Recorded::with(dev, data, &[]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    let state = json!({"type": "STATE_SNAPSHOT", "snapshot": {"text": "x".repeat(30_000)}});
    run.event(&state).await;
    let (code, message) = failure(&recorded, "t").await;
    assert_eq!(code, "not-recorded", "{message}");
    run.left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_that_is_away_at_the_beginning_is_reported_to_the_page() {
    let agent = Agent::start().await;
    let nobody = Network::to("127.0.0.1:1").await;
    nobody.refuse(true);
    let settings = [("LTM__AGUI__WRITE_TIMEOUT", "100ms")];
    let recorder = Service::recorder(
        &format!("http://{}", nobody.address()),
        &agent.url(),
        &settings,
    );
    let url = format!("{}/agui/{AGENT}/t", recorder.http());
    let answer = reqwest::Client::new()
        .post(url)
        .json(&input("t", "r"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert!(!agent.is_asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_agent_sends_only_what_is_not_recorded_is_not_taken_for_a_lost_one() {
    let settings = [("LTM__AGUI__LEASE", "1s")];
    let mut recorded = Recorded::start(&settings).await;
    let _other = Service::recorder(&recorded.dev.http(), &recorded.agent.url(), &settings);
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    let raw = json!({"type": "RAW", "event": {"much": "text"}});
    // More than two leases.
    until("the run says that it lives", async || {
        run.event(&raw).await;
        recorded.items("t", "CUSTOM").await.len() > 8
    })
    .await;
    run.finish().await;
    recorded.until_status("t", "finished").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_more_open_than_one_write_takes_is_ended() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    for number in 0..900 {
        let id = format!("m{number}");
        run.begin_message(&id).await;
    }
    until("all messages are there", async || {
        let state = recorded.state("t").await;
        state["_messages"].as_array().unwrap().len() == 901
    })
    .await;
    drop(run);
    assert_eq!(failure(&recorded, "t").await.0, "upstream-cut");
    let state = recorded.state("t").await;
    let messages = state["_messages"].as_array().unwrap();
    assert!(messages.iter().skip(1).all(|it| it["content"] == ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_whole_end_the_api_refuses_is_ended_by_its_error_alone() {
    let data = tempfile::tempdir().unwrap();
    let dev = Service::dev_with(data.path(), &[("LTM__API__MAX_BODY", "30KB")]);
    let mut recorded = Recorded::with(dev, data, &[]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    run.begin_message("m").await;
    for number in 1..=5 {
        let piece = "x".repeat(8000);
        let piece = json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": piece});
        run.event(&piece).await;
        until("the piece is there", async || {
            let state = recorded.state("t").await;
            let chunks = state["_messages"][1]["content"]["chunks"].as_array();
            chunks.map_or(0, Vec::len) == number
        })
        .await;
    }
    drop(run);
    assert_eq!(failure(&recorded, "t").await.0, "upstream-cut");
}
