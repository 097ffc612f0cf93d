//! What an agent or a page can make a recorder hold.

use ltm_tests::{AgentRun, RawConnection, forget_peak, peak_bytes, resident_bytes, until};
use serde_json::{Value, json};

use super::recorder::{AGENT, Recorded, input};

const MIB: usize = 1024 * 1024;

/// A recorder with a run of the thread `t` that has begun.
async fn active_run() -> (Recorded, AgentRun) {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    recorded.until_status("t", "active").await;
    (recorded, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_delta_that_copies_without_end_is_an_error_of_the_thread() {
    let (recorded, mut run) = active_run().await;
    let pid = recorded.recorder.pid();
    forget_peak(pid);
    let before = resident_bytes(pid);
    let copy = |n: usize| json!({"op": "copy", "from": "", "path": format!("/a{n}")});
    let copies: Vec<Value> = (0..40).map(copy).collect();
    run.event(&json!({"type": "STATE_DELTA", "delta": copies}))
        .await;
    until("the error is recorded", async || {
        recorded.errors("t").await.len() == 1
    })
    .await;
    let grown = peak_bytes(pid).saturating_sub(before);
    assert!(grown < 256 * MIB, "{} MiB", grown / MIB);
    run.event(&json!({"type": "STATE_DELTA", "delta": [{"op": "add", "path": "/n", "value": 1}]}))
        .await;
    run.finish().await;
    assert_eq!(recorded.until_status("t", "finished").await["n"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_too_much_open_ends_with_an_error() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    for number in 0..=1000 {
        run.event(&json!({"type": "STEP_STARTED", "stepName": format!("s{number}")}))
            .await;
    }
    recorded.until_status("t", "error").await;
    let error = recorded.items("t", "RUN_ERROR").await.remove(0);
    assert_eq!(error["code"], "too-many-open", "{error}");
    run.left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_requests_share_the_memory_and_small_ones_need_none() {
    let settings = [
        ("LTM__AGUI__INPUTS", "6MiB"),
        ("LTM__AGUI__INPUT_WAIT", "200ms"),
    ];
    let mut recorded = Recorded::start(&settings).await;
    let mut slow = RawConnection::to(recorded.recorder.address()).await;
    let head = format!(
        "POST /agui/{AGENT}/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        2 * MIB
    );
    slow.send(head.as_bytes()).await.unwrap();
    slow.send(&vec![b' '; 200_000]).await.unwrap();
    let mut large = input("large", "r");
    large["state"] = json!({"text": "x".repeat(2 * MIB)});
    let url = format!("{}/agui/{AGENT}/large", recorded.recorder.http());
    let mut begins_no_run = large.clone();
    begins_no_run["runId"] = Value::Null;
    let refused = until("the slow page has its part", async || {
        // The recorder closes the connection before it has the whole body, so the answer can get lost.
        let answer = reqwest::Client::new().post(&url).json(&begins_no_run);
        let answer = answer.send().await.ok()?;
        (answer.status() == 503).then_some(answer)
    })
    .await;
    assert!(refused.text().await.unwrap().contains("agui.inputs"));
    recorded.run("small", "r");
    recorded.agent.asked().await;
    drop(slow);
    // The answer of the agent returns the part of the page, so another one can begin while the run goes on.
    for thread in ["large", "larger"] {
        large["threadId"] = thread.into();
        until("the page can begin its run", async || {
            let answer = recorded.post(&format!("/agui/{AGENT}"), &large).await;
            answer.status() == 200
        })
        .await;
        let mut run = recorded.agent.asked().await;
        assert_eq!(run.input["state"], large["state"]);
        run.begin().await;
        tokio::spawn(async move { run.left().await });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_values_would_take_too_much_memory_is_refused_unparsed() {
    let recorded = Recorded::start(&[("LTM__AGUI__MAX_INPUT", "1MiB")]).await;
    let pid = recorded.recorder.pid();
    forget_peak(pid);
    let before = resident_bytes(pid);
    let mut many = input("t", "r");
    many["messages"] = json!(vec![json!({"a": 0}); 100_000]);
    let refused = recorded.post(&format!("/agui/{AGENT}/t"), &many).await;
    assert_eq!(refused.status(), 413);
    assert!(refused.text().await.unwrap().contains("memory"));
    let grown = peak_bytes(pid).saturating_sub(before);
    assert!(grown < 16 * MIB, "{} MiB", grown / MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_many_small_values_is_too_large_for_the_memory_that_it_takes() {
    let (recorded, mut run) = active_run().await;
    let pid = recorded.recorder.pid();
    forget_peak(pid);
    let before = resident_bytes(pid);
    // 2.8 MB of text, 80 times as much as values.
    let value = vec![json!({"a": 0}); 350_000];
    run.event(&json!({"type": "CUSTOM", "name": "many", "value": value}))
        .await;
    recorded.until_status("t", "error").await;
    let error = recorded.items("t", "RUN_ERROR").await.remove(0);
    assert_eq!(error["code"], "event-too-large", "{error}");
    let grown = peak_bytes(pid).saturating_sub(before);
    assert!(grown < 64 * MIB, "{} MiB", grown / MIB);
}
