//! Both services on ports of their own, without a proxy, as the guide for operators starts them.

use ltm_tests::{Api, RedisServer, Service, Stack, free_port};
use reqwest::StatusCode;

#[tokio::test]
async fn a_service_on_the_wrong_port_names_the_right_one() {
    let redis = RedisServer::start(&[]);
    let gateway = Service::gateway(&redis.url(), &[]);
    let url = gateway.http();
    let api = Service::api(&redis.url(), &[("LTM__API__GATEWAY_URL", &url)]);
    let named = Api::at(&api);
    for path in [
        "/ws/ltms",
        "/ws/1",
        "/ws",
        "/sse/1",
        "/agui",
        "/agui/1",
        "/api/v0/ws/1",
    ] {
        let problem = named.get_root(path).await.problem(404, "not-found");
        let detail = problem["detail"].as_str().unwrap();
        let expected = format!("this is the API, and {path} is a path of the gateway");
        assert!(detail.starts_with(&expected), "{detail}");
        assert!(detail.ends_with(&format!("the gateway is at {url}")));
    }
    let gateway = Api::at(&gateway);
    for path in ["/", "/api/v0/ltm/1", "/docs", "/inspector/main.js"] {
        let problem = gateway.get_root(path).await.problem(404, "not-found");
        let detail = problem["detail"].as_str().unwrap();
        let expected = format!("this is the gateway, and {path} is a path of the API");
        assert!(detail.starts_with(&expected), "{detail}");
    }
    let other = gateway.get_root("/elsewhere").await;
    let problem = other.problem(404, "not-found");
    assert_eq!(problem["detail"], "this path does not exist");
}

#[tokio::test]
async fn an_api_without_the_url_of_the_gateway_says_what_the_inspector_needs() {
    let stack = Stack::start();
    let problem = stack
        .api
        .get_root("/ws/ltms")
        .await
        .problem(404, "not-found");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`api.gateway_url`"), "{detail}");
}

#[tokio::test]
async fn the_inspector_may_connect_to_the_gateway_that_the_setting_names() {
    let redis = RedisServer::start(&[]);
    let settings = [("LTM__API__GATEWAY_URL", "https://live.example.com/ltm")];
    let api = Service::api(&redis.url(), &settings);
    let page = reqwest::get(api.http()).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    let allowed = "connect-src 'self' https://live.example.com wss://live.example.com";
    assert!(policy.ends_with(allowed), "{policy}");
    let text = page.text().await.unwrap();
    assert!(text.contains(r#"content="https://live.example.com/ltm/""#));
}

#[tokio::test]
async fn a_service_that_starts_without_redis_says_so_in_its_first_line() {
    let url = format!("redis://127.0.0.1:{}/0", free_port());
    for service in [Service::api(&url, &[]), Service::gateway(&url, &[])] {
        let lines = service.lines();
        let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(first["level"], "WARN", "{first}");
        let message = first["message"].as_str().unwrap();
        assert!(
            message.ends_with("it is not ready until Redis answers"),
            "{first}"
        );
        assert_eq!(first["redis"], url);
        let error = first["error"].as_str().unwrap();
        assert!(error.contains("Connection refused"), "{first}");
    }
}

#[tokio::test]
async fn each_listener_of_a_gateway_has_a_line_with_its_number() {
    let redis = RedisServer::start(&[]);
    let gateway = Service::gateway(&redis.url(), &[]);
    Api::at(&gateway).until_ready_is(200).await;
    let numbers = gateway.lines().into_iter().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        (line["message"] == "listening to Redis").then(|| line["listener"].as_u64().unwrap())
    });
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    let count = numbers.len() as u64;
    assert!(count > 0);
    assert_eq!(numbers, (1..=count).collect::<Vec<u64>>());
}
