//! What the pages of a recorded run read, through the recorder.

use ltm_tests::{Agent, AgentRun, Events, Haproxy, Network, Service, Stack, until};
use reqwest::Client;
use serde_json::{Value, json};

use super::recorder::{AGENT, Recorded, input};

/// A page that runs a thread, or attaches to its run.
async fn page(recorder: &Service, thread: &str, run: &str) -> Events {
    let url = format!("{}/agui/{AGENT}/{thread}", recorder.http());
    Events::open(Client::new().post(url).json(&input(thread, run))).await
}

/// Reads to the end of the answer: the types, the text of each message, and the last event.
async fn rest(events: &mut Events) -> (Vec<String>, Value, Value) {
    let (mut types, mut texts, mut last) = (Vec::new(), json!({}), Value::Null);
    while let Some(event) = events.next().await {
        last = event.json();
        types.push(last["type"].as_str().unwrap().to_owned());
        if let Some(delta) = last["delta"].as_str() {
            let id = last["messageId"].as_str().unwrap();
            let before = texts[id].as_str().unwrap_or_default();
            texts[id] = format!("{before}{delta}").into();
        }
    }
    (types, texts, last)
}

/// Reads until an event of this type.
async fn until_type(events: &mut Events, kind: &str) -> Value {
    loop {
        let event = events.next().await.expect("the answer goes on").json();
        if event["type"] == kind {
            return event;
        }
    }
}

async fn begin_message(run: &mut AgentRun) {
    run.begin().await;
    run.begin_message("m").await;
    piece(run, "By ").await;
}

