//! The answers of each call of the API.

use ltm_tests::{Answer, Api, Service, Stack, apply};
use reqwest::Method;
use serde_json::{Value, json};

/// The path and query behind `Link: <…>; rel="next"`, below `/api/v0`.
fn next_page(answer: &Answer) -> Option<String> {
    let link = answer.header("link").strip_prefix('<')?;
    let (target, relation) = link.split_once('>').unwrap();
    assert_eq!(relation, "; rel=\"next\"");
    Some(target.strip_prefix("/api/v0").unwrap().into())
}

/// RFC 3339 in UTC with six digits of a second.
fn is_time(value: &Value) -> bool {
    let shape: String = value
        .as_str()
        .unwrap()
        .chars()
        .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
        .collect();
    shape == "0000-00-00T00:00:00.000000Z"
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_is_not_taken_for_the_fields_of_an_object() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    let path = |call: &str| format!("/ltm/{id}/{call}");
    for (path, body) in [
        ("/ltm".to_owned(), json!(["app.Agent"])),
        (
            "/ltm".to_owned(),
            json!({"fqn": "a", "retention": [1, null, null]}),
        ),
        (
            "/ltm".to_owned(),
            json!({"fqn": "a", "snapshot": ["start"]}),
        ),
        (path("snapshots"), json!(["execute", 1, [], null, null])),
        (path("rollback"), json!({"snapshot": [0, false]})),
        (path("rollback"), json!({"rollback": [0]})),
        (
            path("errors"),
            json!(["6f6c1d7e-4c53-4a6b-9e0e-0d3a8c1b2f4d"]),
        ),
    ] {
        let problem = stack
            .api
            .post(&path, &body)
            .await
            .problem(422, "invalid-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("an object"), "{body}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_has_everything_that_a_page_shows() {
    let stack = Stack::start();
    let body = json!({
        "fqn": "stories.Writer",
        "name": "writer",
        "params": {"p": 1},
        "payload": {"topic": "bears"},
        "playground": true,
        "structure": {"name": "writer", "fqn": "writer", "ltms": [{"name": "a", "fqn": "writer.a"}]},
        "state": {"_status": "init", "a": {"b": [1]}},
    });
    let created = stack.api.post("/ltm", &body).await.expect(200);
    let id = created["id"].as_u64().unwrap();
    let answer = stack.api.get(&format!("/ltm/{id}")).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        answer.header("etag"),
        format!("\"{}\"", created["cursor"].as_str().unwrap())
    );
    let document = answer.expect(200);
    for field in ["fqn", "name", "params", "structure", "state"] {
        assert_eq!(document[field], body[field], "{field}");
    }
    assert_eq!(document["id"], id);
    assert_eq!(document["cursor"], created["cursor"]);
    assert_eq!(document["concurrent_instances"], json!({}));
    assert_eq!(document["errors"], json!([]));
    assert_eq!(document["snapshots_count"], 1);
    assert!(document.get("rollbacks").is_none());
    assert!(is_time(&document["created_at"]) && is_time(&document["updated_at"]));

    let start = &document["snapshots"][0];
    assert_eq!(start["reason"], "start");
    assert_eq!(
        start["item"],
        json!({"payload": {"topic": "bears"}, "params": {"p": 1}, "playground": true})
    );
    assert!(is_time(&start["time"]));
    let mut state = json!({});
    apply(&mut state, &start["patch"]).unwrap();
    assert_eq!(state, body["state"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_can_show_an_ltm_that_was_created_with_its_class_alone() {
    let stack = Stack::start();
    let created = stack
        .api
        .post("/ltm", &json!({"fqn": "stories.Writer"}))
        .await
        .expect(200);
    let path = format!("/ltm/{}", created["id"]);
    let document = stack.api.get(&path).await.expect(200);
    assert_eq!(document["name"], "Writer");
    assert_eq!(document["state"], json!({}));
    assert_eq!(document["params"], json!({}));
    assert!(document["structure"]["name"].is_string() && document["structure"]["fqn"].is_string());
    assert_eq!(document["snapshots"][0]["item"]["payload"], json!({}));
    for spelling in ["true", "True", "1", "yes", "on"] {
        let asked = stack.api.get(&format!("{path}?rollbacks={spelling}")).await;
        assert_eq!(asked.expect(200)["rollbacks"], json!([]), "{spelling}");
    }
    let asked = stack.api.get(&format!("{path}?rollbacks=maybe")).await;
    assert_eq!(asked.problem(422, "invalid-request")["field"], "rollbacks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_the_document_is_not_sent_it_again() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let path = format!("/ltm/{id}");
    let tag = stack.api.get(&path).await.header("etag").to_owned();
    let ask = || {
        let request = stack.api.request(Method::GET, &path);
        stack.api.send(request.header("if-none-match", &tag))
    };
    let unchanged = ask().await;
    assert_eq!((unchanged.status.as_u16(), &*unchanged.text), (304, ""));
    stack.api.append(id, json!({"merge": {"a": 1}})).await;
    assert_eq!(ask().await.expect(200)["state"], json!({"a": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn ltms_are_listed_newest_first_page_by_page() {
    let stack = Stack::start();
    let mut ids = [Vec::new(), Vec::new()];
    for number in 0..14 {
        let playground = number % 2 == 1;
        let body =
            json!({"fqn": "tests.Ltm", "playground": playground, "name": format!("n{number}")});
        let created = stack.api.post("/ltm", &body).await.expect(200);
        ids[usize::from(playground)].push(created["id"].as_u64().unwrap());
    }
    for (path, ids) in [
        ("/ltm?limit=3", &ids[0]),
        ("/ltm?playground=True&limit=3", &ids[1]),
    ] {
        let (mut seen, mut sizes, mut path) = (Vec::new(), Vec::new(), path.to_owned());
        loop {
            let answer = stack.api.get(&path).await;
            let next = next_page(&answer);
            let rows = answer.expect(200);
            let rows = rows.as_array().unwrap();
            sizes.push(rows.len());
            seen.extend(rows.iter().map(|row| row["id"].as_u64().unwrap()));
            let Some(next) = next else { break };
            path = next;
        }
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
        seen.reverse();
        assert_eq!(&seen, ids);
        assert_eq!(sizes, [3, 3, 1]);
    }
    let rows = stack.api.get("/ltm").await.expect(200);
    let row = rows[0].as_object().unwrap();
    assert_eq!(row["name"], "n12");
    assert_eq!(row["fqn"], "tests.Ltm");
    assert_eq!(row["snapshots_count"], 1);
    assert!(is_time(&row["created_at"]) && is_time(&row["updated_at"]));
    assert_eq!(row["key"], json!(null));
    assert_eq!(row.len(), 8, "{row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_follows_its_ltm() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let before = stack.api.get("/ltm").await.expect(200)[0].clone();
    stack.api.append(id, json!({"merge": {"a": 1}})).await;
    let after = stack.api.get("/ltm").await.expect(200)[0].clone();
    assert_eq!(after["snapshots_count"], 2);
    assert_eq!(after["created_at"], before["created_at"]);
    assert!(after["updated_at"].as_str() > before["updated_at"].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_read_page_by_page_and_the_state_as_of_any_snapshot() {
    let stack = Stack::with(&[("LTM__API__CHECKPOINT_EVERY", "5")]);
    let (id, _) = stack.api.create(json!({"n": 0})).await;
    for number in 1..13 {
        stack.api.append(id, json!({"merge": {"n": number}})).await;
    }
    let document = stack.api.document(id).await;
    let (mut snapshots, mut path) = (Vec::new(), format!("/ltm/{id}/snapshots?limit=5"));
    loop {
        let answer = stack.api.get(&path).await;
        let next = next_page(&answer);
        let page = answer.expect(200);
        assert_eq!(page["from"], snapshots.len());
        assert_eq!(page["snapshots_count"], 13);
        assert_eq!(page["cursor"], document["cursor"]);
        snapshots.extend(page["snapshots"].as_array().unwrap().clone());
        let Some(next) = next else { break };
        path = next;
    }
    assert_eq!(Value::from(snapshots), document["snapshots"]);
    let past = stack.api.get(&format!("/ltm/{id}/snapshots?from=13")).await;
    assert_eq!(past.expect(200)["snapshots"], json!([]));

    for index in 0..13 {
        let read = stack
            .api
            .get(&format!("/ltm/{id}/state?index={index}"))
            .await
            .expect(200);
        assert_eq!(read["state"], json!({"n": index}));
        assert_eq!(read["index"], index);
    }
    let read = stack.api.get(&format!("/ltm/{id}/state")).await.expect(200);
    assert_eq!(read["state"], json!({"n": 12}));
    assert_eq!(
        (&read["index"], &read["cursor"]),
        (&json!(12), &document["cursor"])
    );
    let beyond = stack.api.get(&format!("/ltm/{id}/state?index=13")).await;
    assert_eq!(beyond.problem(422, "invalid-request")["field"], "index");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_id_is_given_once_and_never_by_the_counter() {
    let stack = Stack::start();
    let create = async |id: Value| {
        let body = json!({"fqn": "tests.Ltm", "id": id});
        stack.api.post("/ltm", &body).await
    };
    for id in [3, (1 << 53) + 1, u64::MAX] {
        assert_eq!(create(json!(id)).await.expect(200)["id"], id);
        assert_eq!(stack.api.document(id).await["id"], id);
        let problem = create(json!(id)).await.problem(409, "id-taken");
        assert_eq!(problem["field"], "id");
    }
    let mut given = Vec::new();
    for _ in 0..3 {
        given.push(stack.api.create(json!({})).await.0);
    }
    assert!(
        given.is_sorted_by(|a, b| a < b) && given[0] > 3,
        "{given:?}"
    );
    for wrong in [json!(0), json!(-1), json!("x"), json!(1.5)] {
        let problem = create(wrong.clone()).await.problem(422, "invalid-request");
        assert_eq!(problem["field"], "id", "{wrong}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trailing_slash_is_answered_and_not_redirected() {
    let stack = Stack::start();
    let created = stack.api.post("/ltm/", &json!({"fqn": "tests.Ltm"})).await;
    let id = created.expect(200)["id"].clone();
    let body = json!({"reason": "execute", "merge": {}});
    stack
        .api
        .post(&format!("/ltm/{id}/snapshots/"), &body)
        .await
        .expect(201);
    for path in ["/ltm/", "/ltm/?playground=true"] {
        stack.api.get(path).await.expect(200);
    }
    for path in ["", "/", "/snapshots/", "/state/"] {
        stack.api.get(&format!("/ltm/{id}{path}")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_said_and_named() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({})).await;
    let snapshots = format!("/ltm/{id}/snapshots");
    for (path, body, field) in [
        ("/ltm", "{", None),
        ("/ltm", "", None),
        ("/ltm", "[]", None),
        ("/ltm", r#"{"fqn":"a"} {}"#, None),
        ("/ltm", "{}", None),
        ("/ltm", r#"{"fqn":""}"#, Some("fqn")),
        ("/ltm", r#"{"fqn":7}"#, Some("fqn")),
        ("/ltm", r#"{"fqn":"a","state":[]}"#, Some("state")),
        ("/ltm", r#"{"fqn":"a","structure":"s"}"#, Some("structure")),
        (
            "/ltm",
            r#"{"fqn":"a","playground":"maybe"}"#,
            Some("playground"),
        ),
        (&snapshots, r#"{"merge":{}}"#, None),
        (&snapshots, r#"{"reason":null,"merge":{}}"#, Some("reason")),
        (&snapshots, r#"{"reason":"x","merge":[]}"#, Some("merge")),
        (&snapshots, r#"{"reason":"x","state":null}"#, Some("patch")),
        (
            &snapshots,
            r#"{"reason":"x","merge":{},"execute_queue":{}}"#,
            Some("execute_queue"),
        ),
    ] {
        let answer = stack.api.post_text(path, body, &[]).await;
        let problem = answer.problem(422, "invalid-request");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
        if let Some(field) = field {
            assert_eq!(problem["field"], field, "{body}: {problem}");
        }
    }
    for (path, field) in [
        ("/ltm/abc", "id"),
        ("/ltm/0/state", "id"),
        ("/ltm/007", "id"),
        ("/ltm?limit=0", "limit"),
        ("/ltm?before=x", "before"),
        ("/ltm?playground=2", "playground"),
        (&format!("{snapshots}?from=-1"), "from"),
    ] {
        let problem = stack.api.get(path).await.problem(422, "invalid-request");
        assert_eq!(problem["field"], field, "{path}: {problem}");
    }
    assert_eq!(stack.api.document(id).await["cursor"], cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ltm_or_path_or_method_that_is_not_there_is_a_problem() {
    let stack = Stack::start();
    for path in [
        "/ltm/9",
        "/ltm/9/state",
        "/ltm/9/state?index=0",
        "/ltm/9/snapshots",
    ] {
        stack.api.get(path).await.problem(404, "unknown-ltm");
    }
    let body = json!({"reason": "execute", "merge": {}});
    stack
        .api
        .post("/ltm/9/snapshots", &body)
        .await
        .problem(404, "unknown-ltm");
    for path in [
        "/nothing",
        "/ltm/9/nothing",
        "/ltm/9/state/nothing",
        "/../x",
    ] {
        stack.api.get(path).await.problem(404, "not-found");
    }
    for (method, path, allow) in [
        (Method::PUT, "/ltm", "GET, HEAD, POST"),
        (Method::PUT, "/ltm/9/snapshots", "GET, HEAD, POST"),
        (Method::POST, "/ltm/9/state", "GET, HEAD"),
        (Method::PATCH, "/ltm/9", "GET, HEAD, DELETE"),
    ] {
        let answer = stack.api.send(stack.api.request(method, path)).await;
        assert_eq!(answer.header("allow"), allow, "{path}");
        answer.problem(405, "method-not-allowed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_declared_as_json_is_refused() {
    let stack = Stack::start();
    let create = async |declared: Option<&str>| {
        let request = stack
            .api
            .request(Method::POST, "/ltm")
            .body(r#"{"fqn":"a"}"#);
        let request = match declared {
            Some(declared) => request.header("content-type", declared),
            None => request,
        };
        stack.api.send(request).await
    };
    for declared in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let problem = create(declared)
            .await
            .problem(415, "unsupported-media-type");
        assert_eq!(problem["field"], "Content-Type");
    }
    for declared in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.a+json",
    ] {
        create(Some(declared)).await.expect(200);
    }
}

/// A preflight as a browser sends it.
async fn preflight(api: &Api, path: &str, origin: &str) -> Answer {
    let request = api
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type,idempotency-key",
        );
    api.send(request).await
}

async fn get_from(api: &Api, path: &str, origin: &str) -> Answer {
    api.send(api.request(Method::GET, path).header("origin", origin))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_may_call_reads_answers_and_errors() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let page = "http://localhost:8001";
    for path in ["/ltm", "/ltm/", &format!("/ltm/{id}/snapshots"), "/nothing"] {
        let answer = preflight(&stack.api, path, page).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), page);
        assert_eq!(answer.header("access-control-max-age"), "600");
        assert!(
            answer
                .header("access-control-allow-methods")
                .contains("POST")
        );
        let headers = answer
            .header("access-control-allow-headers")
            .to_ascii_lowercase();
        assert!(headers.contains("content-type") && headers.contains("idempotency-key"));
    }
    // An error must reach the page too, not a network error in its place.
    for (path, status) in [
        (format!("/ltm/{id}"), 200),
        ("/ltm/99".into(), 404),
        ("/nothing".into(), 404),
    ] {
        let answer = get_from(&stack.api, &path, page).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), page, "{path}");
        assert!(
            answer
                .header("vary")
                .to_ascii_lowercase()
                .contains("origin"),
            "{path}"
        );
        let exposed = answer
            .header("access-control-expose-headers")
            .to_ascii_lowercase();
        assert!(
            exposed.contains("etag") && exposed.contains("link"),
            "{path}: {exposed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_the_named_origins_may_use_the_api() {
    let stack = Stack::with(&[("LTM__CORS__ORIGINS", "https://a.example, https://b.example")]);
    let second = get_from(&stack.api, "/ltm", "https://b.example").await;
    assert_eq!(
        second.header("access-control-allow-origin"),
        "https://b.example"
    );
    let allowed = preflight(&stack.api, "/ltm", "https://a.example").await;
    assert_eq!(allowed.status, 200);
    for origin in ["https://c.example", "https://a.example.evil", "null"] {
        let answer = preflight(&stack.api, "/ltm", origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        answer.problem(403, "origin-forbidden");
        let answer = get_from(&stack.api, "/ltm", origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        answer.problem(403, "origin-forbidden");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_wrote_another_reads() {
    let stack = Stack::start();
    let other = Service::api(&stack.redis.url(), &[]);
    let (first, second) = (&stack.api, &Api::at(&other));
    let (id, _) = first.create(json!({"n": 0})).await;
    for number in 1..20 {
        let (writer, reader) = if number % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        writer.append(id, json!({"merge": {"n": number}})).await;
        assert_eq!(reader.document(id).await["state"], json!({"n": number}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_each_status_as_of_the_last_write() {
    let stack = Stack::start();
    let api = &stack.api;
    let status = async || api.get("/ltm").await.expect(200)[0]["status"].clone();
    let (id, _) = api.create(json!({"_status": "queued"})).await;
    assert_eq!(status().await, "queued");
    api.append(id, json!({"merge": {"_status": "active"}}))
        .await;
    assert_eq!(status().await, "active");
    let back = json!({"snapshot": {"index": 0}});
    api.post(&format!("/ltm/{id}/rollback"), &back)
        .await
        .expect(200);
    assert_eq!(status().await, "queued");
    let error = json!({"id": "00000000-0000-4000-8000-000000000001", "reason": "execute"});
    api.post(&format!("/ltm/{id}/errors"), &error)
        .await
        .expect(200);
    assert_eq!(status().await, "queued");
    api.post(&format!("/ltm/{id}/copy"), &json!({}))
        .await
        .expect(200);
    let copies = api.get("/ltm?playground=true").await.expect(200);
    assert_eq!(copies[0]["status"], "queued");
    for other in [json!({"_status": "x".repeat(65)}), json!({})] {
        api.append(id, json!({"state": other})).await;
        assert_eq!(status().await, Value::Null);
    }
    // A service of an older version moves the log on and says nothing.
    api.append(id, json!({"state": {"_status": "active"}}))
        .await;
    let meta = format!("ltm:{{{id}}}:meta");
    stack.redis.cli(&["HSET", &meta, "cursor", "99-1"]);
    assert_eq!(status().await, Value::Null);
}
