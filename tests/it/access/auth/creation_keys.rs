//! The Idempotency-Keys of creations and copies belong to their caller.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Guarded, claims};

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_use_the_same_key_for_creations_of_their_own() {
    let guarded = Guarded::start();
    let token = |name: &str| {
        let mut claims = claims("app.*", "write", 3600);
        claims["sub"] = json!(name);
        guarded.key.token(&claims)
    };
    let create = async |name: &str, body: &Value| {
        let request = guarded.api.request(Method::POST, "/ltm");
        let request = request.header("Idempotency-Key", "create-agent-7");
        guarded.send(request.json(body), &token(name)).await
    };
    let body = json!({"fqn": "app.Agent", "state": {}});
    let (status, of_alice) = create("alice", &body).await;
    assert_eq!(status, 200);
    let (_, of_bob) = create("bob", &body).await;
    assert_ne!(of_alice["id"], of_bob["id"]);
    assert_eq!(create("alice", &body).await.1, of_alice);
    assert_eq!(create("bob", &body).await.1, of_bob);
    let other = json!({"fqn": "app.Other"});
    assert_eq!(create("carol", &other).await.0, 200);
}
