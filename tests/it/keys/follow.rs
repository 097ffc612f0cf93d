//! Following an LTM by its key.

use ltm_tests::{Events, Stack, Subscriber};
use serde_json::{Value, json};

use super::{delete, get_or_create};

const KEY: &str = "app.Agent/thread%2F7";

async fn created(stack: &Stack) -> u64 {
    let created = get_or_create(&stack.api, "thread/7").await;
    created["id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_and_a_stream_by_key_deliver_what_those_by_id_deliver() {
    let stack = Stack::start();
    let id = created(&stack).await;
    for n in 1..4 {
        stack.api.append(id, json!({"merge": {"n": n}})).await;
    }
    for base in ["", "/api/v0"] {
        let mut messages = Vec::new();
        for name in [&id.to_string(), &format!("by-key/{KEY}")] {
            let url = stack
                .gateway
                .ws(&format!("{base}/ws/{name}?after=0&live=1"));
            let mut subscriber = Subscriber::connect(&url).await.unwrap();
            let url = format!("{}{base}/sse/{name}?after=0&live=1", stack.gateway.http());
            let mut events = Events::open(Events::ask(&url, None)).await;
            for _ in 0..5 {
                let message = subscriber.message().await;
                let event = events.next().await.unwrap().json();
                assert_eq!(message, event);
                assert_eq!(message["id"], id);
                messages.push(message);
            }
        }
        assert_eq!(messages[..5], messages[5..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_ltm_has_closes_with_4404_and_a_deleted_one_with_4410() {
    let stack = Stack::start();
    created(&stack).await;
    let code = async |path: &str| {
        let url = stack.gateway.ws(path);
        Subscriber::connect(&url).await.unwrap().close_code().await
    };
    assert_eq!(code("/ws/by-key/app.Agent/none").await, 4404);
    let deleted = delete(&stack.api, &format!("/ltm/by-key/{KEY}")).await;
    let deleted = deleted.expect(200);
    let url = stack.gateway.ws(&format!("/ws/by-key/{KEY}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    assert_eq!(subscriber.message().await["deleted"], true);
    assert_eq!(subscriber.close_code().await, 4410);
    let status = async |path: &str| {
        let url = format!("{}{path}", stack.gateway.http());
        reqwest::get(url).await.unwrap().status().as_u16()
    };
    assert_eq!(status("/sse/by-key/app.Agent/none").await, 404);
    let last = deleted["cursor"].as_str().unwrap();
    let path = format!("/sse/by-key/{KEY}?lastEventId={last}");
    assert_eq!(status(&path).await, 204);
    for segment in ["%ff", "%00", "%zz"] {
        let path = format!("/sse/by-key/app.Agent/{segment}");
        assert_eq!(status(&path).await, 422, "{segment}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_socket_follows_many_keys_and_says_which_id_each_has() {
    let stack = Stack::start();
    let mut ids = Vec::new();
    for number in 0..5 {
        let created = get_or_create(&stack.api, &format!("key-{number}")).await;
        ids.push(created["id"].as_u64().unwrap());
    }
    let url = stack.gateway.ws("/ws");
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let named = |number: usize| json!({"fqn": "app.Agent", "key": format!("key-{number}")});
    for (number, id) in ids.iter().enumerate() {
        let follow = json!({"follow": named(number), "init": "state"});
        assert!(subscriber.say(&follow.to_string()).await);
        let first = subscriber.message().await;
        assert_eq!(first, json!({"id": id, "follow": named(number)}));
        assert_eq!(
            subscriber.message().await["reset"]["state"],
            json!({"n": 0})
        );
    }
    stack.api.append(ids[3], json!({"merge": {"n": 1}})).await;
    assert_eq!(subscriber.message().await["id"], ids[3]);

    // By its text, and by its key, which the socket knows.
    subscriber
        .say(&json!({"unfollow": ids[3].to_string()}).to_string())
        .await;
    let end = subscriber.message().await;
    assert_eq!(
        (&end["id"], &end["end"]["code"]),
        (&json!(ids[3]), &json!(1000))
    );
    subscriber
        .say(&json!({"unfollow": named(2)}).to_string())
        .await;
    let end = subscriber.message().await;
    assert_eq!(
        (&end["id"], &end["end"]["code"]),
        (&json!(ids[2]), &json!(1000))
    );
    for id in [2, 3, 4] {
        stack.api.append(ids[id], json!({"merge": {"n": 2}})).await;
    }
    assert_eq!(subscriber.message().await["id"], ids[4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_socket_for_many_a_key_that_no_ltm_has_ends_with_its_name() {
    let stack = Stack::start();
    created(&stack).await;
    let url = stack.gateway.ws("/ws");
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let none = json!({"fqn": "app.Agent", "key": "none"});
    for (command, code) in [("follow", 4404), ("unfollow", 1000)] {
        subscriber.say(&json!({command: none}).to_string()).await;
        let end = subscriber.message().await;
        let expected = (&Value::Null, &none, &json!(code));
        assert_eq!((&end["id"], &end["follow"], &end["end"]["code"]), expected);
    }
    for wrong in [
        r#"{"follow":{"fqn":"app.Agent"}}"#,
        r#"{"follow":{"fqn":"app.Agent","key":""}}"#,
        r#"{"follow":"app.Agent/none"}"#,
    ] {
        subscriber.say(wrong).await;
        assert_eq!(subscriber.message().await["end"]["code"], 4400, "{wrong}");
    }
}
