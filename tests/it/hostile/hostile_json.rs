//! Bodies with invalid JSON, or with edge cases of JSON: many digits, duplicate members, invalid text.

use ltm_tests::{Api, RawConnection, Service, Stack};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_any_precision_are_kept_digit_by_digit() {
    let stack = Stack::start();
    let long = format!("{}.{}", "7".repeat(300), "7".repeat(100_000));
    let numbers = [
        "1e308",
        "-1e-400",
        "1E+2",
        "0.10",
        "-0",
        "-0.0",
        "9007199254740993",
        "18446744073709551616",
        "0.000000000000000000000000000000000001",
        &long,
    ];
    let members: Vec<String> = numbers
        .iter()
        .enumerate()
        .map(|(n, number)| format!("\"k{n}\":{number}"))
        .collect();
    let state = format!("{{{}}}", members.join(","));
    let body = format!(r#"{{"fqn":"a","state":{state}}}"#);
    let created = stack.api.post_text("/ltm", &body, &[]).await.expect(200);
    let id = created["id"].as_u64().unwrap();
    let patch: Vec<String> = numbers
        .iter()
        .enumerate()
        .flat_map(|(n, number)| {
            [
                format!(r#"{{"op":"test","path":"/k{n}","value":{number}}}"#),
                format!(r#"{{"op":"add","path":"/p{n}","value":{number}}}"#),
            ]
        })
        .collect();
    let body = format!(r#"{{"reason":"execute","patch":[{}]}}"#, patch.join(","));
    let appended = stack
        .api
        .post_text(&format!("/ltm/{id}/snapshots"), &body, &[])
        .await;
    assert_eq!(
        appended.status,
        201,
        "{}",
        &appended.text[..300.min(appended.text.len())]
    );
    let fresh = Service::api(&stack.redis.url(), &[]);
    for api in [&stack.api, &Api::at(&fresh)] {
        let text = api.get(&format!("/ltm/{id}/state")).await.text;
        let read: Value = serde_json::from_str(&text).unwrap();
        for (n, number) in numbers.iter().enumerate() {
            let sent: Value = serde_json::from_str(number).unwrap();
            for key in [format!("k{n}"), format!("p{n}")] {
                assert_eq!(read["state"][&key].to_string(), sent.to_string());
            }
        }
        assert!(text.contains(&long));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_right_json_are_refused_and_change_nothing() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({"n": 0})).await;
    let path = format!("/api/v0/ltm/{id}/snapshots");
    for body in [
        &b""[..],
        b" ",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b"{\"reason\":\"x\"}",
        b"{\"reason\":\"x\",\"merge\":{}} {}",
        b"{\"reason\":\"x\",\"reason\":\"y\",\"merge\":{}}",
        b"{\"reason\":\"x\",\"merge\":{},\"merge\":{}}",
        b"{\"reason\":\"x\",\"merge\":{},\"state\":{}}",
        b"{\"reason\":\"x\",\"merge\":[]}",
        b"{\"reason\":7,\"merge\":{}}",
        b"{\"reason\":\"\xff\",\"merge\":{}}",
        b"{\"reason\":\"x\",\"merge\":{\"a\":\"\xed\xa0\x80\"}}",
        b"{\"reason\":\"x\",\"merge\":{},\"unknown\":\"\xff\"}",
        b"{\"reason\":\"\\ud800\",\"merge\":{}}",
        b"{\"reason\":\"x\",\"merge\":{\"\\ud800\":1}}",
        b"{\"reason\":\"x\",\"item\":\"\\udfff\",\"merge\":{}}",
        b"{\"reason\":\"x\",\"patch\":[{\"op\":\"add\",\"op\":\"remove\",\"path\":\"/n\"}]}",
        b"{\"reason\":\"x\",\"patch\":[{\"op\":\"add\",\"path\":\"/a\",\"value\":NaN}]}",
        b"{\"reason\":\"x\",\"patch\":[{\"op\":\"add\",\"path\":\"/a\",\"value\":01}]}",
        b"{\"reason\":\"x\",\"patch\":[{\"op\":\"add\",\"path\":\"/a~2\",\"value\":1}]}",
        b"{\"reason\":\"x\",\"patch\":[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]}",
        b"{\"reason\":\"x\",\"merge\":{\"a\":\"\x01\"}}",
        b"\xef\xbb\xbf{\"reason\":\"x\",\"merge\":{}}",
        b"\xff\xfe{\0}\0",
    ] {
        let head = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        let begin = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n");
        let mut connection = RawConnection::to(stack.api_service.address()).await;
        connection
            .send(&[begin.as_bytes(), body].concat())
            .await
            .unwrap();
        let (head, text) = connection.answer().await;
        let shown = String::from_utf8_lossy(body);
        assert!(head.starts_with("http/1.1 422 "), "{shown}: {head}{text}");
        assert!(head.contains("application/problem+json"), "{shown}: {head}");
    }
    assert_eq!(stack.api.document(id).await["cursor"], cursor);
    // The last of two members counts, as it does for those who read it.
    let body = r#"{"reason":"x","state":{"a":1,"a":{"b":2}},"item":{"a":1,"a":2}}"#;
    stack
        .api
        .post_text(&format!("/ltm/{id}/snapshots"), body, &[])
        .await
        .expect(201);
    assert_eq!(
        stack.api.document(id).await["state"],
        json!({"a": {"b": 2}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_the_log_cannot_hold_are_refused_and_their_field_is_named() {
    let stack = Stack::start();
    let (id, cursor) = stack.api.create(json!({"n": 0})).await;
    let append = format!("/ltm/{id}/snapshots");
    let errors = format!("/ltm/{id}/errors");
    let (long, uuid) = ("x".repeat(1025), "00000000-0000-4000-8000-000000000001");
    let number = json!({"b": {"$serde_json::private::Number": "5"}});
    let raw = json!([{"$serde_json::private::RawValue": "[1]"}]);
    let add = json!([{"op": "add", "path": "/b", "value": &raw}]);
    for (path, field, body) in [
        ("/ltm", "name", json!({"fqn": "a", "name": &long})),
        (
            "/ltm",
            "name",
            json!({"fqn": "a", "structure": {"name": &long}}),
        ),
        (
            "/ltm",
            "time",
            json!({"fqn": "a", "time": "-000001-01-01T00:00:00Z"}),
        ),
        ("/ltm", "state", json!({"fqn": "a", "state": &number})),
        (&*append, "reason", json!({"reason": &long, "merge": {}})),
        (
            &*append,
            "time",
            json!({"reason": "x", "merge": {}, "time": "2026-01-01T00:00:00[America/New_York]"}),
        ),
        (&*append, "state", json!({"reason": "x", "state": &number})),
        (&*append, "merge", json!({"reason": "x", "merge": &number})),
        (&*append, "patch", json!({"reason": "x", "patch": &add})),
        (
            &*append,
            "item",
            json!({"reason": "x", "merge": {}, "item": &raw}),
        ),
        (&*errors, "reason", json!({"id": uuid, "reason": &long})),
        (&*errors, "retries", json!({"id": uuid, "retries": &raw})),
    ] {
        let problem = stack
            .api
            .post(path, &body)
            .await
            .problem(422, "invalid-request");
        assert_eq!(problem["field"], field, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        let named = detail.contains("$serde_json::private::");
        assert_eq!(named, body.to_string().contains("$serde_json"), "{detail}");
    }
    assert_eq!(stack.api.document(id).await["cursor"], cursor);
    let fits = json!({"fqn": "a", "name": "x".repeat(1024)});
    let created = stack.api.post("/ltm", &fits).await.expect(200);
    // An older API accepted longer names.
    let id = created["id"].as_u64().unwrap();
    let meta = format!("ltm:{{{id}}}:meta");
    stack
        .redis
        .cli(&["HSET", &meta, "name", &"y".repeat(100_000)]);
    let list = stack.api.get("/ltm?limit=1").await.expect(200);
    let name = list[0]["name"].as_str().unwrap();
    assert_eq!(name.chars().count(), 1025, "{name}");
}
