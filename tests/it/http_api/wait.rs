//! Waiting for a status: `GET /ltm/{id}/wait`.

use std::time::Duration;

use futures_util::future::join_all;
use ltm_tests::{Answer, Api, Service, Stack, until};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

async fn wait(api: &Api, id: u64, query: &str) -> Answer {
    api.get(&format!("/ltm/{id}/wait?{query}")).await
}

/// An LTM that is active.
async fn active(api: &Api) -> (u64, String) {
    api.create(json!({"_status": "active"})).await
}

fn status(status: &str) -> Value {
    json!({"merge": {"_status": status}})
}

/// The same, as a request that waits in the background.
fn waiting(api: &Api, id: u64, query: &str) -> tokio::task::JoinHandle<Answer> {
    let (api, query) = (api.clone(), query.to_owned());
    tokio::spawn(async move { wait(&api, id, &query).await })
}

/// How often somebody looked at an LTM.
fn looks(stack: &Stack) -> u64 {
    stack.redis.info("commandstats", "cmdstat_hmget:calls")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_row_as_soon_as_the_status_is_one_of_those() {
    let stack = Stack::start();
    let (id, cursor) = active(&stack.api).await;
    let waits = waiting(&stack.api, id, "status=finished,error&timeout=50s");
    for word in ["queued", "error"] {
        stack.api.append(id, status(word)).await;
    }
    let answer = waits.await.unwrap();
    let listed = stack.api.get("/ltm").await.expect(200);
    assert_ne!(answer.header("etag"), format!("\"{cursor}\""));
    assert_eq!(answer.expect(200), listed[0]);
    assert_eq!(listed[0]["status"], "error");
    // It has the status already, also where another API wrote it.
    let other = Service::api(&stack.redis.url(), &[]);
    Api::at(&other).append(id, status("any words")).await;
    let row = wait(&stack.api, id, "status=any%20words").await.expect(200);
    assert_eq!(row["status"], "any words");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_after_a_cursor_ignores_the_status_at_that_cursor() {
    let stack = Stack::start();
    let (id, cursor) = active(&stack.api).await;
    let here = format!("after={cursor}");
    let none = wait(&stack.api, id, &format!("{here}&timeout=0s")).await;
    assert_eq!((none.status.as_u16(), none.text.as_str()), (204, ""));
    let same = format!("status=active&{here}");
    let waits = [&here, &same].map(|query| waiting(&stack.api, id, query));
    let appended = stack.api.append(id, json!({"merge": {"n": 1}})).await;
    for waits in waits {
        let answer = waits.await.unwrap();
        let cursor = appended["cursor"].as_str().unwrap();
        assert_eq!(answer.header("etag"), format!("\"{cursor}\""));
        assert_eq!(answer.expect(200)["snapshots_count"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_deleted_or_unknown_ltm_says_so() {
    let stack = Stack::start();
    let (id, _) = active(&stack.api).await;
    let waits = waiting(&stack.api, id, "status=finished&timeout=50s");
    let delete = stack.api.request(Method::DELETE, &format!("/ltm/{id}"));
    stack.api.send(delete).await.expect(200);
    waits.await.unwrap().problem(410, "deleted-ltm");
    let again = wait(&stack.api, id, "status=active").await;
    again.problem(410, "deleted-ltm");
    let unknown = wait(&stack.api, 999, "status=active").await;
    unknown.problem(404, "unknown-ltm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_lasts_as_long_as_allowed_and_what_it_asks_for_is_checked() {
    let stack = Stack::with(&[("LTM__API__MAX_WAIT", "50ms")]);
    let (id, _) = active(&stack.api).await;
    for query in [
        "status=finished&timeout=1h",
        "status=finished",
        "status=finished&timeout=1ms",
    ] {
        assert_eq!(wait(&stack.api, id, query).await.status, 204, "{query}");
    }
    for (query, kind, field) in [
        ("", "invalid-request", "status"),
        ("status=,", "invalid-request", "status"),
        ("status=a&timeout=soon", "invalid-request", "timeout"),
        ("status=a&timeout=-1s", "invalid-request", "timeout"),
        ("after=soon", "invalid-cursor", "after"),
    ] {
        let answer = wait(&stack.api, id, query).await;
        let status = answer.status.as_u16();
        assert_eq!(answer.problem(status, kind)["field"], field, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_requests_wait_as_allowed() {
    let stack = Stack::with(&[("LTM__API__MAX_WAITS", "2")]);
    let (id, _) = active(&stack.api).await;
    let waits = [0, 1].map(|_| {
        let api = stack.api.clone();
        // The one below may be in its place for a moment.
        tokio::spawn(async move {
            loop {
                let answer = wait(&api, id, "status=finished&timeout=50s").await;
                if answer.status != 503 {
                    return answer;
                }
            }
        })
    });
    until("a third one is refused", async || {
        wait(&stack.api, id, "status=active").await.status == 503
    })
    .await;
    let refused = wait(&stack.api, id, "status=active").await;
    refused.problem(503, "over-limit");
    stack.api_service.until_logged("api.max_waits").await;
    stack.api.append(id, status("finished")).await;
    for waits in waits {
        waits.await.unwrap().expect(200);
    }
    wait(&stack.api, id, "status=finished").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_makes_room_at_once() {
    let stack = Stack::with(&[("LTM__API__MAX_WAITS", "1")]);
    let (id, _) = active(&stack.api).await;
    let request = format!(
        "GET /api/v0/ltm/{id}/wait?status=finished&timeout=50s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    );
    for leaves in [true, false] {
        let address = stack.api_service.address();
        let mut client = until("the request waits", async || {
            // It is refused if a look of an earlier round has the only place just then.
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(request.as_bytes()).await.unwrap();
            let mut answer = [0];
            let refused = timeout(Duration::from_millis(100), client.peek(&mut answer));
            let waits = refused.await.is_err();
            let look = wait(&stack.api, id, "status=active").await;
            (waits && look.status == 503).then_some(client)
        })
        .await;
        if leaves {
            drop(client);
        } else {
            // It sends nothing more, but reads its answer.
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        }
        until("there is room again", async || {
            wait(&stack.api, id, "status=active").await.status == 200
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_one_ltm_share_the_looks_at_redis() {
    let stack = Stack::with(&[("LTM__API__WAIT_INTERVAL", "20ms")]);
    let (id, _) = active(&stack.api).await;
    let before = looks(&stack);
    let waits = (0..50).map(|_| wait(&stack.api, id, "status=finished&timeout=1s"));
    for answer in join_all(waits).await {
        assert_eq!(answer.status, 204);
    }
    // One look of each as it comes, and then one every 20 ms for all. Alone they would look 2,500 times.
    let looks = looks(&stack) - before;
    assert!((2..400).contains(&looks), "{looks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_ends_its_waits() {
    let mut stack = Stack::with(&[("LTM__API__DRAIN_TIME", "50s")]);
    let (id, _) = active(&stack.api).await;
    let before = looks(&stack);
    let waits = waiting(&stack.api, id, "status=finished&timeout=55s");
    until("the request waits", async || looks(&stack) > before).await;
    stack.api_service.signal("TERM");
    assert_eq!(waits.await.unwrap().status, 204);
    assert!(stack.api_service.wait().success());
}
