//! What a subscriber is sent, and told where it cannot be.

use std::time::Duration;

use ltm_tests::{Api, Follower, Network, RedisServer, Service, Stack, Subscriber, until};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::lost_tails::{fall_back, keep};

async fn follow(gateway: &Service, id: u64, query: &str) -> Subscriber {
    Subscriber::connect(&gateway.ws(&format!("/ws/{id}{query}")))
        .await
        .unwrap()
}

/// Appends `{"n": n}`; gives the cursor.
async fn append(api: &Api, id: u64, n: u64) -> String {
    let appended = api.append(id, json!({"merge": {"n": n}})).await;
    appended["cursor"].as_str().unwrap().into()
}

fn value(message: &Value) -> &Value {
    &message["snapshot"]["patch"][0]["value"]
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_begins_where_it_asked_to_and_hears_when_that_is_done() {
    let stack = Stack::start();
    let (api, gateway) = (&stack.api, &stack.gateway);
    let (id, created) = api.create(json!({"n": 0})).await;
    append(api, id, 1).await;
    let head = append(api, id, 2).await;
    let marker = json!({"id": id, "cursor": head, "live": true});

    let mut live = follow(gateway, id, "?live=1").await;
    assert_eq!(live.message().await, marker);
    let mut after = follow(gateway, id, &format!("?after={created}&live=1")).await;
    assert_eq!(value(&after.message().await), 1);
    assert_eq!(value(&after.message().await), 2);
    assert_eq!(after.message().await, marker);
    let mut at_head = follow(gateway, id, &format!("?after={head}&live=1")).await;
    assert_eq!(at_head.message().await, marker);
    let mut all = follow(gateway, id, "?after=0&live=true").await;
    let first = all.message().await;
    assert_eq!(first["snapshot"]["reason"], "start");
    assert_eq!(first["cursor"], created);
    assert_eq!(value(&all.message().await), 1);
    assert_eq!(value(&all.message().await), 2);
    assert_eq!(all.message().await, marker);
    let mut state = follow(gateway, id, "?init=state&live=1").await;
    let reset = json!({"reason": "requested", "state": {"n": 2}, "snapshots_count": 3});
    assert_eq!(
        state.message().await,
        json!({"id": id, "cursor": head, "reset": reset})
    );
    assert_eq!(state.message().await, marker);

    append(api, id, 3).await;
    for subscriber in [&mut live, &mut after, &mut at_head, &mut all, &mut state] {
        assert_eq!(value(&subscriber.message().await), 3);
    }
}

/// The reference's clients fetch the document once the socket is open.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_appended_after_the_handshake_is_live() {
    let redis = RedisServer::start(&[]);
    let network = Network::to(&redis.address()).await;
    let gateway = Service::gateway(&format!("redis://{}/0", network.address()), &[]);
    Api::at(&gateway).until_ready_is(200).await;
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let (id, _) = api.create(json!({"n": 0})).await;
    // The gateway cannot know the head of the log while its question is held back. If it answered the handshake now, it
    // would miss what is appended before it knows.
    let held = network.held();
    network.hold();
    let connecting = follow(&gateway, id, "");
    let mut connecting = std::pin::pin!(connecting);
    let asks = until("the gateway asks Redis for the head", async || {
        network.held() > held
    });
    let early = async {
        tokio::select! {
            biased;
            _ = &mut connecting => true,
            () = asks => timeout(Duration::from_millis(200), &mut connecting).await.is_ok(),
        }
    };
    assert!(!early.await, "the gateway answers before it knows the head");
    network.release();
    let mut subscriber = connecting.await;
    append(&api, id, 1).await;
    assert_eq!(value(&subscriber.message().await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_path_and_a_trailing_slash_are_the_same() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    for path in ["/ws/", "/api/v0/ws/"] {
        for end in ["", "/"] {
            let url = stack.gateway.ws(&format!("{path}{id}{end}?after=0"));
            let mut subscriber = Subscriber::connect(&url).await.unwrap();
            assert_eq!(subscriber.message().await["snapshot"]["reason"], "start");
        }
    }
}

/// Asks for a WebSocket, without the help of a library.
async fn upgrade(gateway: &Service, method: Method, path: &str, origin: Option<&str>) -> Response {
    let mut request = Client::new()
        .request(method, format!("{}{path}", gateway.http()))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_said_before_the_upgrade() {
    let stack = Stack::start();
    for (path, status, kind, field) in [
        ("/ws/1?after=soon", 400, "invalid-cursor", "after"),
        ("/ws/1?after=1-01", 400, "invalid-cursor", "after"),
        ("/ws/1?after=", 400, "invalid-cursor", "after"),
        ("/ws/x", 422, "invalid-request", "id"),
        ("/ws/0", 422, "invalid-request", "id"),
        ("/ws/18446744073709551616", 422, "invalid-request", "id"),
        ("/ws/1?init=all", 422, "invalid-request", "init"),
        ("/ws/1?init=state&after=0", 422, "invalid-request", "init"),
        ("/ws/1?live=maybe", 422, "invalid-request", "live"),
    ] {
        let answer = upgrade(&stack.gateway, Method::GET, path, None).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(
            problem["type"],
            format!("urn:ltm-live:problem:{kind}"),
            "{path}"
        );
        assert_eq!(problem["field"], field, "{path}");
    }
    let answer = upgrade(&stack.gateway, Method::POST, "/ws/1", None).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["allow"]),
        (405, &"GET, HEAD".parse().unwrap())
    );
    let plain = Api::at(&stack.gateway).get_root("/ws/1").await;
    plain.problem(422, "invalid-request");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_the_named_origins_may_follow() {
    let stack = Stack::with(&[("LTM__CORS__ORIGINS", "https://app.example")]);
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ws/{id}");
    for (origin, status) in [
        (None, 101),
        (Some("https://app.example"), 101),
        (Some("https://evil.example"), 403),
        (Some("https://app.example.evil.example"), 403),
        (Some("null"), 403),
    ] {
        let answer = upgrade(&stack.gateway, Method::GET, &path, origin).await;
        assert_eq!(answer.status(), status, "{origin:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ltm_that_is_not_there_closes_4404() {
    let stack = Stack::start();
    for query in ["", "?after=0", "?init=state"] {
        let mut subscriber = follow(&stack.gateway, 7, query).await;
        assert_eq!(subscriber.close_code().await, 4404, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_log_lost_its_end_nobody_is_left_with_a_wrong_state() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    append(&stack.api, id, 1).await;
    keep(&stack.redis, id);
    let mut knows = follow(&stack.gateway, id, "?after=0").await;
    let mut follower = Follower::default();
    let mut plain = follow(&stack.gateway, id, "?live=1").await;
    plain.message().await;
    let lost = append(&stack.api, id, 2).await;
    while follower.seen.len() < 3 {
        follower.take(&knows.message().await);
    }
    assert_eq!(value(&plain.message().await), 2);

    fall_back(&stack.redis, id);
    // The engine goes on at another API, which has not seen what was lost.
    let other = Service::api(&stack.redis.url(), &[]);
    append_otherwise(&Api::at(&other), id).await;
    assert_eq!(plain.close_code().await, 4409);
    while follower.state != json!({"n": 0, "m": 4}) {
        follower.take(&knows.message().await);
    }
    assert_eq!(follower.resets, ["forked"]);

    let mut late = follow(&stack.gateway, id, &format!("?after={lost}")).await;
    let reset = late.message().await;
    assert_eq!(reset["reset"]["reason"], "forked");
    assert_eq!(reset["reset"]["state"], json!({"n": 0, "m": 4}));
    assert_eq!(reset["reset"]["snapshots_count"], 4);
}

/// Leads to `{"n": 0, "m": 4}` by two entries.
async fn append_otherwise(api: &Api, id: u64) {
    api.append(id, json!({"merge": {"m": 3, "n": 0}})).await;
    api.append(id, json!({"merge": {"m": 4}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_holds_what_was_lost_does_not_build_on_it() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    keep(&stack.redis, id);
    append(&stack.api, id, 1).await;
    fall_back(&stack.redis, id);
    stack.api.append(id, json!({"merge": {"m": 2}})).await;
    let document = stack.api.document(id).await;
    assert_eq!(document["state"], json!({"n": 0, "m": 2}));
    assert_eq!(document["snapshots"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_was_trimmed_away_gets_the_state() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "2")]);
    let (id, created) = stack.api.create(json!({"n": 0})).await;
    for n in 1..=10 {
        append(&stack.api, id, n).await;
    }
    let key = |name: &str| format!("ltm:{{{id}}}:{name}");
    let checkpoint = until("the checkpoint is nearly at the head", async || {
        let checkpoint = stack.redis.cli(&["HGET", &key("checkpoint"), "cursor"]);
        let near = checkpoint.starts_with("10-") || checkpoint.starts_with("11-");
        if near {
            Ok(checkpoint)
        } else {
            Err(checkpoint)
        }
    })
    .await;
    stack
        .redis
        .cli(&["XTRIM", &key("log"), "MINID", &checkpoint]);
    for after in ["0", &created] {
        let mut subscriber = follow(&stack.gateway, id, &format!("?after={after}")).await;
        let reset = subscriber.message().await;
        assert_eq!(reset["reset"]["reason"], "trimmed", "{after}");
        assert_eq!(reset["reset"]["state"], json!({"n": 10}));
    }
    append(&stack.api, id, 11).await;
    let now = stack.api.get(&format!("/ltm/{id}/state")).await.expect(200);
    assert_eq!(now["state"], json!({"n": 11}));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told_that_it_has_caught_up_even_where_the_gateway_has_not_heard_of_it() {
    let stack = Stack::start();
    let (id, mut after) = stack.api.create(json!({"n": 0})).await;
    // The gateway follows it, and knows where its log is.
    let mut first = subscribe(&stack, id, "?after=0").await;
    first.message().await;
    for n in 1..=10 {
        // What is appended now, the gateway hears of when it has connected again.
        stack.redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        let appended = stack.api.append(id, json!({"merge": {"n": n}})).await;
        let mut subscriber = subscribe(&stack, id, &format!("?after={after}&live=1")).await;
        assert_eq!(subscriber.message().await["cursor"], appended["cursor"]);
        let live = subscriber.message().await;
        assert_eq!(
            (&live["live"], &live["cursor"]),
            (&json!(true), &appended["cursor"])
        );
        after = appended["cursor"].as_str().unwrap().into();
        first.message().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_hears_of_the_end_even_where_the_gateway_never_heard_of_the_ltm() {
    let redis = RedisServer::start(&[]);
    redis.cli(&[
        "ACL", "SETUSER", "gateway", "on", ">pw", "~*", "&*", "+@all",
    ]);
    let service = Service::api(&redis.url(), &[]);
    let api = Api::at(&service);
    let gateway = Service::gateway(
        &redis.url_as("gateway", "pw"),
        &[("LTM__GATEWAY__SWEEP_INTERVAL", "2s")],
    );
    Api::at(&gateway).until_ready_is(200).await;
    // Only the comparison with Redis, from time to time, tells the gateway from here on.
    redis.cli(&["ACL", "SETUSER", "gateway", "-subscribe"]);
    let (id, _) = api.create(json!({"n": 0})).await;
    let mut subscriber = follow(&gateway, id, "?init=state").await;
    assert_eq!(subscriber.message().await["reset"]["state"]["n"], 0);
    let delete = api.request(Method::DELETE, &format!("/ltm/{id}"));
    api.send(delete).await.expect(200);
    assert_eq!(subscriber.message().await["deleted"], true);
    assert_eq!(subscriber.close_code().await, 4410);
}

async fn subscribe(stack: &Stack, id: u64, query: &str) -> Subscriber {
    let url = stack.gateway.ws(&format!("/ws/{id}{query}"));
    Subscriber::connect(&url).await.unwrap()
}
