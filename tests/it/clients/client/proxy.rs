//! A network that programs can leave only through a proxy.

use std::process::Command;

use ltm_tests::{ForwardProxy, Stack, binary};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_goes_through_the_proxy_of_the_environment() {
    let stack = Stack::with(&[("LTM__HTTP__HOSTS", "ltm.invalid")]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let delete = stack.api.request(Method::DELETE, &format!("/ltm/{id}"));
    stack.api.send(delete).await.expect(200);
    let proxy = ForwardProxy::start(stack.gateway.address());
    // Only the proxy knows where this is. The command ends by itself, because the LTM is deleted.
    let tail = Command::new(binary("ltm"))
        .env("HTTP_PROXY", proxy.url())
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .args(["--json", "--url", "http://ltm.invalid"])
        .args(["tail", &id.to_string(), "--after", "0"])
        .output()
        .unwrap();
    let printed = String::from_utf8(tail.stdout.clone()).unwrap();
    assert!(printed.contains(r#""deleted":true"#), "{tail:?}");
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "{heads:?}");
    let start = format!("GET http://ltm.invalid/ws/{id}?after=0-0&live=1 HTTP/1.1");
    assert!(heads[0].starts_with(&start), "{heads:?}");
}
