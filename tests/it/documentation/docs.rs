//! The OpenAPI and AsyncAPI documents that the API serves. `make interfaces` checks the services against them.

use ltm_tests::{Api, RedisServer, Service};

#[tokio::test(flavor = "multi_thread")]
async fn the_descriptions_and_their_page_are_served_unless_told_not_to() {
    let redis = RedisServer::start(&[]);
    let with = Service::api(&redis.url(), &[]);
    let with = Api::at(&with);
    for (path, named) in [
        ("/docs/openapi.json", "\"openapi\":\"3.1.0\""),
        ("/docs/asyncapi.json", "\"asyncapi\":\"3.0.0\""),
    ] {
        let answer = with.get_root(path).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.text.contains(named), "{path}");
    }
    let page = with.get_root("/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    // All that it loads is here.
    for part in page.text.split('"').filter(|it| it.starts_with("docs/")) {
        assert_eq!(
            with.get_root(&format!("/{part}")).await.status,
            200,
            "{part}"
        );
    }
    assert!(!page.text.contains("://"), "it needs no other host");

    let without = Service::api(&redis.url(), &[("LTM__API__DOCS", "false")]);
    let without = Api::at(&without);
    for path in ["/docs", "/docs/openapi.json", "/docs/docs.js"] {
        without.get_root(path).await.problem(404, "not-found");
    }
}
