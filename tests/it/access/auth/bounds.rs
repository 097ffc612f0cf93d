//! How much files of keys, key sets and grants hold: the fixed bounds of docs/limits.md.

use std::process::Command;

use ltm_tests::{Api, RedisServer, Service, SigningKey, binary};
use reqwest::Method;
use serde_json::{Value, json};

use super::{AUDIENCE, Guarded, api_key, api_keys_file, claims, keys::KeyServer};

const MIB: usize = 1024 * 1024;

/// The text with spaces before its last `mark`, so that it has this many bytes.
fn padded(text: &str, mark: &str, bytes: usize) -> String {
    let (begin, end) = text.rsplit_once(mark).unwrap();
    let spaces = " ".repeat(bytes - text.len());
    format!("{begin}{spaces}{mark}{end}")
}

/// What a service says that does not start with these settings.
fn complaint(settings: &[(&str, &str)]) -> String {
    // One that would start ends, too.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(binary("ltm-gateway"));
    command.env("LTM__GATEWAY__LISTEN", listen);
    command.env("LTM__AUTH__MODE", "required");
    command.env("LTM__AUTH__AUDIENCE", AUDIENCE);
    let ended = command.envs(settings.iter().copied()).output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    String::from_utf8(ended.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_keys_that_is_too_large_is_refused_and_not_cut() {
    let (folder, file) = api_keys_file();
    let key = api_key(&file, "engine", "*", "read");
    let entry = std::fs::read_to_string(&file).unwrap();
    // Nothing may follow that could be left out.
    let entry = entry.trim_end();
    let write = |bytes| std::fs::write(&file, padded(entry, "sha256", bytes)).unwrap();
    let set = folder.path().join("set.json");
    let keys = json!({"keys": [SigningKey::new("ES256").jwk("key")]}).to_string();
    std::fs::write(&set, padded(&keys, "}", MIB + 1)).unwrap();
    write(MIB + 1);
    for (setting, path) in [("API_KEYS_FILE", &file), ("JWT_KEY_FILE", &set)] {
        let variable = format!("LTM__AUTH__{setting}");
        let said = complaint(&[(&variable, path.to_str().unwrap())]);
        for named in [variable.as_str(), "1048577 bytes", "1048576"] {
            assert!(said.contains(named), "{said}");
        }
    }

    write(MIB);
    let settings = [("LTM__AUTH__API_KEYS_FILE", file.to_str().unwrap())];
    let guarded = Guarded::with(SigningKey::new("ES256"), &settings);
    let list = async || {
        let request = guarded.api.request(Method::GET, "/ltm");
        guarded.send(request, &key).await.0
    };
    assert_eq!(list().await, 200);
    write(MIB + 1);
    // It is looked at when somebody shows a key.
    while !guarded.api_service.logged("1048577 bytes") {
        assert_eq!(list().await, 200, "what was read before still counts");
    }
    assert!(guarded.api_service.logged("auth.api_keys_file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_that_is_too_large_is_refused_and_not_cut() {
    let key = SigningKey::new("EdDSA");
    let set = |keys: usize| {
        let keys = (0..keys).map(|n| key.jwk(&n.to_string()));
        json!({"keys": keys.collect::<Vec<Value>>()}).to_string()
    };
    let (folder, _) = api_keys_file();
    let file = folder.path().join("set.json");
    std::fs::write(&file, set(101)).unwrap();
    let said = complaint(&[("LTM__AUTH__JWT_KEY_FILE", file.to_str().unwrap())]);
    assert!(
        said.contains("JWT_KEY_FILE") && said.contains("more than 100 keys"),
        "{said}"
    );

    let server = KeyServer::start(set(101)).await;
    let redis = RedisServer::start(&[]);
    let service = Service::api(
        &redis.url(),
        &[
            ("LTM__AUTH__MODE", "required"),
            ("LTM__AUTH__AUDIENCE", AUDIENCE),
            ("LTM__AUTH__JWKS_URL", &server.url),
            ("LTM__AUTH__JWKS_PAUSE", "1ms"),
        ],
    );
    let api = Api::at(&service);
    let header = json!({"alg": key.algorithm(), "kid": "99"});
    let token = key.token_with(&header, &claims("*", "read", 3600));
    let list = async || {
        let request = api.request(Method::GET, "/ltm").bearer_auth(&token);
        api.send(request).await.status
    };
    assert_eq!(list().await, 503);
    service.until_logged("more than 100 keys").await;
    server.serve(padded(&set(100), "}", MIB / 4 + 1));
    assert_eq!(list().await, 503);
    service.until_logged("more than 262144 bytes").await;
    assert!(service.logged("auth.jwks_url"));
    server.serve(padded(&set(100), "}", MIB / 4));
    while list().await == 503 {}
    assert_eq!(list().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_names_at_most_a_thousand() {
    let guarded = Guarded::start();
    for (named, status) in [(1000, 200), (1001, 401)] {
        let ltms: Vec<u64> = (1..=named).collect();
        let token = guarded.token(json!(ltms), "read");
        let request = guarded.api.request(Method::GET, "/ltm");
        assert_eq!(guarded.send(request, &token).await.0, status, "{named}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_too_large_for_a_ticket_is_refused() {
    let guarded = Guarded::start();
    let class = |length: usize| format!("app.{}", "x".repeat(length));
    for (ltm, status) in [
        // As many ids as a grant can name, each as long as an id can be.
        (json!(vec![u64::MAX; 1000]), 200),
        (json!([class(30 * 1024)]), 200),
        (json!([class(33 * 1024)]), 403),
    ] {
        let token = guarded.token(ltm, "read");
        let request = guarded.api.request(Method::POST, "/ws-ticket");
        let (got, answer) = guarded.send(request, &token).await;
        assert_eq!(got, status, "{answer}");
        if status == 403 {
            let detail = answer["detail"].as_str().unwrap();
            assert!(detail.contains("32768"), "{detail}");
        }
    }
}
