//! WebSockets: how a token is shown on them, expires and is renewed.

use std::time::Duration;

use ltm_tests::{Api, Follower, Haproxy, Heard, LIMIT, Scrape, SigningKey, Subscriber, until};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

use super::{Guarded, claims};

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
    let log = until("HAProxy has logged the handshake", async || {
        let log = haproxy.log();
        if log.contains("/ws/4711") {
            Ok(log)
        } else {
            Err(log)
        }
    })
    .await;
    assert!(!log.contains(&ticket) && !log.contains("ticket="), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_not_shown_soon_is_worth_nothing() {
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[("LTM__API__TICKET_TTL", "50ms")],
    );
    let id = guarded.create("app.Agent").await;
    until("a ticket has expired when it is used", async || {
        let ticket = guarded.ticket(&guarded.admin()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let path = format!("/ws/{id}?ticket={ticket}");
        guarded.handshake(&path, &[]).await == 401
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_worth_nothing_once_its_token_has_expired() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent").await;
    // A machine that is slow gets one that lives longer.
    let (mut seconds, mut given) = (0, None);
    let (token, ticket) = loop {
        if let Some(given) = given.take() {
            break given;
        }
        seconds += 1;
        let token = guarded.key.token(&claims(id, "read", seconds));
        let request = guarded.api.request(Method::POST, "/ws-ticket");
        let (status, answer) = guarded.send(request, &token).await;
        if status == 200 {
            given = Some((token, answer["ticket"].as_str().unwrap().to_owned()));
        }
    };
    loop {
        let request = guarded.api.request(Method::GET, "/ltm");
        if guarded.send(request, &token).await.0 == 401 {
            break;
        }
    }
    let path = format!("/ws/{id}?ticket={ticket}");
    assert_eq!(guarded.handshake(&path, &[]).await, 401);
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
    assert_eq!(end_of(&mut brief).await, 4401);
    while follower.seen.len() <= usize::try_from(ENTRIES).unwrap() {
        follower.take(&renewing.message().await);
    }
    assert_eq!(follower.state["n"], ENTRIES);
}

/// Reads until it is closed; gives the code.
pub(crate) async fn end_of(subscriber: &mut Subscriber) -> u16 {
    loop {
        match timeout(LIMIT, subscriber.hear()).await.unwrap() {
            Heard::Message(_) => {}
            Heard::Closed(code) => return code,
            Heard::Lost => panic!("lost"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_sends_too_many_requests_is_refused_and_others_are_not() {
    let settings = [("LTM__HTTP__MAX_REQUESTS_PER_CALLER", "5")];
    let guarded = Guarded::with(SigningKey::new("ES256"), &settings);
    let token = |sub: &str| {
        let mut claims = claims("*", "read", 3600);
        claims["sub"] = json!(sub);
        guarded.key.token(&claims)
    };
    let list = async |token: &str| {
        let request = guarded.api.request(Method::GET, "/ltm");
        guarded.api.send(request.bearer_auth(token)).await
    };
    // Another token of the same caller counts as the same.
    let mallory = [token("mallory"), token("mallory")];
    let refused = until("the API refuses the caller", async || {
        for token in &mallory {
            let answer = list(token).await;
            if answer.status != 200 {
                return Some(answer);
            }
        }
        None
    })
    .await;
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    let problem = refused.problem(429, "too-many-requests");
    let detail = problem["detail"].to_string();
    assert!(detail.contains("http.max_requests_per_caller"), "{detail}");
    assert_eq!(list(&token("alice")).await.status, 200);
    let handshake = async |sub: &str| {
        let bearer = format!("Bearer {}", token(sub));
        let headers = [("Authorization", bearer.as_str())];
        guarded.handshake("/ws/ltms", &headers).await
    };
    until("the gateway refuses the caller", async || {
        handshake("mallory").await == 429
    })
    .await;
    assert_eq!(handshake("alice").await, 101);
    for service in [&guarded.api_service, &guarded.gateway] {
        let series = r#"ltm_limits_hit_total{limit="http.max_requests_per_caller"}"#;
        Scrape::until(service, series, 1.0).await;
    }
    until("the caller has waited", async || {
        list(&mallory[0]).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_cannot_use_up_the_lists_of_a_gateway() {
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[
            ("LTM__GATEWAY__MAX_LISTS", "4"),
            ("LTM__GATEWAY__MAX_LISTS_PER_CALLER", "2"),
        ],
    );
    let token = |sub: &str| {
        let mut claims = claims("*", "read", 3600);
        claims["sub"] = json!(sub);
        guarded.key.token(&claims)
    };
    let (mallory, alice) = (token("mallory"), token("alice"));
    let follow = async |token: &str, limit: u32| {
        let ticket = guarded.ticket(token).await;
        let path = format!("/ws/ltms?limit={limit}&ticket={ticket}");
        Subscriber::connect(&guarded.gateway.ws(&path)).await
    };
    let mut held = Vec::new();
    // The same list again takes no more.
    for limit in [1, 2, 2, 1] {
        held.push(follow(&mallory, limit).await.unwrap());
    }
    assert!(follow(&mallory, 3).await.is_err());
    let ticket = guarded.ticket(&mallory).await;
    let path = format!("/ws/ltms?limit=3&ticket={ticket}");
    let refused = Api::at(&guarded.gateway).get_root(&path).await;
    let detail = refused.problem(503, "over-limit")["detail"].to_string();
    assert!(detail.contains("gateway.max_lists_per_caller"), "{detail}");
    for limit in [3, 4] {
        held.push(follow(&alice, limit).await.unwrap());
    }
    // A list that mallory leaves makes room for another one.
    drop(held.remove(3));
    drop(held.remove(0));
    until("mallory may follow another list", async || {
        follow(&mallory, 3).await.is_ok()
    })
    .await;
}
