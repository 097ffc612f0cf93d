//! The inspector, as the API serves it. `make inspector` tests the page in a browser.

use ltm_tests::{Api, RedisServer, Service};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_serves_the_inspector_unless_told_not_to() {
    let redis = RedisServer::start(&[]);
    let with = Service::api(&redis.url(), &[]);
    let page = Api::at(&with).get_root("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");

    let without = Service::api(&redis.url(), &[("LTM__API__INSPECTOR", "false")]);
    let without = Api::at(&without);
    without.get_root("/").await.problem(404, "not-found");
    let file = without.get_root("/inspector/main.js").await;
    file.problem(404, "not-found");
    without.get("/ltm").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_for_everybody_and_what_it_shows_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.toml");
    std::fs::write(&keys, "key = []").unwrap();
    let settings = [
        ("LTM__AUTH__MODE", "required"),
        ("LTM__AUTH__API_KEYS_FILE", keys.to_str().unwrap()),
    ];
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &settings);
    let api = Api::at(&service);
    assert_eq!(api.get_root("/").await.status, 200);
    assert_eq!(api.get_root("/inspector/main.js").await.status, 200);
    assert_eq!(api.get("/ltm").await.status, 401);
}
