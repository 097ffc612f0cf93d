//! `GET /ltm` with filters: what they mean, alone and combined, and what is refused.

use ltm_tests::{Api, Stack, until};
use reqwest::{Method, Url};
use serde_json::{Value, json};

/// The ids of a page.
fn ids(page: &Value) -> Vec<u64> {
    let rows = page.as_array().unwrap().iter();
    rows.map(|row| row["id"].as_u64().unwrap()).collect()
}

/// The ids of a list, page by page.
async fn list(api: &Api, query: &str, limit: usize) -> Vec<u64> {
    let mut all = Vec::new();
    let mut path = format!("/ltm?limit={limit}&{query}");
    loop {
        let answer = api.get(&path).await;
        assert_eq!(answer.header("ltm-incomplete"), "", "{query}");
        let next = answer.header("link").to_owned();
        let page = ids(&answer.expect(200));
        assert!(page.len() <= limit, "{query}: {page:?}");
        all.extend(page);
        let Some(next) = next.strip_prefix("</api/v0") else {
            return all;
        };
        path = next.split_once('>').unwrap().0.into();
    }
}

async fn create(api: &Api, body: Value) -> u64 {
    let created = api.post("/ltm", &body).await.expect(200);
    created["id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_shows_what_it_says_and_nothing_else() {
    let stack = Stack::start();
    let api = &stack.api;
    let body = |fqn: &str, name: &str, status: Value| json!({"fqn": fqn, "name": name, "state": {"_status": status}});
    let lisbon = create(api, body("app.Agent", "Harbours of Lisbon", json!("error"))).await;
    let oslo = create(
        api,
        body("app.deep.Agent", "Harbour lights, Oslo", json!("active")),
    )
    .await;
    let other = create(
        api,
        body("apple.Agent", "An apple", json!("waiting_for_human")),
    )
    .await;
    let none = create(api, json!({"fqn": "app.Agent", "name": ""})).await;
    let copy = json!({"fqn": "app.Agent", "playground": true, "state": {"_status": "error"}});
    let copy = create(api, copy).await;
    let error = json!({"id": "6f6c1d7e-4c53-4a6b-9e0e-0d3a8c1b2f4d"});
    api.post(&format!("/ltm/{oslo}/errors"), &error)
        .await
        .expect(200);

    for (query, expected) in [
        ("status=error", vec![lisbon]),
        ("status=error&playground=true", vec![copy]),
        ("status=active,%20error", vec![oslo, lisbon]),
        ("status=waiting_for_human", vec![other]),
        ("status=7", vec![]),
        ("status=err", vec![]),
        ("fqn=app.Agent", vec![none, lisbon]),
        ("fqn=app.*", vec![none, oslo, lisbon]),
        ("fqn=app.deep.*", vec![oslo]),
        ("fqn=app.deep.Agent.*", vec![]),
        ("name=harbour", vec![oslo, lisbon]),
        ("name=HARBOURS", vec![lisbon]),
        ("name=har+li", vec![oslo, lisbon]),
        ("name=li+har+os", vec![oslo]),
        ("name=arbour", vec![]),
        ("has_errors=true", vec![oslo]),
        ("has_errors=false", vec![none, other, lisbon]),
        ("status=error&fqn=app.*&name=lis&has_errors=0", vec![lisbon]),
        ("status=error&name=oslo", vec![]),
        (
            "created_after=2020-01-01T00:00:00Z",
            vec![none, other, oslo, lisbon],
        ),
        ("created_before=2020-01-01T00:00:00Z", vec![]),
        (
            "updated_after=2020-01-01T00:00:00Z&status=active",
            vec![oslo],
        ),
        ("updated_before=2020-01-01T00:00:00%2B01:00", vec![]),
    ] {
        assert_eq!(list(api, query, 1000).await, expected, "{query}");
        assert_eq!(list(api, query, 1).await, expected, "{query}, page by page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_follows_each_change_of_a_status_at_once() {
    let stack = Stack::start();
    let api = &stack.api;
    let id = create(
        api,
        json!({"fqn": "app.Agent", "state": {"_status": "init"}}),
    )
    .await;
    let mut before = "init".to_owned();
    for step in 0..30 {
        let status = format!("s{}", step % 7);
        let body = json!({"merge": {"_status": status, "step": step}});
        api.append(id, body).await;
        assert_eq!(list(api, &format!("status={status}"), 10).await, [id]);
        assert_eq!(
            list(api, &format!("status={before}"), 10).await,
            Vec::<u64>::new()
        );
        before = status;
    }
    // A rollback changes the status, too.
    let back = json!({"snapshot": {"index": 0}});
    api.post(&format!("/ltm/{id}/rollback"), &back)
        .await
        .expect(200);
    assert_eq!(list(api, "status=init", 10).await, [id]);
    api.send(api.request(Method::DELETE, &format!("/ltm/{id}")))
        .await
        .expect(200);
    assert_eq!(list(api, "status=init", 10).await, Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_creation_and_of_the_last_entry_are_ranges_that_meet() {
    let stack = Stack::start();
    let api = &stack.api;
    let mut created = Vec::new();
    // Imported LTMs: ids and times have nothing to do with each other.
    for (id, hour) in [
        (900, 3),
        (20, 9),
        (4000, 5),
        (300, 1),
        (5_000_000_000_u64, 7),
    ] {
        let time = format!("2026-01-01T0{hour}:00:00Z");
        let snapshot = json!({"reason": "start", "item": null, "time": time, "patch": [{"op": "add", "path": "/n", "value": 1}],
            "execute_queue": [], "transitions_queue": []});
        create(
            api,
            json!({"fqn": "app.Old", "id": id, "snapshot": snapshot}),
        )
        .await;
        let row = api
            .get(&format!("/ltm?before={}&limit=1", id + 1))
            .await
            .expect(200);
        created.push((
            id,
            row[0]["created_at"].as_str().unwrap().to_owned(),
            row[0]["updated_at"].as_str().unwrap().to_owned(),
        ));
    }
    for column in ["created", "updated"] {
        let time = |row: &(u64, String, String)| {
            if column == "created" {
                row.1.clone()
            } else {
                row.2.clone()
            }
        };
        for limit in &created {
            let limit = time(limit);
            let mut later: Vec<u64> = created
                .iter()
                .filter(|it| time(it) >= limit)
                .map(|it| it.0)
                .collect();
            let mut earlier: Vec<u64> = created
                .iter()
                .filter(|it| time(it) < limit)
                .map(|it| it.0)
                .collect();
            later.sort_unstable_by(|a, b| b.cmp(a));
            earlier.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(
                list(api, &format!("{column}_after={limit}"), 2).await,
                later
            );
            assert_eq!(
                list(api, &format!("{column}_before={limit}"), 2).await,
                earlier
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn combined_filters_read_only_so_many_ltms_for_a_page_and_say_where_to_go_on() {
    let stack = Stack::with(&[("LTM__REDIS__LIST_READS", "10")]);
    let api = &stack.api;
    let first = create(
        api,
        json!({"fqn": "app.Agent", "name": "wanted", "state": {"_status": "error"}}),
    )
    .await;
    for n in 0..25 {
        let (status, name) = if n % 2 == 0 {
            ("error", "no")
        } else {
            ("active", "wanted")
        };
        create(
            api,
            json!({"fqn": "app.Agent", "name": name, "state": {"_status": status}}),
        )
        .await;
    }
    let query = "status=error&name=wanted";
    let page = api.get(&format!("/ltm?{query}")).await;
    assert!(page.header("link").contains("status=error"), "{page:?}");
    assert_eq!(page.expect(200), json!([]));
    assert_eq!(list(api, query, 1000).await, [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_makes_up_does_no_harm() {
    let stack = Stack::start();
    let api = &stack.api;
    let (words, longest) = ("w ".repeat(500), "x".repeat(64));
    let mut all = Vec::new();
    for status in [
        "a\0b",
        "a\u{1f}",
        "a\n",
        "\u{10ffff}",
        "*",
        "?",
        "a,b",
        &longest,
    ] {
        let body = json!({"fqn": "a.".repeat(120), "name": words, "state": {"_status": status}});
        all.push((status, create(api, body).await));
    }
    for (status, id) in &all {
        let url = Url::parse_with_params("http://h/", [("status", status)]).unwrap();
        let expected = if status.contains(',') {
            vec![]
        } else {
            vec![*id]
        };
        let expected = if *status == "a\n" { vec![] } else { expected };
        // White space around a word is not part of it.
        assert_eq!(
            list(api, url.query().unwrap(), 10).await,
            expected,
            "{status:?}"
        );
    }
    let deep = format!("fqn={}*", "a.".repeat(100));
    assert_eq!(list(api, &deep, 10).await.len(), all.len());
    until("all are counted", async || {
        let counts = api.get("/ltm/counts").await.expect(200);
        if counts["total"] == all.len() {
            Ok(())
        } else {
            Err(counts)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_wrong_is_refused_and_named() {
    let stack = Stack::start();
    let many = (0..17).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    for (query, field, says) in [
        ("status=,".to_owned(), "status", "empty status"),
        (format!("status={many}"), "status", "at most 16"),
        ("fqn=app*".into(), "fqn", "app.*"),
        ("fqn=*".into(), "fqn", "app.*"),
        ("fqn=a*.b.*".into(), "fqn", "app.*"),
        ("name=--".into(), "name", "letter or digit"),
        ("name=1+2+3+4+5+6+7+8+9".into(), "name", "at most 8"),
        (format!("name={}", "x".repeat(1025)), "name", "at most 1024"),
        (
            "created_after=yesterday".into(),
            "created_after",
            "RFC 3339",
        ),
        (
            "updated_before=2026-01-01T00:00:00+01:00".into(),
            "updated_before",
            "%2B",
        ),
        (
            "created_after=2026-01-02T00:00:00Z&created_before=2026-01-01T00:00:00Z".into(),
            "created_before",
            "created_after",
        ),
        (
            "has_errors=maybe".into(),
            "has_errors",
            "neither true nor false",
        ),
    ] {
        let answer = stack.api.get(&format!("/ltm?{query}")).await;
        let problem = answer.problem(422, "invalid-request");
        assert_eq!(problem["field"], field, "{query}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{query}: {detail}");
    }
}
