//! The index of the lists: it is built for LTMs of older versions, and heals itself.

use ltm_tests::{Api, RedisServer, Service, Stack, until};
use serde_json::{Value, json};

/// Checks often, so that a test need not wait long.
const OFTEN: [(&str, &str); 2] = [
    ("LTM__API__LIST_INTERVAL", "100ms"),
    ("LTM__API__LIST_CHECK_INTERVAL", "200ms"),
];
/// The keys of the index.
const KEYS: [&str; 9] = [
    "terms", "records", "counts", "marked", "updated", "first", "last", "check", "turn",
];

async fn ids(api: &Api, query: &str) -> Vec<u64> {
    let rows = api.get(&format!("/ltm?{query}")).await.expect(200);
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["id"].as_u64().unwrap()).collect()
}

async fn create(api: &Api, status: &str) -> u64 {
    let body = json!({"fqn": "app.Agent", "name": "a run", "state": {"_status": status}});
    let created = api.post("/ltm", &body).await.expect(200);
    created["id"].as_u64().unwrap()
}

async fn until_count_is(api: &Api, status: &str, count: u64) {
    until("the index has this number", async || {
        let answer = api.get("/ltm/counts").await;
        let is_complete = answer.header("ltm-incomplete").is_empty();
        let counts = answer.expect(200);
        let found = counts["status"][status].as_u64().unwrap_or_default();
        if found == count && is_complete {
            Ok(())
        } else {
            Err(counts)
        }
    })
    .await;
}

