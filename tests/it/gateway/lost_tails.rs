//! Redis loses the last entries of a log, as a failover does, and nothing tells the gateway.

use ltm_tests::{Api, RedisServer, Service, Stack, Subscriber, until};
use serde_json::{Value, json};

const KEYS: [&str; 4] = ["log", "meta", "checkpoint", "idem"];

/// Keeps a copy of an LTM's keys, as a replica does that hears no more.
pub(super) fn keep(redis: &RedisServer, id: u64) {
    for key in KEYS {
        redis.cli(&[
            "COPY",
            &format!("ltm:{{{id}}}:{key}"),
            &format!("kept:{id}:{key}"),
            "REPLACE",
        ]);
    }
}

/// What was written since is lost.
pub(super) fn fall_back(redis: &RedisServer, id: u64) {
    // In one step: an LTM without one of its keys would be an unknown one.
    let copy = |key| {
        format!(
            "redis.call('DEL', 'ltm:{{{id}}}:{key}') redis.call('COPY', 'kept:{id}:{key}', 'ltm:{{{id}}}:{key}') "
        )
    };
    let script: String = KEYS.iter().map(copy).collect();
    redis.cli(&["EVAL", &script, "0"]);
}

/// A gateway that never hears a live entry: only its comparisons with Redis tell it of them.
struct Deaf {
    redis: RedisServer,
    _api_service: Service,
    api: Api,
    gateway: Service,
}

impl Deaf {
    async fn start() -> Self {
        let redis = RedisServer::start(&[]);
        redis.cli(&[
            "ACL", "SETUSER", "gateway", "on", ">pw", "~*", "&*", "+@all",
        ]);
        let api_service = Service::api(&redis.url(), &[]);
        let gateway = Service::gateway(
            &redis.url_as("gateway", "pw"),
            &[("LTM__GATEWAY__SWEEP_INTERVAL", "2s")],
        );
        Api::at(&gateway).until_ready_is(200).await;
        redis.cli(&["ACL", "SETUSER", "gateway", "-subscribe"]);
        Self {
            api: Api::at(&api_service),
            _api_service: api_service,
            redis,
            gateway,
        }
    }

    /// A subscriber that has read this LTM from the log, up to this value of `n`.
    async fn reader(&self, id: u64, n: u64) -> Subscriber {
        let url = self.gateway.ws(&format!("/ws/{id}?after=0"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        while subscriber.message().await["snapshot"]["patch"][0]["value"] != json!({ "n": n })["n"]
        {
        }
        subscriber
    }
}

async fn append(api: &Api, id: u64, n: u64) {
    api.append(id, json!({"merge": {"n": n}})).await;
}

/// The reset that must come next: its reason and its state.
async fn reset_of(subscriber: &mut Subscriber) -> (Value, Value) {
    let message = subscriber.message().await;
    let reset = &message["reset"];
    (reset["reason"].clone(), reset["state"].clone())
}

/// The gateway has not heard of the LTM: the head of its topic is not known.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_alone_has_lost_entries_is_reset_before_the_gateway_knows_the_log() {
    let deaf = Deaf::start().await;
    let (id, _) = deaf.api.create(json!({"n": 0})).await;
    keep(&deaf.redis, id);
    append(&deaf.api, id, 1).await;
    append(&deaf.api, id, 2).await;
    let mut subscriber = deaf.reader(id, 2).await;
    fall_back(&deaf.redis, id);
    // Nothing is ever written again.
    let expected = (json!("forked"), json!({"n": 0}));
    assert_eq!(reset_of(&mut subscriber).await, expected);
}

/// The gateway knows the log up to the entry that is its last one again.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_alone_has_lost_entries_is_reset_if_nothing_is_written_again() {
    let deaf = Deaf::start().await;
    let (id, _) = deaf.api.create(json!({"n": 0})).await;
    append(&deaf.api, id, 1).await;
    // Its entry arrives only after a comparison: so the topic is there, too.
    let url = deaf.gateway.ws(&format!("/ws/{id}"));
    let mut first = Subscriber::connect(&url).await.unwrap();
    append(&deaf.api, id, 2).await;
    first.message().await;
    keep(&deaf.redis, id);
    append(&deaf.api, id, 3).await;
    let mut subscriber = deaf.reader(id, 3).await;
    fall_back(&deaf.redis, id);
    let expected = (json!("forked"), json!({"n": 2}));
    assert_eq!(reset_of(&mut subscriber).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn live_is_said_after_the_reset_and_not_about_a_state_that_was_lost() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    keep(&stack.redis, id);
    let mut lost = Vec::new();
    for n in 1..=2 {
        let appended = stack.api.append(id, json!({"merge": {"n": n}})).await;
        lost.push(appended["cursor"].as_str().unwrap().to_owned());
    }
    fall_back(&stack.redis, id);
    append(&Api::at(&Service::api(&stack.redis.url(), &[])), id, 3).await;
    // At the place of the head, after it, and where no log ever gets.
    lost.push(format!("{}-{}", u64::MAX, u64::MAX));
    for after in lost {
        let query = format!("after={after}&live=1");
        let url = stack.gateway.ws(&format!("/ws/{id}?{query}"));
        let mut one = Subscriber::connect(&url).await.unwrap();
        let mut many = Subscriber::connect(&stack.gateway.ws("/ws")).await.unwrap();
        let follow = json!({"follow": id, "after": after, "live": 1});
        assert!(many.say(&follow.to_string()).await);
        for subscriber in [&mut one, &mut many] {
            let reset = subscriber.message().await;
            assert_eq!(reset["reset"]["reason"], "forked", "{reset}");
            assert_eq!(reset["reset"]["state"], json!({"n": 3}));
            let live = json!({"id": id, "cursor": reset["cursor"], "live": true});
            assert_eq!(subscriber.message().await, live);
        }
    }
    assert!(!stack.gateway.logged("\"level\":\"ERROR\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn live_is_said_once_more_after_each_later_reset() {
    let stack = Stack::with(&[("LTM__GATEWAY__SWEEP_INTERVAL", "200ms")]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0&live=1"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    subscriber.message().await;
    assert_eq!(subscriber.message().await["live"], true);
    for _ in 0..2 {
        keep(&stack.redis, id);
        append(&stack.api, id, 1).await;
        assert!(subscriber.message().await["snapshot"].is_object());
        fall_back(&stack.redis, id);
        let reset = subscriber.message().await;
        assert_eq!(reset["reset"]["reason"], "forked", "{reset}");
        let live = json!({"id": id, "cursor": reset["cursor"], "live": true});
        assert_eq!(subscriber.message().await, live);
        // The API finds out by the conflict.
        until("the API knows the log", async || {
            stack.api.document(id).await["state"] == json!({"n": 0})
        })
        .await;
    }
}
