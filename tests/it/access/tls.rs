//! TLS between the services and Redis, and between the command line and a proxy in front of the services.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
};

use ltm_tests::{
    Api, Authority, ForwardProxy, Haproxy, RedisServer, Service, Subscriber, binary, until,
};
use serde_json::json;

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A Redis that speaks TLS, as this host, and asks for certificates of clients or not.
struct TlsRedis {
    redis: RedisServer,
    authority: Authority,
    port: u16,
}

impl TlsRedis {
    fn start(host: &str, asks: &str) -> Self {
        let authority = Authority::generate();
        authority.sign("redis", host);
        let port = free_port();
        let text = |name: &str| authority.text(name);
        let redis = RedisServer::start(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &text("redis.pem"),
            "--tls-key-file",
            &text("redis.key"),
            "--tls-ca-cert-file",
            &text("ca.pem"),
            "--tls-auth-clients",
            asks,
        ]);
        Self {
            redis,
            authority,
            port,
        }
    }

    fn url(&self) -> String {
        format!("rediss://localhost:{}/0", self.port)
    }
}

/// Appends and follows.
async fn works(api: &Service, gateway: &Service, rounds: u64) {
    let api = Api::at(api);
    // After a restart a thread may notice only now: 503 says to try again.
    let created = until("the API creates an LTM", async || {
        let created = api.post("/ltm", &json!({"fqn": "a"})).await;
        if created.status == 200 {
            Ok(created.json())
        } else {
            Err(created)
        }
    });
    let id = created.await["id"].as_u64().unwrap();
    let url = gateway.ws(&format!("/ws/{id}"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    for n in 0..rounds {
        let appended = api.append(id, json!({"merge": {"n": n}})).await;
        assert_eq!(subscriber.message().await["cursor"], appended["cursor"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_written_and_followed_over_tls_and_after_a_restart() {
    let mut tls = TlsRedis::start("localhost", "no");
    let ca = tls.authority.text("ca.pem");
    let settings = [("LTM__REDIS__TLS_CA_FILE", ca.as_str())];
    let api = Service::api(&tls.url(), &settings);
    let gateway = Service::gateway(&tls.url(), &settings);
    works(&api, &gateway, 3).await;
    tls.redis.restart();
    Api::at(&api).until_ready_is(200).await;
    Api::at(&gateway).until_ready_is(200).await;
    works(&api, &gateway, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_asks_for_a_certificate_is_shown_one() {
    let tls = TlsRedis::start("localhost", "yes");
    tls.authority.sign("service", "ltm");
    let text = |name: &str| tls.authority.text(name);
    let (ca, cert, key) = (text("ca.pem"), text("service.pem"), text("service.key"));
    let ca_alone = [("LTM__REDIS__TLS_CA_FILE", ca.as_str())];
    let stranger = Service::api(&tls.url(), &ca_alone);
    Api::at(&stranger).until_ready_is(503).await;
    let settings = [
        ca_alone[0],
        ("LTM__REDIS__TLS_CERT_FILE", cert.as_str()),
        ("LTM__REDIS__TLS_KEY_FILE", key.as_str()),
    ];
    let api = Service::api(&tls.url(), &settings);
    let gateway = Service::gateway(&tls.url(), &settings);
    works(&api, &gateway, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_somebody_else_or_for_another_host_is_not_trusted() {
    let other = Authority::generate();
    let tls = TlsRedis::start("localhost", "no");
    let elsewhere = TlsRedis::start("redis.example", "no");
    for (url, ca) in [
        (tls.url(), other.text("ca.pem")),
        (tls.url(), String::new()),
        (elsewhere.url(), elsewhere.authority.text("ca.pem")),
    ] {
        let api = Service::api(&url, &[("LTM__REDIS__TLS_CA_FILE", &ca)]);
        let answer = Api::at(&api).get_root("/readyz").await;
        let problem = answer.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap().to_lowercase();
        assert!(detail.contains("certificate"), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_that_sentinels_name_is_spoken_to_over_tls_and_so_are_they() {
    let mut tls = TlsRedis::start("127.0.0.1", "yes");
    let text = |name: &str| tls.authority.text(name);
    tls.authority.sign("service", "service");
    let port = free_port();
    let sentinel = RedisServer::sentinel(&format!(
        "tls-port {port}\n\
         tls-cert-file {}\n\
         tls-key-file {}\n\
         tls-ca-cert-file {}\n\
         tls-replication yes\n\
         sentinel monitor ltm 127.0.0.1 {} 1\n",
        text("redis.pem"),
        text("redis.key"),
        text("ca.pem"),
        tls.port,
    ));
    let urls = format!("rediss://127.0.0.1:{port}");
    let (ca, cert, key) = (text("ca.pem"), text("service.pem"), text("service.key"));
    let settings = [
        ("LTM__REDIS__SENTINELS", urls.as_str()),
        ("LTM__REDIS__SENTINEL_SERVICE", "ltm"),
        ("LTM__REDIS__TLS_CA_FILE", ca.as_str()),
        ("LTM__REDIS__TLS_CERT_FILE", cert.as_str()),
        ("LTM__REDIS__TLS_KEY_FILE", key.as_str()),
    ];
    // The address in the URL leads nowhere.
    let url = "rediss://127.0.0.1:1/0";
    let api = Service::api(url, &settings);
    let gateway = Service::gateway(url, &settings);
    for service in [&api, &gateway] {
        Api::at(service).until_ready_is(200).await;
    }
    works(&api, &gateway, 3).await;
    tls.redis.restart();
    for service in [&api, &gateway] {
        Api::at(service).until_ready_is(200).await;
    }
    works(&api, &gateway, 3).await;
    drop(sentinel);
}

#[test]
fn what_is_wrong_with_tls_and_sentinels_is_named() {
    for (url, sentinels, named) in [
        ("redis://h:1/0", "rediss://h:2", "redis.url does not"),
        (
            "rediss://h:1/0",
            "rediss://h:2,redis://h:3",
            "some begin with",
        ),
        ("rediss://h:1/0", "rediss://h:2#insecure", "#insecure"),
        (
            "rediss://h:1/0",
            "redis://a:b@h:2,redis://a:c@h:3",
            "different users",
        ),
        ("redis+unix:///a", "redis://h:2", "redis:// or rediss://"),
    ] {
        let mut command = Command::new(binary("ltm-gateway"));
        let ended = command
            .env("LTM__REDIS__URL", url)
            .env("LTM__REDIS__SENTINELS", sentinels)
            .env("LTM__REDIS__SENTINEL_SERVICE", "ltm")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(
            !ended.status.success() && said.contains(named),
            "{named}: {said}"
        );
    }
}

#[test]
fn the_command_line_follows_and_writes_through_a_proxy_that_it_trusts() {
    let redis = RedisServer::start(&[]);
    let hosts = [("LTM__HTTP__HOSTS", "ltm.invalid")];
    let api = Service::api(&redis.url(), &hosts);
    let gateway = Service::gateway(&redis.url(), &hosts);
    let authority = Authority::generate();
    let certificate = |host: &str| {
        authority.sign("proxy", host);
        let read = |name: &str| std::fs::read_to_string(authority.file(name)).unwrap();
        let pem = authority.file(&format!("{host}.both"));
        std::fs::write(&pem, read("proxy.pem") + &read("proxy.key")).unwrap();
        format!("crt {}", pem.display())
    };
    let port = free_port();
    let certificates = ["localhost", "ltm.invalid"].map(certificate).join(" ");
    let bind = format!("bind 127.0.0.1:{port} ssl {certificates}");
    let page = "    acl is_page path / /docs\n";
    let with_tls = format!("    {bind}\n{page}");
    let _haproxy = Haproxy::with(&[&api], &[&gateway], &[(page, &with_tls)]);
    let ltm = |trusted: &str, arguments: &[&str]| {
        Command::new(binary("ltm"))
            .env("SSL_CERT_FILE", trusted)
            .args(["--json", "--url", &format!("https://localhost:{port}")])
            .args(arguments)
            .output()
            .unwrap()
    };
    let ca = authority.text("ca.pem");
    let create = ltm(&ca, &["create", "a.B"]);
    assert!(create.status.success(), "{create:?}");
    ltm(&ca, &["delete", "1", "--yes"]);
    // It ends by itself where the LTM is gone.
    let tail = ltm(&ca, &["tail", "1", "--after", "0"]);
    let heard = String::from_utf8(tail.stdout).unwrap();
    assert!(heard.contains(r#""deleted":true"#), "{heard}");
    // The same through a tunnel, if HTTPS_PROXY asks for one.
    let tunnel = ForwardProxy::start(&format!("localhost:{port}"));
    let tail = Command::new(binary("ltm"))
        .env("SSL_CERT_FILE", &ca)
        .env("HTTPS_PROXY", tunnel.url())
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .args(["--json", "--url", &format!("https://ltm.invalid:{port}")])
        .args(["tail", "1", "--after", "0"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(tail.stdout).unwrap(), heard);
    let connect = format!("CONNECT ltm.invalid:{port} HTTP/1.1");
    assert!(tunnel.heads()[0].starts_with(&connect));
    let stranger = Authority::generate();
    for arguments in [&["list"][..], &["tail", "1"]] {
        let refused = ltm(&stranger.text("ca.pem"), arguments);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("certificate"), "{said}");
    }
}

#[test]
fn what_is_wrong_with_the_settings_of_tls_is_named() {
    let authority = Authority::generate();
    let (ca, none) = (authority.text("ca.pem"), authority.text("none.pem"));
    std::fs::write(authority.file("text.pem"), "no key").unwrap();
    let text = authority.text("text.pem");
    for (url, settings, named) in [
        (
            "rediss://localhost:1/0",
            [("LTM__REDIS__TLS_CA_FILE", &none)],
            "redis.tls_ca_file",
        ),
        (
            "rediss://localhost:1/0",
            [("LTM__REDIS__TLS_CA_FILE", &text)],
            "not PEM",
        ),
        (
            "rediss://localhost:1/0",
            [("LTM__REDIS__TLS_CERT_FILE", &ca)],
            "redis.tls_key_file",
        ),
        (
            "redis://localhost:1/0",
            [("LTM__REDIS__TLS_CA_FILE", &ca)],
            "rediss://",
        ),
        (
            "rediss://localhost:1/0#insecure",
            [("LTM__REDIS__TLS_CA_FILE", &ca)],
            "#insecure",
        ),
    ] {
        for program in ["ltm-api", "ltm-gateway"] {
            let mut command = Command::new(binary(program));
            command.env("LTM__REDIS__URL", url).stdin(Stdio::null());
            let ended = command.envs(settings).output().unwrap();
            let said = String::from_utf8(ended.stderr).unwrap();
            assert!(
                !ended.status.success() && said.contains(named),
                "{named}: {said}"
            );
        }
    }
}
