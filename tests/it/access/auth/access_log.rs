//! The access log: a line for each request, without what its client presented.

use ltm_tests::{Events, Service, SigningKey, Subscriber, until};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Guarded, claims};

/// The lines of a service about requests below `/api` and about subscriptions.
fn requests(service: &Service) -> Vec<Value> {
    let lines = service.lines();
    let lines = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok());
    let is_request = |line: &Value| line["target"] == "access" && line["path"] != "/readyz";
    lines.filter(is_request).collect()
}

/// Waits until a service has logged as many requests.
async fn until_logged(service: &Service, count: usize) -> Vec<Value> {
    until("each request has its line", async || {
        let lines = requests(service);
        if lines.len() < count {
            Err(lines)
        } else {
            Ok(())
        }
    })
    .await;
    requests(service)
}

/// What a line says of a request.
fn said(line: &Value) -> (&str, &str, u64, Option<&str>) {
    let text = |name: &str| line[name].as_str();
    (
        text("method").unwrap(),
        text("path").unwrap(),
        line["status"].as_u64().unwrap(),
        text("caller"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_names_the_caller_of_each_request_and_holds_no_token_or_ticket() {
    let guarded = Guarded::with(SigningKey::new("ES256"), &[("LTM__LOG__ACCESS", "true")]);
    let id = guarded.create("app.Agent").await;
    let path = format!("/api/v0/ltm/{id}");
    let admin = guarded.admin();
    let document = guarded
        .api
        .request(Method::GET, &format!("/ltm/{id}?rollbacks=true"))
        .header("accept-encoding", "identity")
        .bearer_auth(&admin);
    let document = guarded.api.send(document).await;
    let head = guarded.api.request(Method::HEAD, &format!("/ltm/{id}"));
    guarded.api.send(head.bearer_auth(&admin)).await;
    let nobody = guarded.api.get(&format!("/ltm/{id}")).await;
    let problem = nobody.problem(401, "unauthenticated");
    let stranger = guarded.token(id + 1, "read");
    let forbidden = guarded.api.request(Method::GET, &format!("/ltm/{id}"));
    assert_eq!(guarded.send(forbidden, &stranger).await.0, 403);
    // A name cannot forge a line.
    let mut forged = claims(id, "read", 3600);
    forged["sub"] = json!("a\nb\u{1b}[31m");
    let forged = guarded.key.token(&forged);
    let ticket = guarded.ticket(&forged).await;

    let lines = until_logged(&guarded.api_service, 6).await;
    let somebody = Some("somebody");
    let expected = [
        ("POST", "/api/v0/ltm", 200, somebody),
        ("GET", &path, 200, somebody),
        ("HEAD", &path, 200, somebody),
        ("GET", &path, 401, None),
        ("GET", &path, 403, somebody),
        ("POST", "/api/v0/ws-ticket", 200, Some("a\nb\u{1b}[31m")),
    ];
    assert_eq!(lines.iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!(lines[1]["bytes"], document.text.len());
    assert_eq!(lines[2]["bytes"], 0);
    assert_eq!(lines[3]["request_id"], problem["request_id"]);
    assert!(problem["request_id"].is_string());
    assert_eq!(lines[1]["client"], "127.0.0.1");
    assert!(
        lines
            .iter()
            .all(|line| line["duration_ms"].as_f64().unwrap() > 0.0)
    );

    let url = guarded.gateway.ws(&format!("/ws/{id}?after=0"));
    let shown = format!("{url}&ticket={ticket}");
    let with_ticket = Subscriber::connect(&shown).await.unwrap();
    let with_token = Subscriber::with_token(&url, &admin).await.unwrap();
    for (count, mut socket) in [with_ticket, with_token].into_iter().enumerate() {
        let message = socket.message().await.to_string();
        assert_eq!(requests(&guarded.gateway).len(), count, "it is open");
        socket.leave().await;
        let line = until_logged(&guarded.gateway, count + 1)
            .await
            .remove(count);
        assert_eq!(line["status"], 101, "{line}");
        assert!(
            line["bytes"].as_u64().unwrap() > message.len() as u64,
            "{line}"
        );
    }
    let ticket_for_events = guarded.ticket(&admin).await;
    let url = format!("{}/sse/{id}?after=0", guarded.gateway.http());
    let shown = format!("{url}&ticket={ticket_for_events}");
    let mut events = Events::open(Events::ask(&shown, None)).await;
    events.next().await.unwrap();
    drop(events);
    let lines = until_logged(&guarded.gateway, 3).await;
    let events = lines.iter().find(|line| line["status"] == 200).unwrap();
    assert_eq!(said(events), ("GET", &*format!("/sse/{id}"), 200, somebody));
    assert!(events["bytes"].as_u64().unwrap() > 0);

    // A refused handshake is an answer as any other.
    let refused = reqwest::Client::new()
        .get(format!("{}/ws/{id}", guarded.gateway.http()))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let problem = refused.text().await.unwrap();
    let lines = until_logged(&guarded.gateway, 4).await;
    let refused = lines.iter().find(|line| line["status"] == 401).unwrap();
    assert_eq!(refused["bytes"], problem.len(), "{problem}");

    for service in [&guarded.api_service, &guarded.gateway] {
        let log = service.lines().join("\n");
        for secret in [&admin, &stranger, &forged, &ticket, &ticket_for_events] {
            assert!(!log.contains(&**secret), "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_not_logged_unless_the_operator_asks_for_it() {
    let guarded = Guarded::start();
    guarded.create("app.Agent").await;
    guarded
        .api
        .get("/ltm")
        .await
        .problem(401, "unauthenticated");
    assert_eq!(requests(&guarded.api_service), Vec::<Value>::new());
}
