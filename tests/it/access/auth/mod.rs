//! Authentication and grants: the promises of docs/security.md.

mod access_log;
mod bounds;
mod copies;
mod creation_keys;
mod keys;
mod lists;
mod matrix;
mod missing;
mod renewals;
mod revocations;
mod sockets;
mod streams;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use ltm_tests::{Api, RedisServer, Service, SigningKey, binary};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
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
    redis: RedisServer,
    key: SigningKey,
    folder: TempDir,
    /// What all services need to authenticate callers.
    settings: Vec<(&'static str, String)>,
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
        let common = [
            ("LTM__AUTH__MODE", "required"),
            ("LTM__AUTH__AUDIENCE", AUDIENCE),
            ("LTM__AUTH__LEEWAY", "0s"),
            ("LTM__AUTH__JWT_KEY_FILE", file.to_str().unwrap()),
            ("LTM__AUTH__JWT_ALGORITHM", key.algorithm()),
            ("LTM__LOG__LEVEL", "debug"),
        ];
        let all = [&common, settings].concat();
        let api_service = Service::api(&redis.url(), &all);
        Self {
            api: Api::at(&api_service),
            gateway: Service::gateway(&redis.url(), &all),
            api_service,
            redis,
            key,
            settings: common.map(|(name, value)| (name, value.to_owned())).into(),
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

    /// One more gateway, with these settings besides those of all services.
    fn another_gateway(&self, settings: &[(&str, &str)]) -> Service {
        let mut all: Vec<(&str, &str)> = self.settings.iter().map(|(n, v)| (*n, &**v)).collect();
        all.extend_from_slice(settings);
        Service::gateway(&self.redis.url(), &all)
    }

    /// The status of a handshake with these headers.
    async fn handshake(&self, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        self.handshake_at(&self.gateway, path, headers).await
    }

    /// The same at another gateway.
    async fn handshake_at(
        &self,
        gateway: &Service,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> u16 {
        let mut request = gateway.ws(path).into_client_request().unwrap();
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
async fn a_refusal_names_its_error_where_a_token_was_shown() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    let (bare, invalid, scope) = (
        r#"Bearer realm="ltm-live""#,
        r#"Bearer realm="ltm-live", error="invalid_token""#,
        r#"Bearer realm="ltm-live", error="insufficient_scope""#,
    );
    let expired = guarded.key.token(&claims("*", "admin", -5));
    let (reader, stranger) = (guarded.token("*", "read"), guarded.token(id + 1, "admin"));
    for (shown, status, challenge) in [
        (None, 401, bare),
        (Some("Basic YTpi".to_owned()), 401, bare),
        (Some("Bearer garbage".into()), 401, invalid),
        (Some("Bearer ltm_guess".into()), 401, invalid),
        (Some(format!("Bearer {expired}")), 401, invalid),
        (Some(format!("Bearer {reader}")), 403, scope),
        (Some(format!("Bearer {stranger}")), 403, scope),
    ] {
        let path = format!("/ltm/{id}");
        let mut request = guarded.api.request(Method::DELETE, &path);
        if let Some(shown) = &shown {
            request = request.header("authorization", shown);
        }
        let refused = guarded.api.send(request).await;
        assert_eq!(refused.status, status, "{shown:?}");
        assert_eq!(refused.header("www-authenticate"), challenge, "{shown:?}");
    }
    let gateway = Api::at(&guarded.gateway);
    for (path, status, challenge) in [
        (format!("/ws/{id}"), 401, bare),
        (format!("/ws/{id}?ticket=guess"), 401, invalid),
    ] {
        let refused = gateway.get_root(&path).await;
        assert_eq!(refused.status, status, "{path}");
        assert_eq!(refused.header("www-authenticate"), challenge, "{path}");
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
            assert_eq!(ended.status.code(), Some(2), "{said}");
            assert!(said.contains(named), "{program} {settings:?}: {said}");
        }
    }
    // Keys that nobody would ask for are a mistake, on every address.
    for program in ["ltm-api", "ltm-gateway"] {
        for mode in ["unset", "off"] {
            for keys in ["API_KEYS_FILE", "JWT_KEY_FILE", "JWKS_URL"] {
                let mut command = Command::new(binary(program));
                let ended = command
                    .env("LTM__REDIS__URL", redis.url())
                    .env("LTM__API__LISTEN", "127.0.0.1:0")
                    .env("LTM__GATEWAY__LISTEN", "127.0.0.1:0")
                    .env("LTM__AUTH__MODE", mode)
                    .env(format!("LTM__AUTH__{keys}"), "https://id.example/keys")
                    .arg("--print-config")
                    .output()
                    .unwrap();
                let said = String::from_utf8(ended.stderr).unwrap();
                assert_eq!(
                    ended.status.code(),
                    Some(2),
                    "{program} {mode} {keys}: {said}"
                );
                let named = format!("auth.{}", keys.to_lowercase());
                for part in ["LTM__AUTH__MODE", &named, "required"] {
                    assert!(said.contains(part), "{said}");
                }
            }
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
            .contains("missing credentials")
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
