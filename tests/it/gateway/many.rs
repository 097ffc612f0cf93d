//! One WebSocket that follows many LTMs, each from its own cursor.

use std::collections::HashMap;

use ltm_tests::{Follower, Stack, Subscriber};
use reqwest::Method;
use serde_json::{Value, json};

async fn connect(stack: &Stack) -> Subscriber {
    Subscriber::connect(&stack.gateway.ws("/ws")).await.unwrap()
}

async fn say(subscriber: &mut Subscriber, command: Value) {
    assert!(subscriber.say(&command.to_string()).await);
}

/// The code and the reason of an LTM's end.
fn end_of(message: &Value) -> (u64, &str) {
    let end = &message["end"];
    (
        end["code"].as_u64().unwrap_or_else(|| panic!("{message}")),
        end["reason"].as_str().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_ltm_comes_whole_and_in_order_wherever_the_socket_is_cut() {
    let stack = Stack::start();
    let mut followers = HashMap::new();
    for _ in 0..20 {
        let (id, _) = stack.api.create(json!({"n": 0})).await;
        followers.insert(id, Follower::default());
    }
    let ids: Vec<u64> = followers.keys().copied().collect();
    for round in 1..=5 {
        let mut subscriber = connect(&stack).await;
        for (id, follower) in &followers {
            let after = follower.cursor.to_string();
            let after = if follower.seen.is_empty() {
                "0"
            } else {
                &after
            };
            say(&mut subscriber, json!({"follow": id, "after": after})).await;
        }
        for n in 0..5 {
            for &id in &ids {
                let n = round * 10 + n;
                stack.api.append(id, json!({"merge": {"n": n}})).await;
            }
        }
        // The first message of all in the first round is the creation. Cut in the midst of it.
        for _ in 0..60 {
            let message = subscriber.message().await;
            let id = message["id"].as_u64().unwrap();
            followers.get_mut(&id).unwrap().take(&message);
        }
        subscriber.leave().await;
    }
    let mut subscriber = connect(&stack).await;
    for (id, follower) in &followers {
        let after = follower.cursor.to_string();
        say(
            &mut subscriber,
            json!({"follow": id, "after": after, "live": 1}),
        )
        .await;
    }
    let mut live = 0;
    while live < ids.len() {
        let message = subscriber.message().await;
        live += usize::from(message["live"] == true);
        let id = message["id"].as_u64().unwrap();
        followers.get_mut(&id).unwrap().take(&message);
    }
    for (id, follower) in followers {
        let document = stack.api.document(id).await;
        assert_eq!(follower.state, document["state"]);
        assert_eq!(follower.cursor.to_string(), document["cursor"]);
        assert_eq!(follower.seen.len(), 26, "LTM {id}: each once");
        assert!(follower.resets.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_unfollow_nothing_more_comes_and_it_can_be_followed_again() {
    let stack = Stack::start();
    let (one, first) = stack.api.create(json!({"n": 0})).await;
    let (other, _) = stack.api.create(json!({"n": 0})).await;
    let mut subscriber = connect(&stack).await;
    say(&mut subscriber, json!({"follow": one, "init": "state"})).await;
    assert_eq!(
        subscriber.message().await["reset"]["state"],
        json!({"n": 0})
    );
    say(&mut subscriber, json!({"follow": other, "live": true})).await;
    assert_eq!(subscriber.message().await["live"], true);
    say(&mut subscriber, json!({"unfollow": one})).await;
    let message = subscriber.message().await;
    assert_eq!(
        (message["id"].as_u64(), end_of(&message).0),
        (Some(one), 1000)
    );
    for n in 1..=3 {
        stack.api.append(one, json!({"merge": {"n": n}})).await;
        stack.api.append(other, json!({"merge": {"n": n}})).await;
        assert_eq!(subscriber.message().await["id"], other);
    }
    say(&mut subscriber, json!({"follow": one, "after": first})).await;
    for n in 1..=3 {
        let message = subscriber.message().await;
        assert_eq!(message["id"], one);
        assert_eq!(message["snapshot"]["patch"][0]["value"], n);
    }
    // Asked for once more, it begins there anew: it is still sent once.
    let cursor = stack.api.document(one).await["cursor"].clone();
    say(
        &mut subscriber,
        json!({"follow": one, "after": cursor, "live": 1}),
    )
    .await;
    assert_eq!(subscriber.message().await["live"], true);
    stack.api.append(one, json!({"merge": {"n": 4}})).await;
    stack.api.append(other, json!({"merge": {"n": 4}})).await;
    let mut ids =
        [subscriber.message().await, subscriber.message().await].map(|it| it["id"].as_u64());
    ids.sort_unstable();
    assert_eq!(ids, [Some(one), Some(other)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_close_a_socket_of_its_own_ends_one_ltm_and_the_others_go_on() {
    let stack = Stack::with(&[("LTM__GATEWAY__MAX_FOLLOWS", "2")]);
    let (kept, _) = stack.api.create(json!({"n": 0})).await;
    let (gone, _) = stack.api.create(json!({"n": 0})).await;
    let (third, _) = stack.api.create(json!({"n": 0})).await;
    let mut subscriber = connect(&stack).await;
    for id in [kept, gone] {
        say(&mut subscriber, json!({"follow": id, "live": 1})).await;
        assert_eq!(subscriber.message().await["live"], true);
    }
    // A client that names an LTM by its key learns which id ends.
    let keyed = json!({"fqn": "app.Agent", "key": "k"});
    let created = stack.api.post("/ltm", &keyed).await.expect(200);
    say(&mut subscriber, json!({"follow": keyed})).await;
    let expected = json!({"id": created["id"], "follow": keyed});
    assert_eq!(subscriber.message().await, expected);
    let message = subscriber.message().await;
    assert_eq!(message["id"], created["id"]);
    assert_eq!(end_of(&message).0, 1013, "{message}");
    let cases = [
        (
            json!({"follow": third}),
            json!(third),
            1013,
            "gateway.max_follows",
        ),
        (
            json!({"follow": kept, "after": "x"}),
            json!(kept),
            4400,
            "cursor",
        ),
        (
            json!({"follow": kept, "init": "x"}),
            json!(kept),
            4400,
            "init",
        ),
        (json!({"follow": 999}), json!(999), 4404, "999"),
        (json!({"follow": "x"}), Value::Null, 4400, "follow"),
        (json!({"unfollow": -1}), Value::Null, 4400, "unfollow"),
    ];
    for (command, id, code, named) in cases {
        say(&mut subscriber, command.clone()).await;
        let message = subscriber.message().await;
        assert_eq!(message["id"], id, "{command}: {message}");
        let (is, reason) = end_of(&message);
        assert!(is == code && reason.contains(named), "{command}: {message}");
    }
    // Other talk is ignored, as on every socket.
    for text in ["hello", r#"{"ping":1}"#, "[]"] {
        assert!(subscriber.say(text).await);
    }
    let delete = stack.api.request(Method::DELETE, &format!("/ltm/{gone}"));
    stack.api.send(delete).await.expect(200);
    assert_eq!(subscriber.message().await["deleted"], true);
    assert_eq!(end_of(&subscriber.message().await).0, 4410);
    say(&mut subscriber, json!({"follow": kept, "after": "0"})).await;
    assert_eq!(subscriber.message().await["snapshot"]["reason"], "start");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_may_ask_for_as_many_as_it_may_follow_at_once_and_no_more_than_that() {
    let stack = Stack::with(&[
        ("LTM__GATEWAY__MAX_FOLLOWS", "40"),
        ("LTM__GATEWAY__MAX_MESSAGES", "5"),
    ]);
    let mut subscriber = connect(&stack).await;
    for id in 1000..1045 {
        say(&mut subscriber, json!({"follow": id})).await;
    }
    for _ in 0..45 {
        // Beyond the limit, unless others have ended before.
        let code = end_of(&subscriber.message().await).0;
        assert!(matches!(code, 4404 | 1013), "{code}");
    }
    subscriber.say(r#"{"follow": 1}"#).await;
    assert_eq!(subscriber.close_code().await, 1008);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_closes_the_whole_socket() {
    let mut stack = Stack::with(&[
        ("LTM__GATEWAY__DRAIN_NOTICE", "0s"),
        ("LTM__GATEWAY__DRAIN_TIME", "200ms"),
    ]);
    let (id, _) = stack.api.create(json!({})).await;
    let mut subscriber = connect(&stack).await;
    say(&mut subscriber, json!({"follow": id, "live": 1})).await;
    assert_eq!(subscriber.message().await["live"], true);
    stack.gateway.signal("TERM");
    assert_eq!(subscriber.close_code().await, 1012);
    assert!(stack.gateway.wait().success());
}
