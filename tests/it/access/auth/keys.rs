//! Keys: of what kinds they are, and how they are changed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ltm_tests::{Answer, Api, Authority, LIMIT, RedisServer, Service, SigningKey, until};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};

use super::{AUDIENCE, Guarded, api_key, api_keys_file, claims};

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

/// A server of key sets.
pub(crate) struct KeyServer {
    pub(crate) url: String,
    body: Arc<Mutex<String>>,
    asked: Arc<Mutex<u64>>,
    /// Whether it answers.
    answers: watch::Sender<bool>,
}

impl KeyServer {
    pub(crate) async fn start(body: impl ToString) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}/keys", listener.local_addr().unwrap()),
            body: Arc::new(Mutex::new(body.to_string())),
            asked: Arc::default(),
            answers: watch::Sender::new(true),
        };
        let (body, asked) = (server.body.clone(), server.asked.clone());
        let mut answers = server.answers.subscribe();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let _ = client.read(&mut head).await;
                *asked.lock().unwrap() += 1;
                if answers.wait_for(|answers| *answers).await.is_err() {
                    break;
                }
                let body = body.lock().unwrap().clone();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = client.write_all(answer.as_bytes()).await;
            }
        });
        server
    }

    /// What it answers from now on.
    pub(crate) fn serve(&self, body: impl ToString) {
        *self.body.lock().unwrap() = body.to_string();
    }

    pub(crate) fn asked(&self) -> u64 {
        *self.asked.lock().unwrap()
    }
}

/// An API that reads its keys from `server`, with these settings more.
fn api_with_keys_of(server: &KeyServer, redis: &RedisServer, more: &[(&str, &str)]) -> Service {
    let keys = [
        ("LTM__AUTH__MODE", "required"),
        ("LTM__AUTH__AUDIENCE", AUDIENCE),
        ("LTM__AUTH__JWKS_URL", &server.url),
    ];
    Service::api(&redis.url(), &[&keys, more].concat())
}

