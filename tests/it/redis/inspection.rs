//! The services check the configuration of Redis. They are not ready if a promise cannot hold on it.

use std::process::{Command, Output};

use ltm_tests::{Api, RedisServer, Service, Stack, binary};
use serde_json::{Value, json};

/// Waits until neither service is ready, and both say these words.
async fn until_both_say(stack: &Stack, words: &str) {
    for service in [&stack.api_service, &stack.gateway] {
        let service = Api::at(service);
        service.until_ready_is(503).await;
        let problem = service
            .get_root("/readyz")
            .await
            .problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    }
}

async fn until_both_are_ready(stack: &Stack) {
    for service in [&stack.api_service, &stack.gateway] {
        Api::at(service).until_ready_is(200).await;
    }
}

fn doctor(url: &str, arguments: &[&str]) -> Output {
    let command = Command::new(binary("ltm"))
        .args(["doctor", "--redis", url])
        .args(arguments)
        .output();
    command.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_redis_that_may_evict_logs_services_are_not_ready_until_it_is_mended() {
    let stack = Stack::start();
    until_both_are_ready(&stack).await;
    // Without a limit nothing is evicted, whatever the policy.
    stack
        .redis
        .cli(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    until_both_are_ready(&stack).await;
    stack.redis.cli(&["CONFIG", "SET", "maxmemory", "100mb"]);
    until_both_say(&stack, "CONFIG SET maxmemory-policy noeviction").await;
    stack
        .redis
        .cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    until_both_are_ready(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_append_only_file_services_are_ready_only_where_that_is_said() {
    let stack = Stack::start();
    stack.redis.cli(&["CONFIG", "SET", "appendonly", "no"]);
    until_both_say(&stack, "redis.require_append_only=false").await;
    let said = [("LTM__REDIS__REQUIRE_APPEND_ONLY", "false")];
    let content = Service::api(&stack.redis.url(), &said);
    Api::at(&content).until_ready_is(200).await;
    content.until_logged("aof_enabled").await;
    stack.redis.cli(&["CONFIG", "SET", "appendonly", "yes"]);
    until_both_are_ready(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_replica_a_service_is_not_ready_until_it_leads() {
    let leader = RedisServer::start(&[]);
    let stack = Stack::start();
    let (host, port) = leader
        .address()
        .split_once(':')
        .map(|(h, p)| (h.to_owned(), p.to_owned()))
        .unwrap();
    stack.redis.cli(&["REPLICAOF", &host, &port]);
    until_both_say(&stack, "redis.url").await;
    stack.redis.cli(&["REPLICAOF", "NO", "ONE"]);
    until_both_are_ready(&stack).await;
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let redis = RedisServer::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let output = doctor(&redis.url(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("CONFIG SET maxmemory-policy noeviction"),
        "{text}"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains(" checks failed"));

    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let output = doctor(&redis.url(), &["--json", "--wait-replicas", "1"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let findings: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // A busy machine is slow to answer.
    let warned =
        |finding: &&Value| finding["severity"] == "warning" && finding["check"] != "round trip";
    let warnings: Vec<&Value> = findings.iter().filter(warned).collect();
    let checks: Vec<&Value> = warnings.iter().map(|warning| &warning["check"]).collect();
    assert_eq!(checks, ["connected_slaves", "user"], "{text}");
    let seen: Vec<&Value> = findings.iter().map(|finding| &finding["check"]).collect();
    for check in [
        "scripts",
        "round trip",
        "memory",
        "persistence",
        "output buffer",
        "clock",
        "pub/sub",
    ] {
        assert!(seen.contains(&&json!(check)), "{check}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_keys_that_do_not_belong_together() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "2")]);
    let mut ids = Vec::new();
    for _ in 0..6 {
        let (id, _) = stack.api.create(json!({"n": 0})).await;
        for n in 1..5 {
            stack.api.append(id, json!({"merge": {"n": n}})).await;
        }
        ids.push(id);
    }
    let named = |key: &str| json!({"fqn": "app.Agent", "key": key});
    for key in ["right", "deleted", "lost"] {
        stack.api.post("/ltm", &named(key)).await.expect(200);
    }
    let deleted = "/ltm/by-key/app.Agent/deleted";
    let gone = stack.api.request(reqwest::Method::DELETE, deleted);
    stack.api.send(gone).await.expect(200);
    let copied = stack
        .api
        .post(&format!("/ltm/{}/copy", ids[0]), &json!({}))
        .await;
    copied.expect(200);
    let gone = stack
        .api
        .request(reqwest::Method::DELETE, &format!("/ltm/{}", ids[0]));
    stack.api.send(gone).await.expect(200);
    let keys = || {
        let output = doctor(&stack.redis.url(), &["--json"]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let findings = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut keys: Vec<String> = findings
            .filter(|finding: &Value| finding["check"] == "keys")
            .map(|finding| finding["is"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(), ["all belong together"]);
    let key = |number: usize, part: &str| format!("ltm:{{{}}}:{part}", ids[number]);
    let redis = &stack.redis;
    redis.cli(&["DEL", &key(1, "log")]);
    redis.cli(&["DEL", &key(2, "meta"), &key(2, "checkpoint")]);
    redis.cli(&["HSET", &key(3, "meta"), "cursor", "4-4"]);
    redis.cli(&["HSET", &key(4, "checkpoint"), "cursor", "99-1"]);
    redis.cli(&[
        "ZREM",
        "ltm:index:fqn:tests.Ltm",
        &format!("{:020}", ids[5]),
    ]);
    redis.cli(&["SET", "ltm:other", "1"]);
    let record = |key: &str| format!("ltm:key:9:app.Agent:{key}");
    let lost = redis.cli(&["GET", &record("lost")]);
    redis.cli(&["DEL", &record("lost")]);
    redis.cli(&["SET", &record("foreign"), &ids[3].to_string()]);
    redis.cli(&["SET", &record("damaged"), "x"]);
    // A creation that ended between its two writes leaves nothing to mend.
    redis.cli(&["SET", &record("unfinished"), "4242"]);
    let mut expected = [
        format!("{} has no log", key(1, "meta")),
        format!("{} belongs to an LTM without `meta`", key(2, "log")),
        format!("{} belongs to an LTM without `meta`", key(2, "idem")),
        format!(
            "{} has another cursor than the last entry of its log",
            key(3, "meta")
        ),
        format!(
            "{} has a checkpoint that is ahead of its log",
            key(4, "meta")
        ),
        format!("{} is missing on its lists", key(5, "meta")),
        "ltm:other is not a key of the services".into(),
        format!("ltm:{{{lost}}}:meta has a key that does not lead to it"),
        format!("{} leads to an LTM without this key", record("foreign")),
        format!("{} is not the id of an LTM", record("damaged")),
    ];
    expected.sort();
    assert_eq!(keys(), expected);
}
