//! The public JSON Patch suite, through the API.
//!
//! A state is an object, so the suite's documents stand below the key `d`: every path is led there.
//! A patch on the whole document of the suite is then a patch of that member. No case is excepted but
//! those that the suite itself disables.

use futures_util::{StreamExt, stream};
use ltm_tests::{Api, Stack, data, same};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_the_public_suite_is_answered_as_the_suite_says() {
    let stack = Stack::start();
    let mut ran = 0;
    for file in ["tests.json", "spec_tests.json"] {
        let suite: Vec<Value> =
            serde_json::from_str(&data(&format!("json-patch-suite/{file}"))).unwrap();
        let cases: Vec<&Value> = suite
            .iter()
            .filter(|case| case["disabled"] != true)
            .collect();
        ran += cases.len();
        stream::iter(cases)
            .for_each_concurrent(8, |case| check(case, &stack.api))
            .await;
    }
    assert_eq!(ran, 108, "cases of the suite");
}

async fn check(case: &Value, api: &Api) {
    let before = json!({"d": case["doc"]});
    let (id, cursor) = api.create(before.clone()).await;
    let body = json!({"reason": "execute", "patch": led_to_d(&case["patch"])});
    let answer = api.post(&format!("/ltm/{id}/snapshots"), &body).await;
    let now = api.get(&format!("/ltm/{id}/state")).await.expect(200);
    if case.get("error").is_some() {
        let problem = answer.expect(422);
        assert!(problem["field"].is_string(), "{case}: {problem}");
        assert_eq!(now["cursor"], cursor, "{case}: nothing was appended");
        assert_eq!(now["state"], before, "{case}: nothing was changed");
        return;
    }
    let appended = answer.expect(201);
    assert_eq!(now["cursor"], appended["cursor"], "{case}");
    if let Some(expected) = case.get("expected") {
        assert!(same(&now["state"]["d"], expected), "{case}: {now}");
    }
}

/// The same patch for a document below the key `d`. What is no pointer stays what it is.
fn led_to_d(patch: &Value) -> Value {
    let mut patch = patch.clone();
    for operation in patch.as_array_mut().unwrap() {
        for member in ["path", "from"] {
            if let Some(Value::String(pointer)) = operation.get_mut(member)
                && (pointer.is_empty() || pointer.starts_with('/'))
            {
                pointer.insert_str(0, "/d");
            }
        }
    }
    patch
}