/// Makes the data what an older version would have left: no index, and no note of errors.
fn make_old(redis: &RedisServer, ids: &[u64]) {
    for key in KEYS {
        redis.cli(&["DEL", &format!("ltm:{{list}}:{key}")]);
    }
    for id in ids {
        redis.cli(&["HDEL", &format!("ltm:{{{id}}}:meta"), "errors"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_an_older_version_is_listed_rightly_at_once_and_then_by_the_index() {
    let redis = RedisServer::start(&[]);
    let mut all = Vec::new();
    {
        let service = Service::api(&redis.url(), &[("LTM__API__CHECKPOINT_EVERY", "3")]);
        let api = Api::at(&service);
        for n in 0..6 {
            let id = create(&api, if n % 2 == 0 { "error" } else { "active" }).await;
            if n < 2 {
                let error = json!({"id": "6f6c1d7e-4c53-4a6b-9e0e-0d3a8c1b2f4d"});
                api.post(&format!("/ltm/{id}/errors"), &error)
                    .await
                    .expect(200);
            }
            // The checkpoint of some is after their error.
            for step in 0..n {
                api.append(id, json!({"merge": {"step": step}})).await;
            }
            all.push(id);
        }
    }
    make_old(&redis, &all);
    // This one builds nothing.
    let slow = Service::api(&redis.url(), &[("LTM__API__LIST_INTERVAL", "1h")]);
    let api = Api::at(&slow);
    until("the first look is over", async || {
        make_old(&redis, &all);
        let counts = api.get("/ltm/counts").await;
        if counts.header("ltm-incomplete") == "true" {
            Ok(())
        } else {
            Err(counts.text)
        }
    })
    .await;
    assert_eq!(ids(&api, "status=error").await, [all[4], all[2], all[0]]);
    assert_eq!(
        ids(&api, "name=run&status=active").await,
        [all[5], all[3], all[1]]
    );
    let unknown = api.get("/ltm?has_errors=true").await;
    assert_eq!(unknown.header("ltm-incomplete"), "true");

    redis.cli(&["DEL", "ltm:{list}:turn"]);
    let service = Service::api(&redis.url(), &OFTEN);
    let api = Api::at(&service);
    until_count_is(&api, "error", 3).await;
    assert_eq!(ids(&api, "status=error").await, [all[4], all[2], all[0]]);
    assert_eq!(ids(&api, "has_errors=true").await, [all[1], all[0]]);
    assert_eq!(ids(&api, "has_errors=false").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_process_died_is_listed_by_its_mark_until_the_check_finds_it() {
    let stack = Stack::with(&[("LTM__API__LIST_INTERVAL", "1h")]);
    let (api, redis) = (&stack.api, &stack.redis);
    let id = create(api, "active").await;
    until_count_is(api, "active", 1).await;
    // The append wrote, and the process died before it told the index.
    let meta = format!("ltm:{{{id}}}:meta");
    let cursor = redis.cli(&["HGET", &meta, "cursor"]);
    redis.cli(&["HSET", &meta, "status", &format!("{cursor} error")]);
    assert_eq!(ids(api, "status=error").await, Vec::<u64>::new());
    let member = format!("{id:020}");
    redis.cli(&["ZADD", "ltm:{list}:marked", "1", &member]);
    assert_eq!(ids(api, "status=error").await, [id]);
    assert_eq!(ids(api, "status=active").await, Vec::<u64>::new());
    // The mark is old, so the next check removes it.
    redis.cli(&["DEL", "ltm:{list}:turn"]);
    let other = Service::api(&redis.url(), &[OFTEN[0]]);
    until_count_is(&Api::at(&other), "error", 1).await;
    until("the mark is gone", async || {
        let marked = redis.cli(&["ZCARD", "ltm:{list}:marked"]);
        if marked == "0" { Ok(()) } else { Err(marked) }
    })
    .await;
    assert_eq!(ids(api, "status=error").await, [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_writes_beside_the_index_is_found_by_the_check() {
    let stack = Stack::with(&OFTEN);
    let (api, redis) = (&stack.api, &stack.redis);
    let (changed, deleted) = (create(api, "active").await, create(api, "active").await);
    until_count_is(api, "active", 2).await;
    let meta = format!("ltm:{{{changed}}}:meta");
    let cursor = redis.cli(&["HGET", &meta, "cursor"]);
    redis.cli(&["HSET", &meta, "status", &format!("{cursor} error")]);
    for key in ["log", "meta", "idem"] {
        redis.cli(&["DEL", &format!("ltm:{{{deleted}}}:{key}")]);
    }
    until_count_is(api, "error", 1).await;
    until_count_is(api, "active", 0).await;
    assert_eq!(ids(api, "status=error").await, [changed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_a_failover_has_lost_leaves_the_index() {
    let stack = Stack::with(&OFTEN);
    let (api, redis) = (&stack.api, &stack.redis);
    let id = create(api, "active").await;
    until_count_is(api, "active", 1).await;
    // In a cluster, the index can have an entry that the LTM's primary has lost.
    let record = "99\n0app.Agent\u{1f}error\n0capp.\n0serror\n0wa\n0wrun";
    redis.cli(&["HSET", "ltm:{list}:records", &format!("{id:020}"), record]);
    until("the record is that of the LTM", async || {
        let record = redis.cli(&["HGET", "ltm:{list}:records", &format!("{id:020}")]);
        if record.starts_with("1\n") {
            Ok(())
        } else {
            Err(record)
        }
    })
    .await;
    assert_eq!(ids(api, "status=active").await, [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_sends_nothing_to_the_index_unless_the_status_changes() {
    let stack = Stack::with(&[("LTM__API__LIST_INTERVAL", "1h")]);
    let (api, redis) = (&stack.api, &stack.redis);
    let id = create(api, "active").await;
    until_count_is(api, "active", 1).await;
    let calls = |command: &str| -> u64 {
        let stats = redis.cli(&["INFO", "commandstats"]);
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    };
    let counts = || ["zadd", "evalsha", "hmget", "hget"].map(calls);
    api.append(id, json!({"merge": {"n": 0}})).await;
    let before = counts();
    for n in 0..20 {
        api.append(id, json!({"merge": {"n": n + 1}})).await;
    }
    let after = counts();
    assert_eq!(
        (after[0], after[1] - before[1], after[2]),
        (before[0], 20, before[2])
    );
    api.append(id, json!({"merge": {"_status": "error"}})).await;
    until_count_is(api, "error", 1).await;
    assert!(calls("zadd") > after[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_writes_leave_an_index_that_says_what_the_ltms_say() {
    let stack = Stack::with(&OFTEN);
    let api = &stack.api;
    let mut all = Vec::new();
    for n in 0..12 {
        all.push(create(api, &format!("s{}", n % 3)).await);
    }
    let writers = all
        .iter()
        .flat_map(|&id| (0..3).map(move |writer| (id, writer)));
    let writes = writers.map(|(id, writer)| async move {
        for step in 0..8 {
            let status = format!("s{}", (id + writer * 5 + step * 3) % 4);
            api.append(id, json!({"merge": {"_status": status, "step": step}}))
                .await;
        }
    });
    futures_util::future::join_all(writes).await;
    let rows = api.get("/ltm").await.expect(200);
    let rows = rows.as_array().unwrap();
    for status in ["s0", "s1", "s2", "s3"] {
        let is = |row: &&Value| row["status"] == status;
        let expected: Vec<u64> = rows
            .iter()
            .filter(is)
            .map(|row| row["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids(api, &format!("status={status}")).await, expected);
        until_count_is(api, status, expected.len() as u64).await;
    }
}
