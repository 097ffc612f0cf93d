//! Each user of `deploy/redis/users.acl` may run the commands of its service, and no others.

use std::process::Command;

use ltm_tests::{Api, PASSWORD, RedisServer, Service, Subscriber, binary, shipped_users};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A Redis with the file as it is shipped, the passwords put in, and a user who may do everything.
struct Guarded {
    redis: RedisServer,
    _folder: TempDir,
}

impl Guarded {
    fn start() -> Self {
        let mut users = shipped_users();
        users += &format!("user root on >{PASSWORD} ~* &* +@all\n");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.acl");
        std::fs::write(&file, users).unwrap();
        let redis = RedisServer::start(&["--aclfile", file.to_str().unwrap()]);
        Self {
            redis,
            _folder: folder,
        }
    }

    fn url(&self, user: &str) -> String {
        self.redis.url_as(user, PASSWORD)
    }

    /// What Redis answers to a user's command.
    fn ask(&self, user: &str, command: &[&str]) -> String {
        let mut arguments = vec!["--no-auth-warning", "--user", user, "--pass", PASSWORD];
        arguments.extend(command);
        self.redis.cli(&arguments)
    }

    fn is_refused(&self, user: &str, command: &[&str]) {
        let answer = self.ask(user, command);
        assert!(answer.starts_with("NOPERM"), "{user} {command:?}: {answer}");
    }
}

