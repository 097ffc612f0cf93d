//! Filtered lists, live: `/ws/ltms` and `/sse/ltms`.

use ltm_tests::{Api, Events, Stack, Subscriber};
use reqwest::Method;
use serde_json::{Value, json};

/// Reads often, so that a test need not wait long.
const OFTEN: (&str, &str) = ("LTM__GATEWAY__LIST_INTERVAL", "20ms");

async fn create(api: &Api, status: &str) -> u64 {
    let body = json!({"fqn": "app.Agent", "state": {"_status": status}});
    let created = api.post("/ltm", &body).await.expect(200);
    created["id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ltm_comes_to_a_filtered_list_and_leaves_it_with_its_status() {
    let stack = Stack::with(&[OFTEN]);
    let api = &stack.api;
    let id = create(api, "active").await;
    create(api, "finished").await;
    let query = "/ws/ltms?status=error,failed&fqn=app.*";
    let mut list = Subscriber::connect(&stack.gateway.ws(query)).await.unwrap();
    assert_eq!(list.message().await["reset"]["rows"], json!([]));
    let error = json!({"merge": {"_status": "error"}});
    api.append(id, error).await;
    let change = list.message().await["change"].clone();
    assert_eq!(
        (&change["rows"][0]["id"], &change["removed"]),
        (&json!(id), &json!([]))
    );
    api.append(id, json!({"merge": {"_status": "active"}}))
        .await;
    let change = list.message().await["change"].clone();
    assert_eq!(
        (&change["rows"], &change["removed"]),
        (&json!([]), &json!([id]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_by_events_sends_what_the_socket_sends_and_resumes_after_the_last_event() {
    let stack = Stack::with(&[OFTEN]);
    let api = &stack.api;
    let id = create(api, "error").await;
    let url = format!("{}/sse/ltms?status=error&live=1", stack.gateway.http());
    let mut events = Events::open(Events::ask(&url, None)).await;
    let first = events.next().await.unwrap();
    assert_eq!(first.json()["reset"]["rows"][0]["id"], id);
    assert_eq!(first.json()["cursor"], first.id.as_str());
    assert_eq!(events.next().await.unwrap().json()["live"], true);
    let other = create(api, "error").await;
    let change = events.next().await.unwrap();
    assert_eq!(change.json()["change"]["rows"][0]["id"], other);
    drop(events);

    // Nothing has changed since the last event.
    let mut events = Events::open(Events::ask(&url, Some(&change.id))).await;
    assert_eq!(events.next().await.unwrap().json()["live"], true);
    api.append(other, json!({"merge": {"_status": "init"}}))
        .await;
    assert_eq!(
        events.next().await.unwrap().json()["change"]["removed"],
        json!([other])
    );
    drop(events);
    let mut events = Events::open(Events::ask(&url, Some(&change.id))).await;
    assert_eq!(
        events.next().await.unwrap().json()["reset"]["reason"],
        "trimmed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_by_events_is_refused_and_named() {
    let stack = Stack::with(&[("LTM__GATEWAY__MAX_LISTS", "1")]);
    let gateway = Api::at(&stack.gateway);
    for (query, field) in [
        ("status=,", "status"),
        ("fqn=*", "fqn"),
        ("after=x", "after"),
        ("limit=0", "limit"),
    ] {
        let problem: Value = gateway.get(&format!("/sse/ltms?{query}")).await.json();
        assert_eq!(problem["field"], field, "{query}: {problem}");
    }
    let url = format!("{}/sse/ltms", stack.gateway.http());
    let mut events = Events::open(Events::ask(&url, None)).await;
    events.next().await.unwrap();
    let answer = gateway.get("/sse/ltms?status=other").await;
    answer.problem(503, "over-limit");
    // HEAD gets the headers, and follows nothing.
    let head = gateway
        .request(Method::HEAD, "/sse/ltms")
        .send()
        .await
        .unwrap();
    assert_eq!(head.headers()["content-type"], "text/event-stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_ends_the_events_of_a_list() {
    let stack = Stack::with(&[
        OFTEN,
        ("LTM__GATEWAY__DRAIN_NOTICE", "0s"),
        ("LTM__GATEWAY__DRAIN_TIME", "0s"),
    ]);
    let url = format!("{}/sse/ltms", stack.gateway.http());
    let mut events = Events::open(Events::ask(&url, None)).await;
    events.next().await.unwrap();
    stack.gateway.signal("TERM");
    let end = events.next().await.unwrap();
    assert_eq!(
        (end.name.as_str(), end.json()["id"].clone()),
        ("end", Value::Null)
    );
    assert_eq!(end.json()["end"]["code"], 1012);
    assert_eq!(events.next().await, None);
}
