//! Keys: an engine names an LTM by its class and a text of its own.

mod access;
mod clients;
mod create;
mod follow;
mod lost_writes;
mod paths;

use ltm_tests::{Answer, Api};
use reqwest::Method;
use serde_json::{Value, json};

/// Creates an LTM with this key, or finds it.
async fn get_or_create(api: &Api, key: &str) -> Value {
    api.post("/ltm", &named(key)).await.expect(200)
}

/// The body of a creation with this key.
fn named(key: &str) -> Value {
    json!({"fqn": "app.Agent", "key": key, "state": {"n": 0}})
}

async fn delete(api: &Api, path: &str) -> Answer {
    api.send(api.request(Method::DELETE, path)).await
}
