//! A Redis that is out of memory: it can be read, and emptied.

use std::collections::BTreeSet;

use ltm_tests::{Api, RedisServer, Scrape, Stack, Subscriber, until};
use reqwest::Method;
use serde_json::{Value, json};

/// Fills an LTM with 4 MiB, and lowers the limit of Redis by half of that below what it uses.
async fn fill(api: &Api, redis: &RedisServer, id: u64) {
    let path = format!("/ltm/{id}/snapshots");
    let text = "x".repeat(256 * 1024);
    for _ in 0..16 {
        let step = json!({"reason": "execute", "item": text, "merge": {}});
        api.post(&path, &step).await.expect(201);
    }
    let limit = redis.info("memory", "used_memory") - 2 * 1024 * 1024;
    redis.cli(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    until("Redis is full", async || {
        redis.info("memory", "used_memory") > limit + 1024 * 1024
    })
    .await;
}

/// The keys that writes have left. Those of the index of lists come and go by themselves.
fn keys(redis: &RedisServer) -> BTreeSet<String> {
    let found = redis.cli(&["KEYS", "*"]);
    let written = found.lines().filter(|key| !key.contains("{list}"));
    written.map(Into::into).collect()
}

async fn delete(api: &Api, id: u64) -> Value {
    let request = api.request(Method::DELETE, &format!("/ltm/{id}"));
    api.send(request).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_is_read_and_refused_writes_leave_nothing() {
    let stack = Stack::start();
    let (api, redis) = (&stack.api, &stack.redis);
    let (small, _) = api.create(json!({"n": 0})).await;
    let (large, _) = api.create(json!({"n": 0})).await;
    // A creation that failed half-way: the list meets its id.
    redis.cli(&["ZADD", "ltm:index", "0", "00000000000000000077"]);
    fill(api, redis, large).await;
    let before = keys(redis);
    // There is room for the first parts of a copy.
    let limit = redis.info("memory", "used_memory") + 1024 * 1024;
    redis.cli(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    let copy = format!("/ltm/{large}/copy");
    api.post(&copy, &json!({}))
        .await
        .problem(503, "unavailable");
    let mut left = keys(redis);
    left.retain(|key| !before.contains(key));
    assert_eq!(left, BTreeSet::new());
    let limit = redis.info("memory", "used_memory") - 2 * 1024 * 1024;
    redis.cli(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    for _ in 0..3 {
        let copy = format!("/ltm/{large}/copy");
        api.post(&copy, &json!({}))
            .await
            .problem(503, "unavailable");
        let body = json!({"fqn": "tests.Refused"});
        api.post("/ltm", &body).await.problem(503, "unavailable");
    }
    assert_eq!(keys(redis), before);

    let rows = api.get("/ltm").await.expect(200);
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(api.document(small).await["state"], json!({"n": 0}));
    api.post("/ws-ticket", &json!({})).await.expect(200);
    let url = stack.gateway.ws(&format!("/ws/{small}?init=state"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    assert_eq!(
        subscriber.message().await["reset"]["state"],
        json!({"n": 0})
    );
    let mut list = Subscriber::connect(&stack.gateway.ws("/ws/ltms"))
        .await
        .unwrap();
    assert_eq!(list.message().await["reset"]["rows"], rows);

    delete(api, small).await;
    assert_eq!(subscriber.message().await["deleted"], true);
    delete(api, large).await;
    // There is room again.
    api.create(json!({})).await;
}

/// There is never room: what was full stays full, whatever is removed.
#[tokio::test(flavor = "multi_thread")]
async fn retention_empties_a_full_redis() {
    let stack = Stack::with(&[("LTM__API__RETENTION_INTERVAL", "100ms")]);
    let (api, redis) = (&stack.api, &stack.redis);
    let create = async |retention: Value| {
        let body = json!({"fqn": "tests.Ltm", "state": {"n": 0}, "retention": retention, "time": "2026-01-01T00:00:00Z"});
        let created = api.post("/ltm", &body).await.expect(200);
        created["id"].as_u64().unwrap()
    };
    let idle = create(json!({"idle_ttl": "1h"})).await;
    let old = create(json!({"max_age": "1h"})).await;
    let path = format!("/ltm/{old}/snapshots");
    for n in 0..20 {
        let step = json!({"reason": "execute", "merge": {"n": n}, "time": "2026-01-01T00:00:00Z"});
        api.post(&path, &step).await.expect(201);
    }
    let meta = format!("ltm:{{{idle}}}:meta");
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(redis.cli(&["HSET", &meta, "x", "1"]).contains("OOM"));
    until("the old entries are removed", async || {
        redis.cli(&["XLEN", &format!("ltm:{{{old}}}:log")]) == "1"
    })
    .await;
    assert_eq!(api.document(old).await["state"], json!({"n": 19}));

    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    redis.cli(&[
        "HSET",
        &meta,
        "written_at",
        "0",
        "updated_at",
        "2026-01-01T00:00:00Z",
    ]);
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    until("the idle LTM is deleted", async || {
        api.get(&format!("/ltm/{idle}/state")).await.status == 410
    })
    .await;
    assert!(redis.info("memory", "used_memory") > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_nearly_full_is_announced() {
    let stack = Stack::start();
    let used = stack.redis.info("memory", "used_memory");
    for (limit, is_announced) in [(used * 2, false), (used * 21 / 20, true), (0, false)] {
        stack
            .redis
            .cli(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
        for service in [&stack.api_service, &stack.gateway] {
            let ready = Api::at(service).get_root("/readyz").await.expect(200);
            let warnings = ready["warnings"].to_string();
            assert_eq!(
                warnings.contains("over 90 % of maxmemory"),
                is_announced,
                "{ready}"
            );
            let scrape = Scrape::of(service).await;
            assert_eq!(scrape.value("ltm_redis_memory_limit_bytes"), limit as f64);
            assert!(scrape.value("ltm_redis_memory_used_bytes") > 0.0);
        }
    }
}
