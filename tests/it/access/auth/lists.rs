//! Lists and counts show what the caller's grant covers.

use ltm_tests::until;
use reqwest::Method;
use serde_json::{Value, json};

use super::Guarded;

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_filtered_lists_have_only_what_the_caller_may_see() {
    let guarded = Guarded::start();
    let mut ids = Vec::new();
    for (class, status) in [
        ("app.Agent", "error"),
        ("app.Agent", "active"),
        ("lib.Agent", "error"),
        ("lib.Other", "error"),
    ] {
        let body = json!({"fqn": class, "name": "a run", "state": {"_status": status}});
        let request = guarded.api.request(Method::POST, "/ltm").json(&body);
        ids.push(guarded.send(request, &guarded.admin()).await.1["id"].clone());
    }
    let counts = async |token: &str, expected: Value| {
        until("the counts are these", async || {
            let request = guarded.api.request(Method::GET, "/ltm/counts");
            let (status, counts) = guarded.send(request, token).await;
            assert_eq!(status, 200);
            if counts == expected {
                Ok(())
            } else {
                Err(counts)
            }
        })
        .await;
    };
    let all = json!({"total": 4, "status": {"error": 3, "active": 1}, "fqn": {"app.Agent": 2, "lib.Agent": 1, "lib.Other": 1}});
    counts(&guarded.token("*", "read"), all).await;
    let app = json!({"total": 2, "status": {"error": 1, "active": 1}, "fqn": {"app.Agent": 2}});
    counts(&guarded.token("app.*", "read"), app).await;
    // An id counts once, also if its class is covered.
    let some = guarded.token(json!(["lib.Agent", ids[2], ids[0]]), "read");
    let counted =
        json!({"total": 2, "status": {"error": 2}, "fqn": {"app.Agent": 1, "lib.Agent": 1}});
    counts(&some, counted).await;

    let list = guarded
        .api
        .request(Method::GET, "/ltm?status=error&name=run");
    let (_, rows) = guarded.send(list, &some).await;
    let listed: Vec<&Value> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["id"])
        .collect();
    assert_eq!(listed, [&ids[2], &ids[0]]);
    assert_eq!(guarded.api.get("/ltm/counts").await.status, 401);
}