/// The answer to a list, with a token by the key that has this id.
async fn list_with(api: &Api, key: &SigningKey, id: &str) -> Answer {
    let header = json!({"alg": key.algorithm(), "kid": id});
    let token = key.token_with(&header, &claims("*", "read", 3600));
    api.send(api.request(Method::GET, "/ltm").bearer_auth(token))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_served_somewhere_are_changed_without_a_restart() {
    let (old, new) = (SigningKey::new("RS256"), SigningKey::new("EdDSA"));
    let server = KeyServer::start(json!({"keys": [old.jwk("old"), {"kty": "new kind"}]})).await;
    let redis = RedisServer::start(&[]);
    let service = api_with_keys_of(&server, &redis, &[("LTM__AUTH__JWKS_PAUSE", "100ms")]);
    let api = Api::at(&service);
    let list = async |key: &SigningKey, id: &str| list_with(&api, key, id).await.status.as_u16();
    assert_eq!(list(&old, "old").await, 200);
    assert_eq!(list(&new, "new").await, 401);
    let secret = SigningKey::HS256(old.public().into_bytes());
    server.serve(json!({"keys": [new.jwk("new"), secret.jwk("secret")]}));
    until("the service knows the new key", async || {
        list(&new, "new").await == 200
    })
    .await;
    assert_eq!(list(&old, "old").await, 401, "it was taken out");
    assert_eq!(
        list(&secret, "secret").await,
        401,
        "a secret is no public key"
    );
    let before = server.asked();
    for _ in 0..50 {
        assert_eq!(list(&new, "new").await, 200);
    }
    assert_eq!(server.asked(), before, "keys are held");
    // What was read counts on while the server answers nonsense.
    server.serve(json!("down"));
    assert_eq!(list(&SigningKey::new("ES256"), "unknown").await, 401);
    assert_eq!(list(&new, "new").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_read_over_tls_from_whom_the_system_trusts() {
    let key = SigningKey::new("ES256");
    let server = KeyServer::start(json!({"keys": [key.jwk("key")]})).await;
    let (authority, stranger) = (Authority::generate(), Authority::generate());
    let address = server.url.trim_start_matches("http://");
    let port = authority
        .front(address.trim_end_matches("/keys").into())
        .await;
    let url = format!("https://localhost:{port}/keys");
    let redis = RedisServer::start(&[]);
    for (trusted, status) in [(&authority, 200), (&stranger, 503)] {
        let service = Service::api(
            &redis.url(),
            &[
                ("LTM__AUTH__MODE", "required"),
                ("LTM__AUTH__AUDIENCE", AUDIENCE),
                ("LTM__AUTH__JWKS_URL", &url),
                ("SSL_CERT_FILE", &trusted.text("ca.pem")),
            ],
        );
        let api = Api::at(&service);
        let header = json!({"alg": "ES256", "kid": "key"});
        let token = key.token_with(&header, &claims("*", "read", 3600));
        let request = api.request(Method::GET, "/ltm").bearer_auth(token);
        assert_eq!(api.send(request).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_keys_that_hangs_holds_up_nobody_whose_key_is_held() {
    let (old, new) = (SigningKey::new("ES256"), SigningKey::new("EdDSA"));
    let server = KeyServer::start(json!({"keys": [old.jwk("old")]})).await;
    let redis = RedisServer::start(&[]);
    let service = api_with_keys_of(
        &server,
        &redis,
        &[
            ("LTM__AUTH__JWKS_MAX_AGE", "0s"),
            ("LTM__AUTH__JWKS_PAUSE", "1ms"),
            ("LTM__AUTH__JWKS_TIMEOUT", "1h"),
        ],
    );
    let api = Api::at(&service);
    let list = async |key: &SigningKey, id: &str| list_with(&api, key, id).await.status.as_u16();
    assert_eq!(list(&old, "old").await, 200);
    server.answers.send_replace(false);
    let before = server.asked();
    while server.asked() == before {
        assert_eq!(list(&old, "old").await, 200);
    }
    // It is being asked, and does not answer.
    for _ in 0..10 {
        assert_eq!(list(&old, "old").await, 200);
    }
    // Who shows a key that is not held waits, and all for the same answer.
    let waiting = futures_util::future::join_all((0..5).map(|_| list(&new, "new")));
    tokio::pin!(waiting);
    let held = async {
        for _ in 0..10 {
            assert_eq!(list(&old, "old").await, 200);
        }
    };
    tokio::select! {
        answers = &mut waiting => panic!("nobody has said so: {answers:?}"),
        () = held => {}
    }
    assert_eq!(server.asked(), before + 1);
    server.serve(json!({"keys": [new.jwk("new")]}));
    server.answers.send_replace(true);
    assert_eq!(timeout(LIMIT, waiting).await.unwrap(), [200; 5]);
}

/// Nobody called a replica over night, and in the meantime a stolen key was withdrawn.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_too_old_do_not_count_even_once() {
    let (old, new) = (SigningKey::new("ES256"), SigningKey::new("EdDSA"));
    let server = KeyServer::start(json!({"keys": [old.jwk("old")]})).await;
    let redis = RedisServer::start(&[]);
    let expiry = Duration::from_millis(50);
    let service = api_with_keys_of(
        &server,
        &redis,
        &[
            ("LTM__AUTH__JWKS_MAX_AGE", "0s"),
            ("LTM__AUTH__JWKS_EXPIRY", "50ms"),
            ("LTM__AUTH__JWKS_PAUSE", "1ms"),
        ],
    );
    let api = Api::at(&service);
    let list = async |key: &SigningKey, id: &str| list_with(&api, key, id).await;
    // The first call waits for the keys, so no other reading of them is under way.
    assert_eq!(list(&old, "old").await.status, 200);
    server.serve(json!({"keys": [new.jwk("new")]}));
    sleep(expiry).await;
    assert_eq!(list(&old, "old").await.status, 401);
    assert_eq!(list(&new, "new").await.status, 200);
    // The last call may have started to read the keys once more: they count for `expiry` from whenever that ends.
    server.serve(json!("down"));
    until("the keys are too old", async || {
        let answer = list(&new, "new").await;
        if answer.status == 200 {
            return false;
        }
        let refused = answer.problem(503, "unavailable");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("auth.jwks_expiry"), "{detail}");
        true
    })
    .await;
    server.serve(json!({"keys": [new.jwk("new")]}));
    until("the keys are read again", async || {
        list(&new, "new").await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_would_live_too_long_is_refused() {
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[("LTM__AUTH__MAX_LIFETIME", "1h")],
    );
    for (seconds, status) in [(3500, 200), (3700, 401), (10_000_000_000, 401)] {
        let token = guarded.key.token(&claims("*", "read", seconds));
        let request = guarded.api.request(Method::GET, "/ltm");
        let (got, answer) = guarded.send(request, &token).await;
        assert_eq!(got, status, "{answer}");
        if status == 401 {
            let detail = answer["detail"].as_str().unwrap();
            assert!(detail.contains("auth.max_lifetime"), "{detail}");
        }
    }
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
    until("the service knows the new key", async || {
        list(&second).await == 200
    })
    .await;
    assert_eq!(list(&first).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_out_does_not_get_what_it_waited_for() {
    let (_folder, file) = api_keys_file();
    let key = api_key(&file, "waiting", "*", "read");
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[("LTM__AUTH__API_KEYS_FILE", file.to_str().unwrap())],
    );
    let id = guarded.create("app.Agent").await;
    let get = |path: &str| guarded.api.request(Method::GET, path).bearer_auth(&key);
    let state = guarded.api.send(get(&format!("/ltm/{id}/state"))).await;
    let cursor = state.json()["cursor"].as_str().unwrap().to_owned();
    let looks = || guarded.redis.info("commandstats", "cmdstat_hmget:calls");
    let before = looks();
    let wait = get(&format!("/ltm/{id}/wait?after={cursor}&timeout=50s"));
    let api = guarded.api.clone();
    let waits = tokio::spawn(async move { api.send(wait).await });
    until("the request waits", async || looks() > before).await;
    std::fs::remove_file(&file).unwrap();
    api_key(&file, "other", "*", "read");
    until("the service knows the keys", async || {
        guarded.api.send(get("/ltm")).await.status == 401
    })
    .await;
    guarded.append(id, 1).await;
    assert_eq!(waits.await.unwrap().status, 401);
}
