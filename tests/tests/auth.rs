//! Who may do what: the promises of docs/security.md.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ltm_tests::{
    Api, Follower, Haproxy, LIMIT, RedisServer, Service, SigningKey, Subscriber, binary,
};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, client::IntoClientRequest},
};

const AUDIENCE: &str = "ltm-live";

/// Services that ask who calls.
struct Guarded {
    api: Api,
    gateway: Service,
    api_service: Service,
    _redis: RedisServer,
    key: SigningKey,
    folder: TempDir,
}

impl Guarded {
    fn start() -> Self {
        Self::with(SigningKey::new("ES256"), &[])
    }

    fn with(key: SigningKey, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwt");
        std::fs::write(&file, key.public()).unwrap();
        let redis = RedisServer::start(&[]);
        let mut all = vec![
            ("LTM__AUTH__MODE", "required"),
            ("LTM__AUTH__AUDIENCE", AUDIENCE),
            ("LTM__AUTH__LEEWAY", "0s"),
            ("LTM__AUTH__JWT_KEY_FILE", file.to_str().unwrap()),
            ("LTM__AUTH__JWT_ALGORITHM", key.algorithm()),
            ("LTM__LOG__LEVEL", "debug"),
        ];
        all.extend_from_slice(settings);
        let api_service = Service::api(&redis.url(), &all);
        Self {
            api: Api::at(&api_service),
            gateway: Service::gateway(&redis.url(), &all),
            api_service,
            _redis: redis,
            key,
            folder,
        }
    }

    fn token(&self, ltm: impl Into<Value>, can: &str) -> String {
        self.key.token(&claims(ltm, can, 3600))
    }

    fn admin(&self) -> String {
        self.token("*", "admin")
    }

    /// An LTM of this class.
    async fn create(&self, class: &str) -> u64 {
        let body = json!({"fqn": class, "state": {"n": 0}});
        let request = self.api.request(Method::POST, "/ltm").json(&body);
        let created = self.send(request, &self.admin()).await.1;
        created["id"].as_u64().unwrap()
    }

    async fn append(&self, id: u64, n: u64) {
        let request = self
            .api
            .request(Method::POST, &format!("/ltm/{id}/snapshots"));
        let body = json!({"reason": "execute", "merge": {"n": n}});
        let (status, _) = self.send(request.json(&body), &self.admin()).await;
        assert_eq!(status, 201);
    }

    async fn send(&self, request: RequestBuilder, token: &str) -> (StatusCode, Value) {
        let answer = self.api.send(request.bearer_auth(token)).await;
        (answer.status, answer.json())
    }

    async fn ticket(&self, token: &str) -> String {
        let request = self.api.request(Method::POST, "/ws-ticket");
        let (status, answer) = self.send(request, token).await;
        assert_eq!(status, 200, "{answer}");
        answer["ticket"].as_str().unwrap().into()
    }

