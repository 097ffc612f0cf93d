//! Who may run a recorded agent, and what its agent learns of that.

use std::process::Command;

use ltm_tests::{Agent, RawConnection, Service, SigningKey, binary, until};
use reqwest::{Client, Response, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::recorder::{AGENT, input};

/// A recorder of services that ask who calls.
struct Guarded {
    key: SigningKey,
    agent: Agent,
    recorder: Service,
    dev: Service,
    _data: tempfile::TempDir,
}

impl Guarded {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (key, file) = (SigningKey::new("ES256"), data.path().join("jwt"));
        std::fs::write(&file, key.public()).unwrap();
        let required = [
            ("LTM__AUTH__MODE", "required"),
            ("LTM__AUTH__AUDIENCE", "ltm-live"),
            ("LTM__AUTH__JWT_KEY_FILE", file.to_str().unwrap()),
            ("LTM__AUTH__JWT_ALGORITHM", "ES256"),
        ];
        let dev = Service::dev_with(&data.path().join("redis"), &required);
        let agent = Agent::start().await;
        let own = token(&key, "app.*", "write");
        let settings = [&[("LTM_TOKEN", own.as_str())], settings].concat();
        let recorder = Service::recorder(&dev.http(), &agent.url(), &settings);
        Self {
            key,
            agent,
            recorder,
            dev,
            _data: data,
        }
    }

    async fn post(&self, path: &str, token: Option<&str>) -> Response {
        let url = format!("{}/agui/{AGENT}/t{path}", self.recorder.http());
        let mut request = Client::new().post(url).json(&input("t", "r"));
        if let Some(token) = token {
            request = request.bearer_auth(token).header("x-tenant", "blue");
        }
        request.send().await.unwrap()
    }

    async fn state(&self) -> (u16, Value) {
        let url = format!("{}/api/v0/ltm/by-key/{AGENT}/t/state", self.dev.http());
        let admin = token(&self.key, "*", "admin");
        let answer = Client::new()
            .get(url)
            .bearer_auth(admin)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

fn token(key: &SigningKey, ltm: &str, can: &str) -> String {
    key.token(&json!({"aud": "ltm-live", "sub": "page", "exp": 4_000_000_000_u64, "ltm": ltm, "can": can}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_needs_the_right_to_write_the_agents_ltms() {
    let mut guarded = Guarded::start(&[]).await;
    let may = token(&guarded.key, AGENT, "write");
    for (wrong, status) in [
        (None, 401),
        (Some("nonsense".to_owned()), 401),
        (Some(token(&guarded.key, AGENT, "read")), 403),
        (Some(token(&guarded.key, "other.*", "write")), 403),
    ] {
        for path in ["", "/stop"] {
            let answer = guarded.post(path, wrong.as_deref()).await;
            assert_eq!(answer.status(), status, "{path} {wrong:?}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
    }
    assert!(!guarded.agent.is_asked());
    assert_eq!(guarded.state().await.0, 404, "nobody has created the LTM");
    let asked = tokio::spawn({
        let url = format!("{}/agui/{AGENT}/t", guarded.recorder.http());
        Client::new()
            .post(url)
            .bearer_auth(may)
            .json(&input("t", "r"))
            .send()
    });
    let run = guarded.agent.asked().await;
    assert!(!run.head.contains("authorization"), "{}", run.head);
    assert_eq!(guarded.state().await.1["state"]["_status"], "active");
    drop((run, asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_the_headers_that_the_operator_names_and_no_others() {
    let settings = [(
        "LTM__AGUI__FORWARD_HEADERS",
        "X-Tenant, authorization, host",
    )];
    let mut guarded = Guarded::start(&settings).await;
    let may = token(&guarded.key, AGENT, "write");
    let url = format!("{}/agui/{AGENT}/t", guarded.recorder.http());
    let request = Client::new()
        .post(url)
        .bearer_auth(&may)
        .header("x-tenant", "blue");
    let request = request.header("x-secret", "red").json(&input("t", "r"));
    tokio::spawn(request.send());
    let run = guarded.agent.asked().await;
    let bearer = format!("{AUTHORIZATION}: bearer {}", may.to_lowercase());
    assert!(
        run.head.contains("x-tenant: blue") && run.head.contains(&bearer),
        "{}",
        run.head
    );
    assert!(!run.head.contains("x-secret"), "{}", run.head);
    assert_eq!(run.head.matches("host:").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_that_others_can_reach_does_not_start_over_open_services() {
    let data = tempfile::tempdir().unwrap();
    let dev = Service::dev(data.path());
    let mut command = Command::new(binary("ltm"));
    command.args([
        "agui",
        "--listen",
        "0.0.0.0:0",
        "--upstream",
        "http://127.0.0.1:1",
    ]);
    let ended = command.env("LTM_URL", dev.http()).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("agui.open"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_strangers_cannot_run_an_agent() {
    let data = tempfile::tempdir().unwrap();
    let (dev, agent) = (Service::dev(data.path()), Agent::start().await);
    let recorder = Service::recorder(&dev.http(), &agent.url(), &[]);
    let url = format!("{}/agui/{AGENT}/t", recorder.http());
    let request = || Client::new().post(&url).json(&input("t", "r"));
    let strange = request()
        .header("origin", "https://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(strange.status(), 403);
    let renamed = request()
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(renamed.status(), 421);
    assert!(!agent.is_asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_not_configured_is_not_found() {
    let data = tempfile::tempdir().unwrap();
    let dev = Service::dev(data.path());
    let recorder = Service::recorder(&dev.http(), "other.Agent=http://127.0.0.1:1", &[]);
    let url = format!("{}/agui/{AGENT}/t", recorder.http());
    for path in ["", "/stop"] {
        let answer = Client::new()
            .post(format!("{url}{path}"))
            .json(&input("t", "r"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 404);
        assert!(answer.text().await.unwrap().contains("agui.upstreams"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_credential_is_refused_before_it_has_sent_its_input() {
    let guarded = Guarded::start(&[("LTM__AGUI__INPUT_TIMEOUT", "300ms")]).await;
    let may = token(&guarded.key, AGENT, "write");
    let reads = token(&guarded.key, AGENT, "read");
    let of = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for (path, for_a_reader) in [
        (format!("/agui/{AGENT}/t"), 403),
        (format!("/agui/{AGENT}"), 403),
        (format!("/agui/agent/{AGENT}/run"), 403),
        (format!("/agui/agent/{AGENT}/connect"), 408),
        ("/agui".into(), 408),
    ] {
        for (credential, status) in [
            (String::new(), 401),
            (of(&reads), for_a_reader),
            (of(&may), 408),
        ] {
            let mut page = RawConnection::to(guarded.recorder.address()).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\n{credential}\
                 Content-Length: 9\r\n\r\n{{"
            );
            page.send(head.as_bytes()).await.unwrap();
            let (head, _) = page.answer().await;
            let expected = format!("http/1.1 {status} ");
            assert!(head.starts_with(&expected), "{path}: {head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_agents_is_for_those_that_the_services_know() {
    let guarded = Guarded::start(&[]).await;
    let may = token(&guarded.key, AGENT, "write");
    let url = |path: &str| format!("{}{path}", guarded.recorder.http());
    let single = json!({"method": "info"});
    for request in [
        Client::new().get(url("/agui/info")),
        Client::new().post(url("/agui")).json(&single),
    ] {
        let known = request.try_clone().unwrap().bearer_auth(&may);
        assert_eq!(request.send().await.unwrap().status(), 401);
        assert_eq!(known.send().await.unwrap().status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_ends_with_the_services_of_its_process_that_cannot_start() {
    let data = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(binary("ltm"));
    command
        .args(["dev", "--agui-upstream", "http://127.0.0.1:1", "--listen"])
        .arg(taken.local_addr().unwrap().to_string())
        .arg("--data-dir")
        .arg(data.path());
    command.env("LTM__AGUI__LISTEN", "127.0.0.1:0");
    let mut dev = command.spawn().unwrap();
    let ended = until("it has ended", async || dev.try_wait().unwrap()).await;
    assert_eq!(ended.code(), Some(1));
}
