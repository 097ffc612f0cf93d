//! What an agent or a page can make a recorder hold.

use ltm_tests::{forget_peak, peak_bytes, resident_bytes, until};
use serde_json::{Value, json};

use super::recorder::Recorded;

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_small_delta_that_copies_without_end_is_an_error_of_the_thread() {
    let mut recorded = Recorded::start(&[]).await;
    recorded.run("t", "r");
    let mut run = recorded.agent.asked().await;
    run.begin().await;
    recorded.until_status("t", "active").await;
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
