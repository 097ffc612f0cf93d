//! Credentials that an administrator revokes: what they opened ends at every gateway.

use std::process::Command;

use ltm_tests::{Api, Events, Scrape, Service, SigningKey, Subscriber, binary, until};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Guarded, api_key, api_keys_file, claims, now, sockets::end_of};

/// A caller of each kind, and how to revoke it.
fn callers(guarded: &Guarded, key: &str) -> [(String, Value); 3] {
    let token = |name: &str, value: &str| {
        let mut claims = claims("*", "read", 3600);
        claims[name] = json!(value);
        guarded.key.token(&claims)
    };
    [
        (token("jti", "token 1"), json!({"jti": "token 1"})),
        (token("sub", "mallory:1"), json!({"sub": "mallory:1"})),
        (key.to_owned(), json!({"api_key": "engine 1"})),
    ]
}

async fn revoke(guarded: &Guarded, body: &Value) -> Value {
    let request = guarded.api.request(Method::POST, "/revocations").json(body);
    let (status, answer) = guarded.send(request, &guarded.admin()).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn lists(guarded: &Guarded, token: &str) -> u16 {
    let request = guarded.api.request(Method::GET, "/ltm");
    guarded.send(request, token).await.0.as_u16()
}

/// Everything that a caller has open, at two gateways.
struct Opened {
    sockets: Vec<Subscriber>,
    events: Events,
}

impl Opened {
    async fn by(guarded: &Guarded, gateways: [&Service; 2], id: u64, token: &str) -> Self {
        let mut sockets = Vec::new();
        for gateway in gateways {
            for path in [format!("/ws/{id}?live=1"), "/ws/ltms".into(), "/ws".into()] {
                // API and gateway may not have read the same file of keys yet.
                let connect = async || {
                    let ticket = guarded.ticket(token).await;
                    let mark = if path.contains('?') { '&' } else { '?' };
                    Subscriber::connect(&gateway.ws(&format!("{path}{mark}ticket={ticket}"))).await
                };
                let mut socket = until("the caller is let in", connect).await;
                if path == "/ws" {
                    let follow = json!({"follow": id, "live": 1}).to_string();
                    assert!(socket.say(&follow).await);
                }
                socket.message().await;
                sockets.push(socket);
            }
        }
        let ticket = guarded.ticket(token).await;
        let url = format!("{}/sse/{id}?live=1&ticket={ticket}", gateways[1].http());
        let mut events = Events::open(Events::ask(&url, None)).await;
        events.next().await.unwrap();
        Self { sockets, events }
    }

    /// Waits until all of it has ended.
    async fn ended(&mut self) {
        for socket in &mut self.sockets {
            assert_eq!(end_of(socket).await, 4401);
        }
        let end = self.events.next().await.unwrap();
        assert_eq!(
            (end.name.as_str(), &end.json()["end"]["code"]),
            ("end", &json!(4401))
        );
        assert_eq!(self.events.next().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_credential_ends_what_it_opened_at_all_gateways() {
    let (_folder, file) = api_keys_file();
    let key = api_key(&file, "engine 1", "*", "read");
    let keys = ("LTM__AUTH__API_KEYS_FILE", file.to_str().unwrap());
    let guarded = Guarded::with(SigningKey::new("ES256"), &[keys]);
    let second = guarded.another_gateway(&[keys]);
    let id = guarded.create("app.Agent").await;
    let reader = guarded.token("*", "read");
    let mut others = Opened::by(&guarded, [&guarded.gateway, &second], id, &reader).await;
    for (token, revocation) in callers(&guarded, &key) {
        let mut opened = Opened::by(&guarded, [&guarded.gateway, &second], id, &token).await;
        let ticket = guarded.ticket(&token).await;
        let answer = revoke(&guarded, &revocation).await;
        let mut row = revocation.clone();
        row["until"] = Value::Null;
        assert_eq!(answer, row);
        assert_eq!(lists(&guarded, &token).await, 401, "{revocation}");
        opened.ended().await;
        for gateway in [&guarded.gateway, &second] {
            let path = format!("/ws/{id}?ticket={ticket}");
            let refused = Api::at(gateway).get_root(&path).await;
            assert_eq!(refused.status, 401, "{revocation}");
        }
        let list = guarded.api.request(Method::GET, "/revocations");
        let (_, all) = guarded.send(list, &guarded.admin()).await;
        assert_eq!(all, json!([row]));

        // It is a credential again as soon as an administrator says so.
        let (name, text) = revocation.as_object().unwrap().iter().next().unwrap();
        let lift = guarded.api.request(Method::DELETE, "/revocations");
        let lift = lift.query(&[(name, text.as_str().unwrap())]);
        let (status, lifted) = guarded.send(lift, &guarded.admin()).await;
        assert_eq!((status.as_u16(), &lifted["lifted"]), (200, &json!(true)));
        assert_eq!(lists(&guarded, &token).await, 200, "{revocation}");
    }
    // Nobody else was disturbed.
    guarded.append(id, 1).await;
    for socket in &mut others.sockets {
        socket.message().await;
    }
    assert!(others.events.next().await.unwrap().json()["snapshot"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_that_is_taken_out_or_changed_ends_what_it_opened() {
    let (_folder, file) = api_keys_file();
    let key = api_key(&file, "engine", "*", "read");
    let entry = std::fs::read_to_string(&file).unwrap();
    let keys = ("LTM__AUTH__API_KEYS_FILE", file.to_str().unwrap());
    let guarded = Guarded::with(SigningKey::new("ES256"), &[keys]);
    let second = guarded.another_gateway(&[keys]);
    let id = guarded.create("app.Agent").await;
    let both = [&guarded.gateway, &second];
    let stays = api_key(&file, "stays", "*", "read");
    let with_another = std::fs::read_to_string(&file).unwrap();
    until("the services know the new key", async || {
        lists(&guarded, &stays).await == 200
    })
    .await;
    let mut others = Opened::by(&guarded, both, id, &stays).await;
    let mut opened = Opened::by(&guarded, both, id, &key).await;
    let changed = entry.replace("\"*\"", "\"app.*\"");
    assert_ne!(changed, entry);
    std::fs::write(&file, with_another.replace(&entry, &changed)).unwrap();
    opened.ended().await;
    let mut opened = Opened::by(&guarded, both, id, &key).await;
    std::fs::write(&file, with_another.replace(&entry, "")).unwrap();
    opened.ended().await;
    until("the API has read the file, too", async || {
        lists(&guarded, &key).await == 401
    })
    .await;
    guarded.append(id, 1).await;
    for socket in &mut others.sockets {
        socket.message().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revocations_are_bounded_and_one_that_has_ended_makes_room() {
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[("LTM__AUTH__MAX_REVOCATIONS", "2")],
    );
    let post = async |body: Value| {
        let request = guarded
            .api
            .request(Method::POST, "/revocations")
            .json(&body);
        guarded.send(request, &guarded.admin()).await
    };
    let ends = now() + 2;
    let mut mine = claims("*", "read", 3600);
    mine["jti"] = json!("1");
    let token = guarded.key.token(&mine);
    assert_eq!(post(json!({"jti": "1", "until": ends})).await.0, 200);
    assert_eq!(post(json!({"jti": "2"})).await.0, 200);
    // The same credential again takes no more room.
    assert_eq!(post(json!({"jti": "2"})).await.0, 200);
    let (status, problem) = post(json!({"jti": "3"})).await;
    if now() < ends {
        assert_eq!(status, 503, "{problem}");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("auth.max_revocations")
        );
        guarded
            .api_service
            .until_logged("auth.max_revocations")
            .await;
    }
    until("the first revocation has ended", async || {
        post(json!({"jti": "3"})).await.0 == 200
    })
    .await;
    assert_eq!(lists(&guarded, &token).await, 200);
    for (wrong, field) in [
        (json!({}), "jti"),
        (json!({"jti": "1", "sub": "2"}), "jti"),
        (json!({"sub": ""}), "sub"),
        (json!({"api_key": "x".repeat(1025)}), "api_key"),
        (json!({"jti": "1", "until": 0}), "until"),
        (json!({"jti": "1", "until": "tomorrow"}), "until"),
        (json!({"apikey": "1"}), "apikey"),
    ] {
        let (status, problem) = post(wrong.clone()).await;
        assert_eq!(status, 422, "{wrong}: {problem}");
        let said = problem.to_string();
        assert!(said.contains(field), "{wrong}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_later_knows_what_was_revoked() {
    let guarded = Guarded::start();
    let mut mine = claims("*", "read", 3600);
    mine["jti"] = json!("stolen");
    let token = guarded.key.token(&mine);
    revoke(&guarded, &json!({"jti": "stolen"})).await;
    let later = guarded.another_gateway(&[]);
    let list = Api::at(&later)
        .get_root(&format!("/ws/ltms?ticket={token}"))
        .await;
    assert_eq!(list.status, 401);
    let headers = [("authorization", format!("Bearer {token}"))];
    let headers: Vec<(&'static str, &str)> =
        headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(
        guarded.handshake_at(&later, "/ws/ltms", &headers).await,
        401
    );
}

/// A thousand open sockets ask Redis for the revocations no more often than one.
#[tokio::test(flavor = "multi_thread")]
async fn looking_for_revocations_costs_the_same_for_any_number_of_sockets() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let token = guarded.token("*", "read");
    let mut sockets = Vec::new();
    for _ in 0..100 {
        let ticket = guarded.ticket(&token).await;
        let url = guarded.gateway.ws(&format!("/ws/{id}?ticket={ticket}"));
        sockets.push(Subscriber::connect(&url).await.unwrap());
    }
    let looks = || {
        let stats = guarded.redis.cli(&["INFO", "commandstats"]);
        let line = stats.lines().find(|line| line.starts_with("cmdstat_hget:"));
        let calls = line.and_then(|line| line.split_once("calls=")?.1.split_once(','));
        calls.map_or(0, |(calls, _)| calls.parse::<u64>().unwrap())
    };
    let before = looks();
    let began = now();
    until("some looks have passed", async || looks() >= before + 10).await;
    // API and gateway look twice a second each, and compare the head of the one followed LTM now and then.
    let seconds = now() - began + 1;
    assert!(looks() - before <= 8 * seconds + 10, "{seconds} s");
    Scrape::until(&guarded.gateway, "ltm_subscribers", 100.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_revokes_and_lifts_and_lists() {
    let guarded = Guarded::start();
    let mut mine = claims("*", "read", 3600);
    mine["sub"] = json!("alice");
    let token = guarded.key.token(&mine);
    let (url, admin) = (guarded.api_service.http(), guarded.admin());
    let ltm = |args: &[&str]| {
        let mut command = Command::new(binary("ltm"));
        command.args(["--url", &url]).args(args);
        let output = command.env("LTM_TOKEN", &admin).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    ltm(&["revoke", "--sub", "alice", "--until", "99999999999"]);
    assert_eq!(lists(&guarded, &token).await, 401);
    let listed = ltm(&["revoke"]);
    assert!(
        listed.contains("sub") && listed.contains("alice"),
        "{listed}"
    );
    let row: Value = serde_json::from_str(&ltm(&["--json", "revoke"])).unwrap();
    assert_eq!(row, json!({"sub": "alice", "until": 99_999_999_999_u64}));
    ltm(&["revoke", "--sub", "alice", "--lift"]);
    assert_eq!(lists(&guarded, &token).await, 200);
    assert_eq!(ltm(&["--json", "revoke"]), "");
}