    /// The status of a handshake with these headers.
    async fn handshake(&self, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        let mut request = self.gateway.ws(path).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((_, response)) => response.status().as_u16(),
            Err(Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn claims(ltm: impl Into<Value>, can: &str, seconds: i64) -> Value {
    let exp = now().checked_add_signed(seconds).unwrap();
    json!({"sub": "somebody", "aud": AUDIENCE, "exp": exp, "ltm": ltm.into(), "can": can})
}

/// The calls, in the order of the columns below.
const CALLS: [&str; 12] = [
    "list",
    "document",
    "snapshots",
    "state",
    "ticket",
    "follow",
    "append",
    "rollback",
    "error",
    "copy",
    "create",
    "delete",
];

/// What each kind of caller gets, by call: `+` an answer, `1` 401, `3` 403. The LTM is of class `app.Agent`.
const MATRIX: [(&str, &str); 24] = [
    //                     lists   writes
    //                     d s s t f a r e c c d
    ("nothing", "111111111111"),
    ("garbage", "111111111111"),
    ("basic", "111111111111"),
    ("expired", "111111111111"),
    ("not yet", "111111111111"),
    ("no expiry", "111111111111"),
    ("other audience", "111111111111"),
    ("other key", "111111111111"),
    ("alg none", "111111111111"),
    ("public as secret", "111111111111"),
    ("changed claims", "111111111111"),
    ("no grant", "111111111111"),
    ("unknown api key", "111111111111"),
    ("read *", "++++++333333"),
    ("write *", "+++++++++++3"),
    ("admin *", "++++++++++++"),
    ("read id", "++++++333333"),
    ("admin id", "++++++++++3+"),
    ("admin other id", "+333+3333333"),
    ("read class", "++++++333333"),
    ("write class", "+++++++++++3"),
    ("write other class", "+333+3333333"),
    ("read api key", "++++++333333"),
    ("write api key", "+++++++++++3"),
];

/// The `Authorization` of a kind of caller; none for who shows nothing.
fn shown(guarded: &Guarded, caller: &str, id: u64, keys: &[String; 2]) -> Option<String> {
    let key = &guarded.key;
    let all = claims("*", "admin", 3600);
    let es256 = json!({"typ": "JWT", "alg": "ES256"});
    let with = |name: &str, value: Value| {
        let mut claims = all.clone();
        claims[name] = value;
        claims
    };
    let token = match caller {
        "nothing" => return None,
        "basic" => return Some("Basic YTpi".into()),
        "garbage" => "a.b.c".into(),
        "expired" => key.token(&claims("*", "admin", -5)),
        "not yet" => key.token(&with("nbf", json!(now() + 1000))),
        "no expiry" => {
            let mut claims = all;
            claims.as_object_mut().unwrap().remove("exp");
            key.token(&claims)
        }
        "other audience" => key.token(&with("aud", json!("another service"))),
        "other key" => SigningKey::new("ES256").token(&all),
        "alg none" => {
            let signed = key.token_with(&json!({"alg": "none"}), &all);
            let (rest, _) = signed.rsplit_once('.').unwrap();
            format!("{rest}.")
        }
        "public as secret" => SigningKey::HS256(key.public().into_bytes()).token(&all),
        "changed claims" => {
            let (mine, more) = (key.token(&claims(7, "read", 3600)), key.token(&all));
            let (mine, more): (Vec<_>, Vec<_>) =
                (mine.split('.').collect(), more.split('.').collect());
            [mine[0], more[1], mine[2]].join(".")
        }
        "no grant" => key.token_with(&es256, &json!({"aud": AUDIENCE, "exp": now() + 1000})),
        "unknown api key" => "ltm_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into(),
        "read *" => guarded.token("*", "read"),
        "write *" => guarded.token(json!(["*"]), "write"),
        "admin *" => guarded.admin(),
        "read id" => guarded.token(id, "read"),
        "admin id" => guarded.token(json!([id.to_string(), 1_000_000]), "read admin"),
        "admin other id" => guarded.token(id + 1_000_000, "admin"),
        "read class" => guarded.token("app.*", "read"),
        "write class" => guarded.token("app.Agent", "write"),
        "write other class" => guarded.token("lib.*", "write"),
        "read api key" => keys[0].clone(),
        "write api key" => keys[1].clone(),
        other => panic!("{other}"),
    };
    Some(format!("Bearer {token}"))
}

async fn call(guarded: &Guarded, call: &str, id: u64, shown: Option<&str>) -> u16 {
    if call == "follow" {
        let headers: Vec<(&'static str, &str)> =
            shown.into_iter().map(|s| ("authorization", s)).collect();
        return guarded.handshake(&format!("/ws/{id}"), &headers).await;
    }
    let ltm = format!("/ltm/{id}");
    let get = |path: &str| guarded.api.request(Method::GET, path);
    let post = |path: &str, body: Value| guarded.api.request(Method::POST, path).json(&body);
    let mut request = match call {
        "list" => get("/ltm"),
        "document" => get(&ltm),
        "snapshots" => get(&format!("{ltm}/snapshots")),
        "state" => get(&format!("{ltm}/state")),
        "ticket" => post("/ws-ticket", json!({})),
        "append" => post(
            &format!("{ltm}/snapshots"),
            json!({"reason": "execute", "merge": {"n": 1}}),
        ),
        "rollback" => post(
            &format!("{ltm}/rollback"),
            json!({"snapshot": {"index": 0}}),
        ),
        "error" => post(
            &format!("{ltm}/errors"),
            json!({"id": "5f0c5b1e-7d0f-4e52-a9c4-0d6f2f6c7a11", "reason": "execute", "item": {}, "retries": [],
                   "retrying": false, "success": false}),
        ),
        "copy" => post(&format!("{ltm}/copy"), json!({})),
        "create" => post("/ltm", json!({"fqn": "app.Agent"})),
        "delete" => guarded.api.request(Method::DELETE, &ltm),
        other => panic!("{other}"),
    };
    if let Some(shown) = shown {
        request = request.header("authorization", shown);
    }
    guarded.api.send(request).await.status.as_u16()
}

/// Makes an API key, and lets the services know it by its entry in the file.
fn api_key(file: &Path, name: &str, ltm: &str, can: &str) -> String {
    let mut ltm_key = Command::new(binary("ltm"));
    let made = ltm_key
        .args(["--json", "key", name, "--ltm", ltm, "--can", can])
        .output()
        .unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let before = std::fs::read_to_string(file).unwrap_or_default();
    let entry = made["entry"].as_str().unwrap();
    std::fs::write(file, format!("{before}\n{entry}")).unwrap();
    made["key"].as_str().unwrap().into()
}

fn api_keys_file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    (folder, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_every_kind_of_caller_is_answered_as_the_matrix_says() {
    let (_folder, file) = api_keys_file();
    let keys = [
        api_key(&file, "reader", "app.*", "read"),
        api_key(&file, "engine", "*", "write"),
    ];
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[("LTM__AUTH__API_KEYS_FILE", file.to_str().unwrap())],
    );
    for (caller, row) in MATRIX {
        let mut got = String::new();
        for name in CALLS {
            let id = guarded.create("app.Agent").await;
            let shown = shown(&guarded, caller, id, &keys);
            got.push(match call(&guarded, name, id, shown.as_deref()).await {
                101 | 200 | 201 => '+',
                401 => '1',
                403 => '3',
                other => panic!("{caller}: {name}: {other}"),
            });
        }
        assert_eq!(got, row, "{caller}: {CALLS:?}");
    }
    // What was shown is nowhere in what the services say.
    for service in [&guarded.api_service, &guarded.gateway] {
        for secret in [keys[0].as_str(), keys[1].as_str(), "Bearer ", "eyJ"] {
            assert!(!service.logged(secret), "a log holds {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_open_and_a_refusal_says_what_is_asked_for() {
    let guarded = Guarded::start();
    for path in ["/healthz", "/readyz", "/metrics"] {
        guarded.api.until_ready_is(200).await;
        assert_eq!(guarded.api.get_root(path).await.status, 200, "{path}");
    }
    let refused = guarded.api.get("/ltm").await;
    assert!(refused.header("www-authenticate").starts_with("Bearer "));
    let problem = refused.problem(401, "unauthenticated");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("Authorization: Bearer")
    );
    // Who may see all that is there hears that something is not.
    let reader = guarded.token("lib.*", "read");
    let missing = guarded.api.request(Method::GET, "/ltm/4711");
    assert_eq!(guarded.send(missing, &reader).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_all_four_kinds_are_proved() {
    for algorithm in ["HS256", "RS256", "ES256", "EdDSA"] {
        let guarded = Guarded::with(SigningKey::new(algorithm), &[]);
        let id = guarded.create("app.Agent").await;
        let other = SigningKey::new(algorithm).token(&claims("*", "admin", 3600));
        let request = guarded.api.request(Method::GET, &format!("/ltm/{id}"));
        assert_eq!(guarded.send(request, &other).await.0, 401, "{algorithm}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_what_its_caller_may_read() {
    let guarded = Guarded::start();
    let mut mine = Vec::new();
    for n in 0..40 {
        let class = if n % 5 == 0 { "app.Agent" } else { "lib.Other" };
        let id = guarded.create(class).await;
        if n % 5 == 0 {
            mine.insert(0, id);
        }
    }
    let other = guarded.create("lib.Other").await;
    mine.insert(0, other);
    let token = guarded.token(json!(["app.*", other]), "read");
    let (mut seen, mut path) = (Vec::new(), "/ltm?limit=3".to_owned());
    loop {
        let request = guarded.api.request(Method::GET, &path).bearer_auth(&token);
        let page = guarded.api.send(request).await;
        let rows = page.json();
        assert!(rows.as_array().unwrap().len() <= 3);
        seen.extend(
            rows.as_array()
                .unwrap()
                .iter()
                .map(|row| row["id"].as_u64().unwrap()),
        );
        let link = page
            .headers
            .get("link")
            .map(|link| link.to_str().unwrap().to_owned());
        let Some(link) = link else { break };
        let next = link.split_once("</api/v0").unwrap().1;
        path = next.split_once('>').unwrap().0.to_owned();
    }
    assert_eq!(seen, mine);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_its_token_as_a_subprotocol_or_a_ticket_once() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let (reader, stranger) = (guarded.token(id, "read"), guarded.token(id + 1, "read"));
    let path = format!("/ws/{id}");

    let mut request = guarded.gateway.ws(&path).into_client_request().unwrap();
    let offered = format!("ltm.v0, bearer.{reader}");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offered.parse().unwrap());
    let (_, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "ltm.v0");
    let offered = format!("ltm.v0, bearer.{stranger}");
    assert_eq!(
        guarded
            .handshake(&path, &[("sec-websocket-protocol", &offered)])
            .await,
        403
    );

    let ticket = guarded.ticket(&reader).await;
    let shown = format!("{path}?ticket={ticket}");
    assert_eq!(guarded.handshake(&shown, &[]).await, 101);
    assert_eq!(guarded.handshake(&shown, &[]).await, 401, "it was used");
    let ticket = guarded.ticket(&stranger).await;
    assert_eq!(
        guarded
            .handshake(&format!("{path}?ticket={ticket}"), &[])
            .await,
        403
    );
    assert_eq!(
        guarded
            .handshake(&format!("{path}?ticket=guess"), &[])
            .await,
        401
    );
    assert!(!guarded.gateway.logged(&ticket));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_not_in_the_log_of_the_proxy_before_the_services() {
    let mut guarded = Guarded::start();
    let haproxy = Haproxy::start(&[&guarded.api_service], &[&guarded.gateway]);
    haproxy.until_seen("gateway", "gateway0", "UP").await;
    let proxied = Api::at_url(&haproxy.http());
    let request = proxied.request(Method::POST, "/ws-ticket");
    let answer = proxied.send(request.bearer_auth(guarded.admin())).await;
    let ticket = answer.expect(200)["ticket"].as_str().unwrap().to_owned();
    // Where nobody takes it, it is still good.
    guarded.gateway.kill();
    let url = format!("{}/ws/4711?after=0&ticket={ticket}", haproxy.http());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 503);
    let began = Instant::now();
    while !haproxy.log().contains("/ws/4711") {
        assert!(began.elapsed() < LIMIT, "{}", haproxy.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = haproxy.log();
    assert!(!log.contains(&ticket) && !log.contains("ticket="), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_not_shown_soon_is_worth_nothing() {
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[("LTM__API__TICKET_TTL", "50ms")],
    );
    let id = guarded.create("app.Agent").await;
    let began = Instant::now();
    loop {
        let ticket = guarded.ticket(&guarded.admin()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        if guarded
            .handshake(&format!("/ws/{id}?ticket={ticket}"), &[])
            .await
            == 401
        {
            break;
        }
        assert!(began.elapsed() < LIMIT, "tickets do not expire");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_is_closed_when_its_token_expires_and_one_that_renews_it_misses_nothing() {
    const ENTRIES: u64 = 60;
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let short = |seconds| guarded.key.token(&claims(id, "read", seconds));
    let url = |token: &str| format!("/ws/{id}?after=0&ticket={token}");
    let ticket = guarded.ticket(&short(3)).await;
    let mut brief = Subscriber::connect(&guarded.gateway.ws(&url(&ticket)))
        .await
        .unwrap();
    let ticket = guarded.ticket(&short(3)).await;
    let mut renewing = Subscriber::connect(&guarded.gateway.ws(&url(&ticket)))
        .await
        .unwrap();
    let mut follower = Follower::default();
    for n in 1..=ENTRIES {
        guarded.append(id, n).await;
        if n % 10 == 0 {
            let renewal = if n % 20 == 0 {
                json!({"ticket": guarded.ticket(&short(3600)).await})
            } else {
                json!({"token": short(3600)})
            };
            assert!(renewing.say(&renewal.to_string()).await);
        }
    }
    assert_eq!(brief_end(&mut brief).await, 1008);
    while follower.seen.len() <= usize::try_from(ENTRIES).unwrap() {
        follower.take(&renewing.message().await);
    }
    assert_eq!(follower.state["n"], ENTRIES);
}

/// Reads until it is closed; gives the code.
async fn brief_end(subscriber: &mut Subscriber) -> u16 {
    loop {
        match timeout(LIMIT, subscriber.hear()).await.unwrap() {
            ltm_tests::Heard::Message(_) => {}
            ltm_tests::Heard::Closed(code) => return code,
            ltm_tests::Heard::Lost => panic!("lost"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_is_not_good_closes_the_socket_and_other_texts_do_not() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    for (wrong, code) in [
        (json!({"token": guarded.token(id + 1, "read")}), 1008),
        (json!({"token": "garbage"}), 1008),
        (json!({"ticket": "guess"}), 1008),
    ] {
        let ticket = guarded.ticket(&guarded.token(id, "read")).await;
        let url = guarded.gateway.ws(&format!("/ws/{id}?ticket={ticket}"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        for text in ["hello", "{}", r#"{"token": 5}"#, r#"{"follow": 1}"#] {
            assert!(subscriber.say(text).await);
        }
        guarded.append(id, 1).await;
        assert!(subscriber.message().await["snapshot"].is_object());
        assert!(subscriber.say(&wrong.to_string()).await);
        assert_eq!(subscriber.close_code().await, code, "{wrong}");
    }
}

/// A server of key sets.
struct KeyServer {
    url: String,
    keys: Arc<Mutex<Value>>,
    asked: Arc<Mutex<u64>>,
}

impl KeyServer {
    async fn start(keys: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (keys, asked) = (Arc::new(Mutex::new(keys)), Arc::new(Mutex::new(0)));
        let server = Self {
            url,
            keys: keys.clone(),
            asked: asked.clone(),
        };
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let _ = client.read(&mut head).await;
                *asked.lock().unwrap() += 1;
                let body = keys.lock().unwrap().to_string();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = client.write_all(answer.as_bytes()).await;
            }
        });
        server
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_served_somewhere_are_changed_without_a_restart() {
    let (old, new) = (SigningKey::new("RS256"), SigningKey::new("EdDSA"));
    let server = KeyServer::start(json!({"keys": [old.jwk("old"), {"kty": "new kind"}]})).await;
    let redis = RedisServer::start(&[]);
    let service = Service::api(
        &redis.url(),
        &[
            ("LTM__AUTH__MODE", "required"),
            ("LTM__AUTH__AUDIENCE", AUDIENCE),
            ("LTM__AUTH__JWKS_URL", &server.url),
            ("LTM__AUTH__JWKS_PAUSE", "100ms"),
        ],
    );
    let api = Api::at(&service);
    let list = async |key: &SigningKey, id: &str| {
        let header = json!({"alg": key.algorithm(), "kid": id});
        let token = key.token_with(&header, &claims("*", "read", 3600));
        let request = api.request(Method::GET, "/ltm").bearer_auth(token);
        api.send(request).await.status.as_u16()
    };
    assert_eq!(list(&old, "old").await, 200);
    assert_eq!(list(&new, "new").await, 401);
    let secret = SigningKey::HS256(old.public().into_bytes());
    *server.keys.lock().unwrap() = json!({"keys": [new.jwk("new"), secret.jwk("secret")]});
    let began = Instant::now();
    while list(&new, "new").await != 200 {
        assert!(began.elapsed() < LIMIT, "the new key is never heard of");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(list(&old, "old").await, 401, "it was taken out");
    assert_eq!(
        list(&secret, "secret").await,
        401,
        "a secret is no public key"
    );
    let before = *server.asked.lock().unwrap();
    for _ in 0..50 {
        assert_eq!(list(&new, "new").await, 200);
    }
    assert_eq!(*server.asked.lock().unwrap(), before, "keys are held");
    // What was read counts on while the server answers nonsense.
    *server.keys.lock().unwrap() = json!("down");
    assert_eq!(list(&SigningKey::new("ES256"), "unknown").await, 401);
    assert_eq!(list(&new, "new").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_that_is_added_or_taken_out_counts_without_a_restart() {
    let (_folder, file) = api_keys_file();
    let first = api_key(&file, "first", "*", "read");
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[("LTM__AUTH__API_KEYS_FILE", file.to_str().unwrap())],
    );
    let list = async |key: &str| {
        guarded
            .send(guarded.api.request(Method::GET, "/ltm"), key)
            .await
            .0
    };
    assert_eq!(list(&first).await, 200);
    std::fs::remove_file(&file).unwrap();
    let second = api_key(&file, "second", "*", "read");
    let began = Instant::now();
    while list(&second).await != 200 {
        assert!(began.elapsed() < LIMIT, "the new key is never heard of");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(list(&first).await, 401);
}

#[test]
fn a_service_that_others_can_reach_starts_only_where_somebody_said_who_may_use_it() {
    let redis = RedisServer::start(&[]);
    for program in ["ltm-api", "ltm-gateway"] {
        let start = |settings: &[(&str, &str)]| {
            let mut command = Command::new(binary(program));
            command
                .env("LTM__REDIS__URL", redis.url())
                .env("LTM__API__LISTEN", "0.0.0.0:0")
                .env("LTM__GATEWAY__LISTEN", "0.0.0.0:0")
                .envs(settings.iter().copied())
                .stdin(Stdio::null());
            command.output().unwrap()
        };
        for (settings, named) in [
            (&[][..], "LTM__AUTH__MODE"),
            (&[("LTM__AUTH__MODE", "required")], "auth.api_keys_file"),
            (
                &[
                    ("LTM__AUTH__MODE", "required"),
                    ("LTM__AUTH__JWKS_URL", "https://id.example/"),
                ],
                "auth.audience",
            ),
            (
                &[
                    ("LTM__AUTH__MODE", "required"),
                    ("LTM__AUTH__AUDIENCE", "a"),
                    ("LTM__AUTH__JWKS_URL", "http://id.example/"),
                ],
                "https://",
            ),
            (
                &[
                    ("LTM__AUTH__MODE", "required"),
                    ("LTM__AUTH__API_KEYS_FILE", "/nowhere/keys"),
                ],
                "/nowhere/keys",
            ),
        ] {
            let ended = start(settings);
            let said = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(1), "{said}");
            assert!(said.contains(named), "{program} {settings:?}: {said}");
        }
    }
    let open = Service::api(
        &redis.url(),
        &[
            ("LTM__API__LISTEN", "0.0.0.0:0"),
            ("LTM__AUTH__MODE", "off"),
        ],
    );
    assert!(open.address().starts_with("0.0.0.0:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_shows_its_token_on_http_and_on_the_websocket() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let ltm = |url: &str, arguments: &[&str], token: Option<&str>| {
        let mut command = Command::new(binary("ltm"));
        command
            .args(["--url", url])
            .args(arguments)
            .env_remove("LTM_TOKEN");
        command.envs(token.map(|token| ("LTM_TOKEN", token)));
        command.output().unwrap()
    };
    let (api, gateway) = (guarded.api_service.http(), guarded.gateway.http());
    let token = guarded.admin();
    assert!(
        ltm(&api, &["get", &id.to_string()], Some(&token))
            .status
            .success()
    );
    let refused = ltm(&api, &["get", &id.to_string()], None);
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("say who calls")
    );
    let delete = guarded.api.request(Method::DELETE, &format!("/ltm/{id}"));
    assert_eq!(guarded.send(delete, &token).await.0, 200);
    let ended = ltm(
        &gateway,
        &["tail", &id.to_string(), "--after", "0"],
        Some(&token),
    );
    assert!(
        String::from_utf8(ended.stdout).unwrap().contains("deleted") || !ended.stderr.is_empty()
    );
    assert!(!String::from_utf8(ended.stderr).unwrap().contains(&token));
    assert!(guarded.folder.path().exists());
}