async fn piece(run: &mut AgentRun, text: &str) {
    run.event(&json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": text}))
        .await;
}

async fn end_message(mut run: AgentRun) {
    piece(&mut run, "sea").await;
    run.event(&json!({"type": "TEXT_MESSAGE_END", "messageId": "m"}))
        .await;
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_its_run_and_others_attach_to_it() {
    let mut recorded = Recorded::start(&[]).await;
    let first = page(&recorded.recorder, "t", "r1");
    let (mut first, mut run) = tokio::join!(first, recorded.agent.asked());
    begin_message(&mut run).await;
    until_type(&mut first, "TEXT_MESSAGE_CONTENT").await;
    let mut second = page(&recorded.recorder, "t", "r2").await;
    let started = until_type(&mut second, "RUN_STARTED").await;
    assert_eq!(started["runId"], "r2", "a client expects its own run");
    let snapshot = until_type(&mut second, "MESSAGES_SNAPSHOT").await;
    assert_eq!(snapshot["messages"][0]["content"], "Which way?");
    assert!(!recorded.agent.is_asked());
    drop(first);
    end_message(run).await;
    let (types, texts, last) = rest(&mut second).await;
    assert_eq!(texts, json!({"m": "By sea"}), "{types:?}");
    assert_eq!(
        (&last["type"], &last["runId"]),
        (&json!("RUN_FINISHED"), &json!("r2"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_second_run_does_not_read_the_first_one_again() {
    let mut recorded = Recorded::start(&[]).await;
    for number in 1..=2 {
        let run = format!("r{number}");
        let asking = page(&recorded.recorder, "t", &run);
        let (mut events, mut asked) = tokio::join!(asking, recorded.agent.asked());
        asked.begin().await;
        asked.say(&format!("m{number}"), &["yes"]).await;
        asked.finish().await;
        let (types, texts, last) = rest(&mut events).await;
        assert_eq!(texts, json!({format!("m{number}"): "yes"}), "{types:?}");
        assert_eq!(types.iter().filter(|it| *it == "RUN_STARTED").count(), 1);
        assert_eq!(last["type"], "RUN_FINISHED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_learn_that_a_run_was_stopped_and_older_clients_do_not_reject_it() {
    let mut recorded = Recorded::start(&[]).await;
    let first = page(&recorded.recorder, "t", "r1");
    let (mut first, mut run) = tokio::join!(first, recorded.agent.asked());
    begin_message(&mut run).await;
    until_type(&mut first, "TEXT_MESSAGE_CONTENT").await;
    recorded
        .post(&format!("/agui/{AGENT}/t/stop"), &json!({}))
        .await;
    let (types, _, last) = rest(&mut first).await;
    assert!(types.contains(&"TEXT_MESSAGE_END".to_owned()), "{types:?}");
    assert_eq!(
        (&last["type"], &last["result"]["cancelled"]),
        (&json!("RUN_FINISHED"), &json!(true))
    );
    assert_eq!(
        last.get("outcome"),
        None,
        "0.0.59 rejects the run otherwise: {last}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_comes_back_after_its_gateway_died_has_the_run_as_if_nothing_had_happened() {
    let stack = Stack::start();
    let other = Service::gateway(&stack.redis.url(), &[]);
    let proxy = Haproxy::start(&[&stack.api_service], &[&stack.gateway, &other]);
    let mut agent = Agent::start().await;
    let recorder = Service::recorder(&proxy.http(), &agent.url(), &[]);
    let first = page(&recorder, "t", "r1");
    let (mut first, mut run) = tokio::join!(first, agent.asked());
    begin_message(&mut run).await;
    until_type(&mut first, "TEXT_MESSAGE_CONTENT").await;
    let mut gateways = [stack.gateway, other];
    for (number, gateway) in gateways.iter_mut().enumerate() {
        let url = format!("{}/readyz", gateway.http());
        assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
        if number == 0 {
            gateway.kill();
        }
    }
    // If it was the gateway of the first page, its answer ends without an error; otherwise the page leaves.
    drop(first);
    let mut second = until("a gateway answers", async || {
        let url = format!("{}/agui/{AGENT}/t", recorder.http());
        let answer = Client::new()
            .post(url)
            .json(&input("t", "r2"))
            .send()
            .await
            .unwrap();
        (answer.status() == 200).then(|| Events::of(answer))
    })
    .await;
    until_type(&mut second, "MESSAGES_SNAPSHOT").await;
    end_message(run).await;
    let (types, texts, last) = rest(&mut second).await;
    assert_eq!(texts, json!({"m": "By sea"}), "{types:?}");
    assert_eq!(last["type"], "RUN_FINISHED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_run_whose_recorder_was_killed_gets_its_end_from_the_gateway() {
    // The lease must last until the second page is there.
    let settings = [("LTM__AGUI__LEASE", "6s")];
    let mut recorded = Recorded::start(&settings).await;
    let first = page(&recorded.recorder, "t", "r1");
    let (mut first, mut run) = tokio::join!(first, recorded.agent.asked());
    begin_message(&mut run).await;
    until_type(&mut first, "TEXT_MESSAGE_CONTENT").await;
    recorded.recorder.kill();
    recorded.recorder = Service::recorder(&recorded.dev.http(), &recorded.agent.url(), &settings);
    // It attaches to the run that nobody records any more.
    let mut second = page(&recorded.recorder, "t", "r2").await;
    let (types, texts, last) = rest(&mut second).await;
    assert_eq!(texts, json!({"m": "By "}), "{types:?}");
    assert_eq!(
        (&last["type"], &last["code"]),
        (&json!("RUN_ERROR"), &json!("recorder-lost"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_when_its_recorder_stops_and_the_gateway_has_the_rest() {
    let mut recorded = Recorded::start(&[]).await;
    let first = page(&recorded.recorder, "t", "r1");
    let (mut first, mut run) = tokio::join!(first, recorded.agent.asked());
    begin_message(&mut run).await;
    until_type(&mut first, "TEXT_MESSAGE_CONTENT").await;
    recorded.recorder.signal("TERM");
    rest(&mut first).await;
    let url = format!("{}/agui/{AGENT}/t", recorded.dev.http());
    let mut second = Events::open(Client::new().get(url)).await;
    until_type(&mut second, "RUN_STARTED").await;
    end_message(run).await;
    let (_, texts, last) = rest(&mut second).await;
    assert_eq!(texts, json!({"m": "By sea"}));
    assert_eq!(last["type"], "RUN_FINISHED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_sees_the_end_of_its_run_can_begin_the_next_one_at_once() {
    let mut recorded = Recorded::start(&[]).await;
    let network = Network::to(recorded.dev.address()).await;
    let server = format!("http://{}", network.address());
    recorded.recorder = Service::recorder(&server, &recorded.agent.url(), &[]);
    recorded.run("t", "r1");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    recorded.until_status("t", "active").await;
    // The recorder has to ask again whether the end is written.
    network.hold_answers();
    run.finish().await;
    recorded.until_status("t", "finished").await;
    network.cut();
    network.release();
    recorded.run("t", "r2");
    let mut run = recorded.agent.asked().await;
    assert_eq!(run.input["runId"], "r2");
    run.begin().await;
    run.finish().await;
    until("the second run has ended", async || {
        let state = recorded.state("t").await;
        state["_status"] == "finished" && state["_run"]["runId"] == "r2"
    })
    .await;
    let state = recorded.state("t").await;
    assert_eq!(state["_messages"][1]["id"], "r2-question");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_comes_after_the_end_of_a_run_learns_how_it_ended() {
    let mut recorded = Recorded::start(&[]).await;
    let interrupts = json!([{"id": "i1", "reason": "approval"}]);
    let outcome = json!({"type": "interrupt", "interrupts": interrupts});
    let ends = [
        json!({"type": "RUN_FINISHED", "outcome": outcome}),
        json!({"type": "RUN_FINISHED", "result": {"answer": 42}}),
        json!({"type": "RUN_ERROR", "message": "no wind", "code": "calm"}),
    ];
    for (number, end) in ends.iter().enumerate() {
        let thread = format!("t{number}");
        let first = page(&recorded.recorder, &thread, "r");
        let (mut first, mut run) = tokio::join!(first, recorded.agent.asked());
        run.begin().await;
        let mut sent = end.clone();
        sent["threadId"] = thread.as_str().into();
        sent["runId"] = "r".into();
        run.event(&sent).await;
        rest(&mut first).await;
        drop(run);
        // The same run again: the page gets what the thread has.
        let mut second = page(&recorded.recorder, &thread, "r").await;
        let (_, _, last) = rest(&mut second).await;
        for (member, value) in end.as_object().unwrap() {
            assert_eq!(&last[member], value, "{last}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_lost_its_connection_gets_the_rest_and_does_not_overwrite_the_thread() {
    let mut recorded = Recorded::start(&[]).await;
    let first = page(&recorded.recorder, "t", "r1");
    let (mut first, mut run) = tokio::join!(first, recorded.agent.asked());
    begin_message(&mut run).await;
    until_type(&mut first, "TEXT_MESSAGE_CONTENT").await;
    drop(first);
    run.event(&json!({"type": "STATE_SNAPSHOT", "snapshot": {"n": 2}}))
        .await;
    end_message(run).await;
    recorded.until_status("t", "finished").await;
    let question = json!({"id": "r1-question", "role": "user", "content": "Which way?"});
    let next = json!({"id": "u2", "role": "user", "content": "And now?"});
    let mut old = input("t", "r2");
    old["state"] = json!({"n": 1});
    old["messages"] = json!([question, {"id": "m", "role": "assistant", "content": "By "}, next]);
    let url = format!("{}/agui/{AGENT}/t", recorded.recorder.http());
    let asking = Events::open(Client::new().post(url).json(&old));
    let (mut second, mut run) = tokio::join!(asking, recorded.agent.asked());
    let whole = json!([question, {"id": "m", "role": "assistant", "content": "By sea"}, next]);
    assert_eq!(run.input["messages"], whole);
    assert_eq!(run.input["state"], json!({"n": 2}));
    let snapshot = until_type(&mut second, "MESSAGES_SNAPSHOT").await;
    assert_eq!(snapshot["messages"], whole);
    let snapshot = until_type(&mut second, "STATE_SNAPSHOT").await;
    assert_eq!(snapshot["snapshot"], json!({"n": 2}));
    run.begin().await;
    run.finish().await;
    rest(&mut second).await;
    assert_eq!(recorded.state("t").await["n"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_names_a_place_in_an_earlier_run_reads_the_run_that_it_begins() {
    let mut recorded = Recorded::start(&[]).await;
    let first = page(&recorded.recorder, "t", "r1");
    let (mut first, mut run) = tokio::join!(first, recorded.agent.asked());
    run.begin().await;
    run.say("m1", &["one"]).await;
    let cursor = loop {
        let event = first.next().await.expect("the answer goes on");
        if !event.id.is_empty() {
            break event.id;
        }
    };
    run.finish().await;
    rest(&mut first).await;
    let url = format!("{}/agui/{AGENT}/t", recorded.recorder.http());
    let mut next = input("t", "r2");
    next["forwardedProps"] = json!({"ltm": {"after": cursor}});
    let request = Client::new()
        .post(url)
        .header("Last-Event-ID", &cursor)
        .json(&next);
    let (mut second, mut run) = tokio::join!(Events::open(request), recorded.agent.asked());
    run.begin().await;
    run.say("m2", &["two"]).await;
    run.finish().await;
    let (types, texts, last) = rest(&mut second).await;
    assert_eq!(texts, json!({"m2": "two"}), "{types:?}");
    assert_eq!(
        (&last["type"], &last["runId"]),
        (&json!("RUN_FINISHED"), &json!("r2"))
    );
}
