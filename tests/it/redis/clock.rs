//! Clocks that are wrong or jump.

use ltm_tests::{Answer, Api, Clock, Follower, RedisServer, Service, until};
use serde_json::{Value, json};

/// An API on a machine with this clock.
fn api_with(clock: &Clock, redis: &RedisServer, settings: &[(&str, &str)]) -> Service {
    let environment = clock.environment();
    let environment = environment.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let settings: Vec<_> = environment.chain(settings.iter().copied()).collect();
    Service::api(&redis.url(), &settings)
}

/// What is older than half a day goes, at once.
const HALF_A_DAY: &[(&str, &str)] = &[
    ("LTM__RETENTION__MAX_AGE", "12h"),
    ("LTM__RETENTION__IDLE_TTL", "12h"),
    ("LTM__API__RETENTION_INTERVAL", "100ms"),
];

/// Creates an LTM with some entries.
async fn fresh(api: &Api) -> u64 {
    let (id, _) = api.create(json!({"n": 0})).await;
    for n in 1..=3 {
        api.append(id, json!({"merge": {"n": n}})).await;
    }
    id
}

/// Waits until it was looked twice at everything for what is to be removed: LTMs are there for a
/// moment only, and one that is created after the other is gone is gone, too.
async fn until_all_was_looked_at(api: &Api) {
    for _ in 0..2 {
        let body = json!({"fqn": "tests.Brief", "retention": {"idle_ttl": "1ms"}});
        let id = api.post("/ltm", &body).await.expect(200)["id"].clone();
        until("the API has deleted the idle LTM", async || {
            api.get(&format!("/ltm/{id}/state")).await.status == 410
        })
        .await;
    }
}

async fn is_whole(api: &Api, id: u64) {
    let document = api.document(id).await;
    assert_eq!(document["snapshots"].as_array().unwrap().len(), 4);
    assert!(document.get("first_index").is_none_or(|index| index == 0));
    assert_eq!(document["state"], json!({"n": 3}));
}

fn day_of(answer: &Value) -> String {
    answer["snapshot"]["time"].as_str().unwrap()[..10].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_whose_clock_is_ahead_removes_nothing_that_is_fresh() {
    let redis = RedisServer::start(&[]);
    let right = Service::api(&redis.url(), &[]);
    let id = fresh(&Api::at(&right)).await;
    let clock = Clock::off_by("+1d");
    let ahead = api_with(&clock, &redis, HALF_A_DAY);
    // What the right one wrote is a day old for the other.
    until_all_was_looked_at(&Api::at(&right)).await;
    is_whole(&Api::at(&ahead), id).await;
    ahead
        .until_logged("the clocks of this machine and of Redis differ")
        .await;
    assert!(!right.logged("the clocks of this machine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_whose_clock_is_behind_wrote_is_not_idle() {
    let redis = RedisServer::start(&[]);
    let clock = Clock::off_by("-1d");
    let behind = api_with(&clock, &redis, &[]);
    let id = fresh(&Api::at(&behind)).await;
    let settings = &HALF_A_DAY[1..];
    let right = Service::api(&redis.url(), settings);
    until_all_was_looked_at(&Api::at(&right)).await;
    is_whole(&Api::at(&right), id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_whose_clock_is_ahead_of_the_services_removes_nothing_that_is_fresh() {
    // Redis does not run under libfaketime (jemalloc): so everybody else is a day behind it.
    let redis = RedisServer::start(&[]);
    let clock = Clock::off_by("-1d");
    let writer = api_with(&clock, &redis, &[]);
    let id = fresh(&Api::at(&writer)).await;
    let sweeper = api_with(&clock, &redis, HALF_A_DAY);
    let body = json!({"fqn": "tests.Old", "state": {"n": 0}, "time": "2020-01-01T00:00:00Z"});
    let old = Api::at(&writer).post("/ltm", &body).await.expect(200)["id"].clone();
    for n in 1..=3 {
        let step = json!({"merge": {"n": n}, "time": "2020-01-01T00:00:00Z"});
        Api::at(&writer).append(old.as_u64().unwrap(), step).await;
    }
    // What is old for both goes.
    until("the API has trimmed the old LTM", async || {
        let path = format!("/ltm/{old}");
        let document = Api::at(&writer).get(&path).await.expect(200);
        document["first_index"].as_u64().unwrap_or(0) > 0
    })
    .await;
    is_whole(&Api::at(&sweeper), id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ltm_that_is_being_created_stays_on_its_list_whoever_looks_with_whatever_clock() {
    let redis = RedisServer::start(&[]);
    let clock = Clock::off_by("-1d");
    let behind = api_with(&clock, &redis, &[]);
    let right = Service::api(&redis.url(), &[]);
    // An id is put on the list first, the LTM written next: this is the moment between.
    let member = format!("{:020}", 7);
    redis.cli(&["ZADD", "ltm:index", "0", &member]);
    for service in [&behind, &right] {
        let listed = Api::at(service).get("/ltm").await.expect(200);
        assert_eq!(listed, json!([]));
    }
    assert_eq!(redis.cli(&["ZSCORE", "ltm:index", &member]), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_changes_no_order_no_cursor_and_no_key() {
    let redis = RedisServer::start(&[]);
    let clock = Clock::off_by("+0");
    let service = api_with(&clock, &redis, &[]);
    let (api, gateway) = (Api::at(&service), Service::gateway(&redis.url(), &[]));
    let create = async |key: &str| -> Answer {
        let body = r#"{"fqn":"tests.Ltm","state":{"steps":[]}}"#;
        api.post_text("/ltm", body, &[("Idempotency-Key", key)])
            .await
    };
    let id = create("first").await.expect(200)["id"].as_u64().unwrap();
    let path = format!("/ltm/{id}/snapshots");
    let append = async |n: usize| -> Answer {
        let step = json!({"op": "add", "path": "/steps/-", "value": n});
        let body = json!({"reason": "execute", "patch": [step]}).to_string();
        let key = n.to_string();
        api.post_text(&path, &body, &[("Idempotency-Key", &key)])
            .await
    };
    let mut follower = Follower::default();
    let url = [gateway.ws(&format!("/ws/{id}"))];
    let (mut days, mut ids) = (Vec::new(), vec![id]);
    for (n, offset) in ["+2d", "-2d", "+0", "-1h", "+30d"].iter().enumerate() {
        clock.jump_to(offset);
        days.push(day_of(&append(n).await.expect(201)));
        // Again with the same keys, and everybody where they were before the jump.
        let again = append(n).await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        let again = create("first").await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.expect(200)["id"], id);
        ids.insert(0, create(offset).await.expect(200)["id"].as_u64().unwrap());
        let until = |f: &Follower| f.seen.len() == n + 2;
        follower.follow_until(&url, until).await;
    }
    assert!(
        days[0] > days[1] && days[1] < days[2],
        "it did not jump: {days:?}"
    );
    assert_eq!(follower.state, json!({"steps": [0, 1, 2, 3, 4]}));
    let document = api.document(id).await;
    assert_eq!(document["state"], follower.state);
    assert_eq!(document["cursor"], follower.cursor.to_string());
    let listed = api.get("/ltm").await.expect(200);
    let listed: Vec<u64> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_u64().unwrap())
        .collect();
    assert_eq!(listed, ids, "newest first");
}
