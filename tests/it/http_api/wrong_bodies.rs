//! A body that is wrong gets an answer that names the member, and what would be right.

use ltm_tests::{Answer, Stack};
use serde_json::{Value, json};

/// The field and the detail of a refusal.
fn told(answer: Answer) -> (Value, String) {
    let problem = answer.problem(422, "invalid-request");
    let detail = problem["detail"].as_str().unwrap().to_owned();
    (problem["field"].clone(), detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_json_does_not_have_are_named_with_their_path() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({})).await;
    let path = format!("/ltm/{id}/snapshots");
    for word in ["NaN", "Infinity", "-Infinity"] {
        let scores = format!(r#"[1,\n {{"a": {word}}}]"#).replace("\\n", "\n");
        let body = format!(r#"{{"reason": "x", "state": {{"é": "[", "scores": {scores}}}}}"#);
        let (field, detail) = told(stack.api.post_text(&path, &body, &[]).await);
        assert_eq!(field, "state.scores[1].a");
        let expected = format!("`state.scores[1].a`: {word} is not JSON; send null or a string");
        assert_eq!(detail, expected);
    }
    for (body, field, detail) in [
        (
            r#"{"reason": "x", "merge": {"a": [0, 1e999]}}"#,
            "merge.a[1]",
            "`merge` contains 1e999 at `merge.a[1]`, which JavaScript and Python read as Infinity; \
             send a number below 1.8e308, or a string",
        ),
        (
            r#"{"reason": "x", "patch": [{"op": "add", "path": "/a", "value": -1E400}]}"#,
            "patch[0].value",
            "`patch` contains -1E400 at `patch[0].value`, which JavaScript and Python read as Infinity; \
             send a number below 1.8e308, or a string",
        ),
        (
            r#"{"reason": "x", "merge": {"a": 01}}"#,
            "merge.a",
            "`merge.a` is not valid JSON: invalid number",
        ),
        (
            r#"{"reason": 7, "merge": {}}"#,
            "reason",
            "`reason`: invalid type: integer `7`, expected a string",
        ),
        (r#"{"merge": {}}"#, "reason", "`reason` is missing"),
    ] {
        let answer = stack.api.post_text(&path, body, &[]).await;
        assert_eq!(told(answer), (json!(field), detail.to_owned()), "{body}");
    }
    assert_eq!(stack.api.document(id).await["cursor"], cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_member_is_refused_with_the_nearest_name() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({})).await;
    stack.api.create(json!({})).await;
    let path = |call: &str| format!("/ltm/{id}/{call}");
    for (path, body, field, known) in [
        (
            "/ltm".to_owned(),
            json!({"fqn": "a", "structre": {}}),
            "structre",
            "structure",
        ),
        (
            path("snapshots"),
            json!({"reason": "x", "merge": {}, "execute_que": [1]}),
            "execute_que",
            "execute_queue",
        ),
        (
            path("rollback"),
            json!({"snapshot": {"indx": 0}}),
            "snapshot.indx",
            "index",
        ),
        (path("errors"), json!({"retrys": []}), "retrys", "retries"),
        (
            "/ltm".to_owned(),
            json!({"fqn": "a", "snapshot": {"reason": "x", "merge": {}, "itme": 1}}),
            "snapshot.itme",
            "item",
        ),
        (
            "/ltm".to_owned(),
            json!({"fqn": "a", "retention": {"max_entrys": 1}}),
            "retention.max_entrys",
            "max_entries",
        ),
    ] {
        let detail = format!("`{field}` is not a member of this request; did you mean `{known}`?");
        let answer = stack.api.post(&path, &body).await;
        assert_eq!(told(answer), (json!(field), detail), "{body}");
    }
    let (field, detail) = told(
        stack
            .api
            .post("/ltm", &json!({"fqn": "a", "colour": 1}))
            .await,
    );
    assert_eq!(field, "colour");
    assert!(
        detail.contains("the members are fqn, key, name, params"),
        "{detail}"
    );
    // An error and a snapshot of a document can be sent back as they are.
    let error = stack
        .api
        .post("/ltm/2/errors", &json!({}))
        .await
        .expect(200)["error"]
        .clone();
    stack.api.post("/ltm/2/errors", &error).await.expect(200);
    let mut snapshot = stack.api.document(2).await["snapshots"][0].clone();
    snapshot["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    stack.api.append(2, snapshot).await;
    // What an engine describes may have more members than these pages know.
    let more = json!({"fqn": "a", "structure": {"name": "a", "colour": 1}, "params": {"x": 1}});
    stack.api.post("/ltm", &more).await.expect(200);
    assert_eq!(stack.api.document(id).await["cursor"], cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_without_an_id_gets_one_and_the_answer_has_it() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ltm/{id}/errors");
    let text = json!({"reason": "timeout"}).to_string();
    let key = [("idempotency-key", "once")];
    let first = stack.api.post_text(&path, &text, &key).await.expect(200);
    let again = stack.api.post_text(&path, &text, &key).await.expect(200);
    assert_eq!(first, again);
    let error = first["error"]["id"].as_str().unwrap();
    let solved = json!({"id": error, "success": true});
    stack.api.post(&path, &solved).await.expect(200);
    let other = stack.api.post(&path, &json!({})).await.expect(200);
    assert_ne!(other["error"]["id"], error);
    let errors = stack.api.document(id).await["errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 2, "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn base_in_the_body_is_another_spelling_of_if_match() {
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({"n": 0})).await;
    let path = format!("/ltm/{id}/snapshots");
    let at = |base: &str| json!({"reason": "x", "state": {"n": 1}, "base": base}).to_string();
    let appended = stack
        .api
        .post_text(&path, &at(&first), &[])
        .await
        .expect(201);
    let second = appended["cursor"].as_str().unwrap();
    assert_eq!(appended["snapshot"].get("base"), None);
    // A concurrent writer with the state before is refused, and learns where the LTM is.
    let problem = stack.api.post_text(&path, &at(&first), &[]).await;
    assert_eq!(problem.problem(412, "cursor-mismatch")["cursor"], second);
    let tag = |cursor: &str| format!("\"{cursor}\"");
    for (base, if_match) in [
        (second, tag(&first)),
        (second, format!("{}, {}", tag(&first), tag(second))),
    ] {
        let headers = [("if-match", if_match.as_str())];
        let answer = stack.api.post_text(&path, &at(base), &headers).await;
        let (field, detail) = told(answer);
        assert_eq!(field, "base");
        assert!(
            detail.contains(second) && detail.contains(&first),
            "{detail}"
        );
    }
    let both = [("if-match", &*tag(second))];
    stack
        .api
        .post_text(&path, &at(second), &both)
        .await
        .expect(201);
    let new = json!({"fqn": "a", "snapshot": {"reason": "x", "merge": {}, "base": first}});
    let (field, _) = told(stack.api.post("/ltm", &new).await);
    assert_eq!(field, "snapshot.base");
}