/// Writes in every way that the API has.
async fn write_everything(api: &Api) -> u64 {
    let body = json!({"fqn": "tests.Acl", "state": {"n": 0}, "retention": {"max_entries": 5}});
    let created = api
        .post_text("/ltm", &body.to_string(), &[("Idempotency-Key", "made")])
        .await
        .expect(200);
    let id = created["id"].as_u64().unwrap();
    let path = format!("/ltm/{id}");
    for n in 1..=20 {
        let key = format!("step-{n}");
        let body = json!({"reason": "execute", "merge": {"n": n}}).to_string();
        let headers = [
            ("Idempotency-Key", &*key),
            ("Ltm-Producer", "engine;epoch=1"),
        ];
        api.post_text(&format!("{path}/snapshots"), &body, &headers)
            .await
            .expect(201);
    }
    let back = json!({"snapshot": {"index": 19}});
    api.post(&format!("{path}/rollback"), &back)
        .await
        .expect(200);
    let error = json!({"id": "00000000-0000-4000-8000-000000000001"});
    api.post(&format!("{path}/errors"), &error)
        .await
        .expect(200);
    let copied = api
        .post(&format!("{path}/copy"), &json!({}))
        .await
        .expect(200);
    let copy = copied["copy_id"].as_u64().unwrap();
    let delete = api.request(reqwest::Method::DELETE, &format!("/ltm/{copy}"));
    assert!(api.send(delete).await.status.is_success());
    let named = json!({"fqn": "tests.Acl", "key": "k"});
    let by_key = "/ltm/by-key/tests.Acl/k";
    for path in ["/ltm", "/ltm", "/ltm?reuse=true"] {
        api.post(path, &named).await.expect(200);
        api.get(by_key).await.expect(200);
        if path == "/ltm" {
            continue;
        }
        let delete = api.request(reqwest::Method::DELETE, by_key);
        api.send(delete).await.expect(200);
    }
    api.post("/ltm?reuse=true", &named).await.expect(200);
    for path in ["/ltm", "/ltm?fqn=tests.Acl", &path] {
        api.get(path).await.expect(200);
    }
    api.get(&format!("{path}/snapshots")).await.expect(200);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_do_all_their_work_as_the_shipped_users_and_nothing_is_refused() {
    let guarded = Guarded::start();
    let often = [
        ("LTM__API__CHECKPOINT_EVERY", "3"),
        ("LTM__API__RETENTION_INTERVAL", "200ms"),
        ("LTM__GATEWAY__SWEEP_INTERVAL", "200ms"),
    ];
    let writer = Service::api(&guarded.url("ltm-api"), &often[..2]);
    let gateway = Service::gateway(&guarded.url("ltm-gateway"), &often[2..]);
    let api = Api::at(&writer);
    api.until_ready_is(200).await;
    Api::at(&gateway).until_ready_is(200).await;
    let id = write_everything(&api).await;

    let path = gateway.ws(&format!("/ws/{id}?init=state&live=1"));
    let mut subscriber = Subscriber::connect(&path).await.unwrap();
    assert_eq!(
        subscriber.message().await["reset"]["state"],
        json!({"n": 19})
    );
    assert_eq!(subscriber.message().await["live"], true);
    let made = api.append(id, json!({"merge": {"n": 21}})).await;
    assert_eq!(subscriber.message().await["cursor"], made["cursor"]);
    let delete = api.request(reqwest::Method::DELETE, &format!("/ltm/{id}"));
    let (kept, _) = api.create(json!({"n": 0})).await;
    assert!(api.send(delete).await.status.is_success());
    assert_eq!(subscriber.message().await["deleted"], true);

    let by_key = gateway.ws("/ws/by-key/tests.Acl/k?init=state");
    let mut named = Subscriber::connect(&by_key).await.unwrap();
    assert_eq!(named.message().await["reset"]["state"], json!({}));

    let mut list = Subscriber::connect(&gateway.ws("/ws/ltms")).await.unwrap();
    assert_eq!(list.message().await["reset"]["rows"][0]["id"], kept);

    let verified = Command::new(binary("ltm"))
        .args(["verify", "--redis", &guarded.url("ltm-operator"), "--all"])
        .output()
        .unwrap();
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(
        said.contains(&format!("LTM {kept}: 1 entry verified")),
        "{said}"
    );

    assert_eq!(guarded.ask("root", &["ACL", "LOG"]), "");
}

#[test]
fn the_gateways_user_can_write_nothing_and_take_a_ticket() {
    let guarded = Guarded::start();
    guarded.ask("root", &["XADD", "ltm:{1}:log", "1-1", "snapshot", "{}"]);
    guarded.ask("root", &["SET", "ltm:ids", "1"]);
    guarded.ask("root", &["SET", "ltm:ticket:abc", "who"]);
    let writes: [&[&str]; 12] = [
        &["XADD", "ltm:{1}:log", "2-1", "snapshot", "{}"],
        &["XTRIM", "ltm:{1}:log", "MAXLEN", "0"],
        &["XDEL", "ltm:{1}:log", "1-1"],
        &["DEL", "ltm:{1}:log"],
        &["UNLINK", "ltm:{1}:log"],
        &["EXPIRE", "ltm:{1}:log", "1"],
        &["RENAME", "ltm:{1}:log", "ltm:{1}:gone"],
        &["HSET", "ltm:{1}:meta", "cursor", "9-9"],
        &["SET", "ltm:ids", "7"],
        &["SET", "ltm:ticket:abc", "me"],
        &["INCR", "ltm:ids"],
        &["GETDEL", "ltm:ids"],
    ];
    for command in writes {
        guarded.is_refused("ltm-gateway", command);
    }
    // What it may not do itself, a script may not do for it.
    let script = "return redis.call('XADD', KEYS[1], '2-1', 'snapshot', '{}')";
    guarded.is_refused("ltm-gateway", &["EVAL", script, "1", "ltm:{1}:log"]);
    let hash = guarded.ask("ltm-gateway", &["SCRIPT", "LOAD", script]);
    let said = guarded.ask("ltm-gateway", &["EVALSHA", &hash, "1", "ltm:{1}:log"]);
    // As Redis says it, and as Valkey does.
    let words = ["can't run this command", "has no permissions to run"];
    assert!(words.iter().any(|words| said.contains(words)), "{said}");
    assert_eq!(guarded.ask("root", &["XLEN", "ltm:{1}:log"]), "1");
    assert_eq!(
        guarded.ask("ltm-gateway", &["GETDEL", "ltm:ticket:abc"]),
        "who"
    );
}

#[test]
fn no_shipped_user_reaches_beyond_its_keys_or_runs_the_server() {
    let guarded = Guarded::start();
    let anybody: [&[&str]; 13] = [
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["CONFIG", "GET", "requirepass"],
        &["CONFIG", "SET", "dir", "/tmp"],
        &["KEYS", "*"],
        &["SHUTDOWN", "NOSAVE"],
        &["MONITOR"],
        &["REPLICAOF", "NO", "ONE"],
        &["ACL", "LIST"],
        &["CLIENT", "KILL", "TYPE", "normal"],
        &["SCRIPT", "FLUSH"],
        &["GET", "somebody:else"],
        &["SUBSCRIBE", "somebody:else"],
    ];
    for user in ["ltm-api", "ltm-gateway", "ltm-operator"] {
        for command in anybody {
            guarded.is_refused(user, command);
        }
    }
    guarded.is_refused("ltm-operator", &["SET", "ltm:ids", "7"]);
    guarded.is_refused("ltm-operator", &["PUBLISH", "ltm:0:{1}:live", ""]);
    let nobody = guarded.redis.cli(&["GET", "ltm:ids"]);
    assert!(nobody.starts_with("NOAUTH"), "{nobody}");
}

#[test]
fn the_doctor_tells_what_a_user_may_do_and_what_it_lacks() {
    let guarded = Guarded::start();
    let looked_at = || {
        let output = Command::new(binary("ltm"))
            .args(["--json", "doctor", "--redis", &guarded.url("root")])
            .args(["--api-user", "ltm-api", "--gateway-user", "ltm-gateway"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let findings = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let users: Vec<Value> = findings
            .filter(|it: &Value| it["check"] == "user")
            .collect();
        (output.status.success(), users)
    };
    let (fine, users) = looked_at();
    assert!(
        fine && users.iter().all(|it| it["severity"] == "good"),
        "{users:?}"
    );
    assert_eq!(users.len(), 3);
    guarded.ask(
        "root",
        &["ACL", "SETUSER", "ltm-gateway", "-xrange", "-hget"],
    );
    let (fine, users) = looked_at();
    let failure = users.iter().find(|it| it["severity"] == "failure").unwrap();
    let is = failure["is"].as_str().unwrap();
    assert!(
        !fine && is.contains("ltm-gateway") && is.contains("HGET, XRANGE"),
        "{is}"
    );
}
