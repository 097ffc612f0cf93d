//! A list of LTMs, live: `/ws/ltms`.

use std::cmp::Reverse;

use ltm_tests::{Api, Heard, RedisServer, Scrape, Service, Stack, Subscriber, until};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

/// A client as the documentation describes it.
#[derive(Default)]
struct List {
    rows: Vec<Value>,
    cursor: String,
    resets: Vec<String>,
    /// Changes that came.
    changes: usize,
}

impl List {
    fn take(&mut self, message: &Value) {
        if let Some(reset) = message.get("reset") {
            self.rows = reset["rows"].as_array().unwrap().clone();
            self.resets.push(reset["reason"].as_str().unwrap().into());
        } else if let Some(change) = message.get("change") {
            self.change(change);
        } else {
            assert_eq!(message["live"], true, "{message}");
            assert_eq!(message["cursor"], self.cursor.as_str());
        }
        self.cursor = message["cursor"].as_str().unwrap().into();
    }

    fn change(&mut self, change: &Value) {
        self.changes += 1;
        let id = |row: &Value| row["id"].as_u64().unwrap();
        for gone in change["removed"].as_array().unwrap() {
            let before = self.rows.len();
            self.rows.retain(|row| row["id"] != *gone);
            assert_eq!(self.rows.len(), before - 1, "it was there");
        }
        for row in change["rows"].as_array().unwrap() {
            assert!(!self.rows.contains(row), "it was so before: {row}");
            self.rows.retain(|it| id(it) != id(row));
            self.rows.push(row.clone());
        }
        self.rows.sort_by_key(|row| Reverse(id(row)));
    }

    /// Takes messages until the rows are these.
    async fn until_shows(&mut self, subscriber: &mut Subscriber, rows: &Value) {
        while json!(self.rows) != *rows {
            self.take(&subscriber.message().await);
        }
    }

    fn statuses(&self) -> Vec<&str> {
        self.rows
            .iter()
            .map(|row| row["status"].as_str().unwrap_or("?"))
            .collect()
    }
}

/// Reads often, so that a test need not wait long.
const OFTEN: (&str, &str) = ("LTM__GATEWAY__LIST_INTERVAL", "20ms");

async fn rows(api: &Api, query: &str) -> Value {
    api.get(&format!("/ltm?{query}")).await.expect(200)
}

async fn create(api: &Api, fqn: &str, status: &str) -> u64 {
    let body = json!({"fqn": fqn, "state": {"_status": status}});
    let created = api.post("/ltm", &body).await.expect(200);
    created["id"].as_u64().unwrap()
}

async fn delete(api: &Api, id: u64) {
    let path = format!("/ltm/{id}");
    let answer = api.send(api.request(Method::DELETE, &path)).await;
    assert!(answer.status.is_success(), "{}", answer.text);
}

async fn connect(gateway: &Service, query: &str) -> Subscriber {
    let url = gateway.ws(&format!("/ws/ltms?{query}"));
    Subscriber::connect(&url).await.unwrap()
}

