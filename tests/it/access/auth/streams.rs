//! Server-Sent Events, and one socket for many LTMs.

use ltm_tests::{Events, Subscriber};
use serde_json::json;

use super::{Guarded, claims};

#[tokio::test(flavor = "multi_thread")]
async fn events_are_for_who_may_read_and_end_with_the_token() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let url = format!("{}/sse/{id}?after=0", guarded.gateway.http());
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status();
    assert_eq!(status(Events::ask(&url, None)).await, 401);
    let stranger = Events::ask(&url, None).bearer_auth(guarded.token(id + 1, "read"));
    assert_eq!(status(stranger).await, 403);
    let ticket = guarded.ticket(&guarded.token(id, "read")).await;
    let shown = format!("{url}&ticket={ticket}");
    let mut events = Events::open(Events::ask(&shown, None)).await;
    assert_eq!(events.next().await.unwrap().json()["id"], id);
    assert_eq!(status(Events::ask(&shown, None)).await, 401, "it was used");

    let short = guarded.key.token(&claims(id, "read", 4));
    let mut events = Events::open(Events::ask(&url, None).bearer_auth(short)).await;
    let first = events.next().await.unwrap();
    let end = events.next().await.unwrap();
    assert_eq!(end.name, "end");
    assert_eq!(end.json()["end"]["code"], 4401);
    let again = Events::ask(&url, Some(&first.id)).bearer_auth(guarded.token(id, "read"));
    guarded.append(id, 1).await;
    let second = Events::open(again).await.next().await.unwrap().json();
    assert_eq!(second["snapshot"]["patch"][0]["value"], 1, "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_ag_ui_are_for_who_may_read_and_end_in_order_with_the_token() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let http = guarded.gateway.http();
    let post = |path: &str| reqwest::Client::new().post(format!("{http}/agui{path}"));
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status();
    let run = format!("/{id}");
    assert_eq!(status(post(&run)).await, 401);
    assert_eq!(
        status(post(&run).bearer_auth(guarded.token(id + 1, "read"))).await,
        403
    );
    let thread = json!({"threadId": id.to_string()});
    assert_eq!(status(post("/agent/ltm/connect").json(&thread)).await, 401);
    assert_eq!(
        status(post("/agent/app.Agent/connect").json(&thread)).await,
        401,
        "not whether there is one"
    );
    let info = |grant: &str| {
        post("")
            .json(&json!({"method": "info"}))
            .bearer_auth(guarded.token(grant, "read"))
    };
    assert_eq!(status(post("").json(&json!({"method": "info"}))).await, 401);
    for (grant, known) in [("app.*", true), ("other.*", false)] {
        let answer: serde_json::Value = info(grant).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["agents"]["app.Agent"].is_object(), known, "{answer}");
    }
    let ticket = guarded.ticket(&guarded.token(id, "read")).await;
    Events::open(post(&format!("{run}?ticket={ticket}"))).await;

    let short = guarded.key.token(&claims(id, "read", 4));
    let mut events = Events::open(post(&run).bearer_auth(short)).await;
    let first = [events.next().await.unwrap(), events.next().await.unwrap()];
    assert_eq!(first[1].json()["type"], "STATE_SNAPSHOT");
    assert_eq!(events.next().await, None, "it ends without an error");
    guarded.append(id, 1).await;
    let again =
        post(&format!("{run}?after={}", first[1].id)).bearer_auth(guarded.token(id, "read"));
    let mut events = Events::open(again).await;
    assert_eq!(events.next().await.unwrap().json()["type"], "RUN_STARTED");
    assert_eq!(events.next().await.unwrap().json()["delta"][0]["value"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_socket_for_many_each_ltm_is_for_who_may_read_it() {
    let guarded = Guarded::start();
    let (own, foreign) = (
        guarded.create("app.Agent").await,
        guarded.create("other.Agent").await,
    );
    assert_eq!(guarded.handshake("/ws", &[]).await, 401);
    let token = guarded.token("app.*", "read");
    let ticket = guarded.ticket(&token).await;
    let url = guarded.gateway.ws(&format!("/ws?ticket={ticket}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let follow = |id: u64| json!({"follow": id, "live": 1}).to_string();
    subscriber.say(&follow(foreign)).await;
    let refused = subscriber.message().await;
    assert_eq!(
        (&refused["id"], &refused["end"]["code"]),
        (&json!(foreign), &json!(4403))
    );
    subscriber.say(&follow(own)).await;
    assert_eq!(subscriber.message().await["live"], true);

    // A new token must be good for all that is followed.
    let renewed = json!({"token": guarded.token("app.*", "read")});
    subscriber.say(&renewed.to_string()).await;
    guarded.append(own, 1).await;
    assert_eq!(subscriber.message().await["id"], own);
    let narrower = json!({"token": guarded.token(foreign, "read")});
    subscriber.say(&narrower.to_string()).await;
    assert_eq!(subscriber.close_code().await, 4403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_list_shows_what_its_caller_may_read_as_long_as_they_may() {
    let guarded = Guarded::start();
    let (own, foreign) = (
        guarded.create("app.Agent").await,
        guarded.create("other.Agent").await,
    );
    assert_eq!(guarded.handshake("/ws/ltms", &[]).await, 401);
    let token = guarded.token("app.*", "read");
    let ticket = guarded.ticket(&token).await;
    let url = guarded.gateway.ws(&format!("/ws/ltms?ticket={ticket}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    let reset = &subscriber.message().await["reset"];
    assert_eq!(reset["rows"][0]["id"], own, "{reset}");
    assert_eq!(reset["rows"].as_array().unwrap().len(), 1);
    guarded.append(foreign, 1).await;
    guarded.append(own, 1).await;
    let change = subscriber.message().await;
    assert_eq!(change["change"]["rows"][0]["id"], own, "{change}");

    // A token for the same is a renewal, one for others is another list.
    let same = json!({"token": guarded.token("app.*", "read")});
    subscriber.say(&same.to_string()).await;
    guarded.append(own, 2).await;
    let change = subscriber.message().await;
    assert_eq!(change["change"]["rows"][0]["snapshots_count"], 3);
    let other = json!({"token": guarded.token(foreign, "read")});
    subscriber.say(&other.to_string()).await;
    assert_eq!(subscriber.close_code().await, 4401);

    let short = guarded.key.token(&claims("app.*", "read", 4));
    let ticket = guarded.ticket(&short).await;
    let url = guarded.gateway.ws(&format!("/ws/ltms?ticket={ticket}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    subscriber.message().await;
    assert_eq!(subscriber.close_code().await, 4401);
}