/// The answer to a handshake that is refused.
async fn refusal(gateway: &Service, query: &str) -> Value {
    let url = gateway.ws(&format!("/ws/ltms?{query}"));
    match Subscriber::connect(&url).await.map_err(|e| *e) {
        Err(Error::Http(response)) => {
            serde_json::from_slice(response.body().as_ref().unwrap()).unwrap()
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it is not refused"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_changed_and_deleted_is_told_until_the_list_is_what_the_api_says() {
    let stack = Stack::with(&[OFTEN]);
    let api = &stack.api;
    create(api, "app.Agent", "init").await;
    let mut subscriber = connect(&stack.gateway, "live=1").await;
    let mut list = List::default();
    list.take(&subscriber.message().await);
    assert_eq!(list.resets, ["requested"]);
    assert_eq!(subscriber.message().await["live"], true);

    let second = create(api, "app.Agent", "active").await;
    list.until_shows(&mut subscriber, &rows(api, "").await)
        .await;
    assert_eq!(list.statuses(), ["active", "init"]);
    let finished = json!({"merge": {"_status": "finished"}});
    api.append(second, finished).await;
    list.until_shows(&mut subscriber, &rows(api, "").await)
        .await;
    assert_eq!(list.rows[0]["snapshots_count"], 2);
    assert_eq!(list.statuses(), ["finished", "init"]);
    delete(api, second).await;
    list.until_shows(&mut subscriber, &rows(api, "").await)
        .await;
    assert_eq!((list.rows.len(), list.resets.len()), (1, 1));

    // Nothing of another list came, and nothing twice.
    let before = list.changes;
    api.post("/ltm", &json!({"fqn": "app.Agent", "playground": true}))
        .await
        .expect(200);
    create(api, "app.Agent", "active").await;
    list.until_shows(&mut subscriber, &rows(api, "").await)
        .await;
    assert_eq!(list.changes, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_stays_as_long_as_was_asked_for_and_says_where_the_next_one_begins() {
    let stack = Stack::with(&[OFTEN]);
    let api = &stack.api;
    for _ in 0..3 {
        create(api, "app.Agent", "init").await;
    }
    create(api, "other.Agent", "init").await;
    let query = "limit=2&fqn=app.Agent";
    let mut subscriber = connect(&stack.gateway, query).await;
    let first = subscriber.message().await;
    assert_eq!(first["reset"]["next"], 2);
    let mut list = List::default();
    list.take(&first);
    let newest = create(api, "app.Agent", "init").await;
    let message = subscriber.message().await;
    assert_eq!(message["change"]["removed"], json!([2]));
    assert_eq!(message["change"]["next"], 3);
    assert_eq!(message["change"]["rows"][0]["id"], newest);
    list.take(&message);
    assert_eq!(json!(list.rows), rows(api, query).await);

    // The next page moves up where one of the first page is deleted.
    let query = "limit=2&fqn=app.Agent&before=3";
    let mut subscriber = connect(&stack.gateway, query).await;
    let mut list = List::default();
    list.take(&subscriber.message().await);
    assert_eq!(json!(list.rows), rows(api, query).await);
    delete(api, 1).await;
    list.until_shows(&mut subscriber, &rows(api, query).await)
        .await;
    assert_eq!(list.rows.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_goes_on_at_any_gateway_where_nothing_changed_and_else_gives_the_whole_list() {
    let mut stack = Stack::with(&[OFTEN]);
    let other = Service::gateway(&stack.redis.url(), &[OFTEN]);
    create(&stack.api, "app.Agent", "init").await;
    let mut subscriber = connect(&stack.gateway, "after=0").await;
    let mut list = List::default();
    list.take(&subscriber.message().await);
    stack.gateway.kill();
    while !matches!(subscriber.hear().await, Heard::Lost) {}

    let resume = format!("after={}&live=1", list.cursor);
    let mut subscriber = connect(&other, &resume).await;
    let message = subscriber.message().await;
    assert_eq!(message["live"], true, "nothing was missed: {message}");
    list.take(&message);
    subscriber.leave().await;

    create(&stack.api, "app.Agent", "init").await;
    let mut subscriber = connect(&other, &resume).await;
    list.take(&subscriber.message().await);
    assert_eq!(list.resets, ["requested", "trimmed"]);
    assert_eq!(json!(list.rows), rows(&stack.api, "").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_survives_a_redis_that_goes_and_one_that_has_lost_something() {
    let mut redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let gateway = Service::gateway(&redis.url(), &[OFTEN]);
    create(&api, "app.Agent", "init").await;
    let mut subscriber = connect(&gateway, "").await;
    let mut list = List::default();
    list.take(&subscriber.message().await);
    assert_eq!(list.rows.len(), 1);
    redis.kill();
    let problem = refusal(&gateway, "limit=7").await;
    assert_eq!(problem["type"], "urn:ltm-live:problem:unavailable");
    redis.restart_empty();
    while !list.rows.is_empty() {
        list.take(&subscriber.message().await);
    }
    api.until_ready_is(200).await;
    create(&api, "app.Agent", "active").await;
    list.until_shows(&mut subscriber, &rows(&api, "").await)
        .await;
    assert_eq!(list.resets.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_lists_as_allowed_are_followed_and_each_by_any_number() {
    let stack = Stack::with(&[OFTEN, ("LTM__GATEWAY__MAX_LISTS", "2")]);
    let mut all = Vec::new();
    for query in ["", "", "", "playground=true", "playground=1"] {
        let mut subscriber = connect(&stack.gateway, query).await;
        subscriber.message().await;
        all.push(subscriber);
    }
    let series = "ltm_followed_lists";
    assert!((Scrape::of(&stack.gateway).await.value(series) - 2.0).abs() < 0.1);
    let problem = refusal(&stack.gateway, "limit=3").await;
    assert_eq!(problem["status"], 503);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("gateway.max_lists"), "{detail}");
    for subscriber in all {
        subscriber.leave().await;
    }
    // A list that nobody follows is let go.
    let url = stack.gateway.ws("/ws/ltms?limit=3");
    let connect = async || Subscriber::connect(&url).await;
    let mut subscriber = until("a list is let go", connect).await;
    assert_eq!(subscriber.message().await["reset"]["reason"], "requested");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_refused_and_named() {
    let stack = Stack::start();
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("before=x", "before"),
        ("playground=maybe", "playground"),
        ("after=nonsense", "after"),
        ("live=perhaps", "live"),
    ] {
        let problem = refusal(&stack.gateway, query).await;
        let status = if field == "after" { 400 } else { 422 };
        assert_eq!(problem["status"], status, "{query}: {problem}");
        assert_eq!(problem["field"], field, "{query}: {problem}");
    }
}
