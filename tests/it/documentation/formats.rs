//! The page on formats: its examples and the recorded histories follow its JSON Schema, and the services accept them.

use std::path::Path;

use ltm_tests::Stack;
use serde_json::{Value, json};

/// The page as sections: the formats that the heading names, and the blocks of JSON below it.
fn sections() -> Vec<(Vec<String>, Vec<Value>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats.md");
    let page = std::fs::read_to_string(path).unwrap();
    let section = |text: &str| {
        let (heading, rest) = text.split_once('\n').unwrap();
        let names = heading.split('`').skip(1).step_by(2).map(str::to_owned);
        let blocks = rest.split("```json\n").skip(1);
        let block = |text: &str| serde_json::from_str(text.split_once("\n```").unwrap().0).unwrap();
        (names.collect(), blocks.map(block).collect())
    };
    page.split("\n## ").skip(1).map(section).collect()
}

/// The faults of a value, by the keywords of JSON Schema that the page uses.
fn faults(at: &str, value: &Value, schema: &Value, root: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                found.extend(faults(at, value, root.pointer(pointer).unwrap(), root));
            }
            "type" => {
                let types = rule.as_array().cloned();
                let types = types.unwrap_or_else(|| vec![rule.clone()]);
                if !types.contains(&json!(type_of(value))) {
                    found.push(format!("{at} is not {rule}: {value}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(&format!("{at}/{index}"), item, rule, root));
                }
            }
            "required" => {
                for key in rule.as_array().unwrap() {
                    if value.get(key.as_str().unwrap()).is_none() {
                        found.push(format!("{at} has no {key}"));
                    }
                }
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(key) {
                        found.extend(faults(&format!("{at}/{key}"), member, rule, root));
                    }
                }
            }
            "additionalProperties" => {
                for (key, member) in value.as_object().into_iter().flatten() {
                    found.extend(faults(&format!("{at}/{key}"), member, rule, root));
                }
            }
            other => panic!("this test does not know the keyword {other}"),
        }
    }
    found
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Checks a value against the format of this name.
fn check(what: &str, name: &str, value: &Value, root: &Value) {
    let schema = &root["$defs"][name];
    assert!(schema.is_object(), "there is no schema of {name}");
    let found = faults("", value, schema, root);
    assert!(found.is_empty(), "{what}, {name}: {found:#?}");
}

fn schema() -> Value {
    let all = sections();
    let (_, blocks) = all.last().unwrap();
    assert!(blocks[0]["$defs"].is_object());
    blocks[0].clone()
}

#[test]
fn each_example_on_the_page_follows_the_schema() {
    let root = schema();
    let mut examples = 0;
    for (names, blocks) in sections() {
        for (name, block) in names
            .iter()
            .flat_map(|name| blocks.iter().map(move |it| (name, it)))
        {
            check("the page", name, block, &root);
            examples += 1;
        }
    }
    assert!(examples > 10, "{examples}");
    let wrong = json!({"name": "a", "transitions": [{"from": "x", "to": 7}]});
    let found = faults("", &wrong, &root["$defs"]["structure"], &root);
    assert_eq!(found.len(), 2, "{found:?}");
}

/// The names of the schemas in the OpenAPI document, by those on the page.
const COMPONENTS: &[(&str, &str)] = &[
    ("structure", "Structure"),
    ("transition", "Transition"),
    ("concurrent_instances", "ConcurrentInstances"),
    ("item", "Item"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_schemas_on_the_page_are_those_of_the_openapi_document() {
    let stack = Stack::start();
    let openapi = stack.api.get_root("/docs/openapi.json").await.expect(200);
    let schemas = &openapi["components"]["schemas"];
    let mut page = schema().to_string();
    for (name, component) in COMPONENTS {
        let reference = |name: &str| format!(r##""$ref":"#{name}""##);
        let (from, to) = (
            format!("/$defs/{name}"),
            format!("/components/schemas/{component}"),
        );
        page = page.replace(&reference(&from), &reference(&to));
    }
    let page: Value = serde_json::from_str(&page).unwrap();
    for (name, component) in COMPONENTS {
        assert_eq!(schemas[component], page["$defs"][name], "{name}");
    }
    let retry = &page["$defs"]["error"]["properties"]["retries"]["items"];
    assert_eq!(&schemas["Retry"], retry);
    // The calls take these.
    let described = |call: &str, member: &str| {
        let schema = &schemas[call]["properties"][member];
        assert!(schema.is_object(), "{call}.{member}");
        schema.to_string()
    };
    for (call, member, component) in [
        ("Creation", "structure", "Structure"),
        ("Creation", "concurrent_instances", "ConcurrentInstances"),
        ("Append", "item", "Item"),
        ("Append", "execute_queue", "Item"),
        ("Append", "transitions_queue", "Item"),
        ("ErrorReport", "item", "Item"),
        ("ErrorReport", "retries", "Retry"),
    ] {
        let described = described(call, member);
        let reference = format!("#/components/schemas/{component}\"");
        assert!(
            described.contains(&reference),
            "{call}.{member}: {described}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_another_type_is_refused_with_its_path_and_what_would_be_right() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({"_status": "active"})).await;
    let created = |member: Value| {
        let mut body = json!({"fqn": "app.Agent"});
        body.as_object_mut()
            .unwrap()
            .extend(member.as_object().unwrap().clone());
        ("/ltm".to_owned(), body)
    };
    let appended = |member: Value| {
        let mut body = json!({"reason": "execute", "merge": {}});
        body.as_object_mut()
            .unwrap()
            .extend(member.as_object().unwrap().clone());
        (format!("/ltm/{id}/snapshots"), body)
    };
    let changed = |change: Value| {
        let mut body = change;
        body["reason"] = "execute".into();
        (format!("/ltm/{id}/snapshots"), body)
    };
    let reported = |report: Value| (format!("/ltm/{id}/errors"), report);
    let arrow = json!({"from": "a", "to": 7, "label": "x"});
    let patch = json!([{"op": "replace", "path": "/_status", "value": {"word": "active"}}]);
    for ((path, body), field, detail) in [
        (
            created(json!({"structure": {"transitions": [arrow]}})),
            "structure.transitions[0].to",
            "must be a text",
        ),
        (
            created(json!({"structure": {"ltms": [{"init": "a"}]}})),
            "structure.ltms[0].init",
            "must be an array",
        ),
        (
            created(json!({"structure": {"transitions": [{"to": "a", "label": "b"}]}})),
            "structure.transitions[0].from",
            "is missing",
        ),
        (
            created(json!({"concurrent_instances": {"a": [{"fqn": "a.b"}]}})),
            "concurrent_instances.a[0].fname",
            "is missing",
        ),
        (
            created(json!({"snapshot": {"reason": "start", "state": {}, "item": {"label": 1}}})),
            "item.label",
            "must be a text",
        ),
        (
            created(json!({"params": [1]})),
            "params",
            "must be an object",
        ),
        (
            created(json!({"playground": "yes"})),
            "playground",
            "a boolean",
        ),
        (
            created(json!({"state": {"_status": 3}})),
            "state._status",
            "send a text",
        ),
        (
            appended(json!({"item": {"fqn": ["a"]}})),
            "item.fqn",
            "must be a text",
        ),
        (
            appended(json!({"item": {"playground": 0.50}})),
            "item.playground",
            "must be true or false",
        ),
        (
            appended(json!({"execute_queue": [{}, {"item_id": null}]})),
            "execute_queue[1].item_id",
            "must be a text",
        ),
        (
            appended(json!({"merge": {"_status": 3}})),
            "merge._status",
            "send a text",
        ),
        (
            changed(json!({"state": {"_status": null}})),
            "state._status",
            "send a text",
        ),
        (changed(json!({"patch": patch})), "patch", "send a text"),
        (
            reported(json!({"retries": [{"time": 7}]})),
            "retries[0].time",
            "must be a text",
        ),
        (
            reported(json!({"retries": ["failed"]})),
            "retries[0]",
            "must be an object",
        ),
        (
            reported(json!({"item": {"namespace": {}}})),
            "item.namespace",
            "must be a text",
        ),
    ] {
        let problem = stack
            .api
            .post(&path, &body)
            .await
            .problem(422, "invalid-request");
        assert_eq!(problem["field"], field, "{problem}");
        let said = problem["detail"].as_str().unwrap();
        assert!(said.contains(detail), "{problem}");
        if path.ends_with("snapshots") {
            let batch = json!({"snapshots": [{"reason": "x", "merge": {}}, body]});
            let problem = stack
                .api
                .post(&path, &batch)
                .await
                .problem(422, "invalid-request");
            assert_eq!(
                problem["field"],
                format!("snapshots[1].{field}"),
                "{problem}"
            );
        }
    }
    let document = stack.api.document(id).await;
    assert_eq!(
        (&document["state"], &document["snapshots_count"]),
        (&json!({"_status": "active"}), &json!(1))
    );
}

/// What an older version of the services accepted can be read, and written on.
#[tokio::test(flavor = "multi_thread")]
async fn an_ltm_whose_status_is_no_text_goes_on() {
    let stack = Stack::start();
    let (id, first) = stack.api.create(json!({"n": 0})).await;
    let payload = r#"{"time":"2026-01-01T00:00:00.000000Z","reason":"x","item":{"label":7},"patch":[{"op":"add","path":"/_status","value":3}],"execute_queue":[],"transitions_queue":[]}"#;
    let first: ltm_types::Cursor = first.parse().unwrap();
    let next = first.next(&ltm_types::Kind::Snapshot, payload).to_string();
    let key = |name: &str| format!("ltm:{{{id}}}:{name}");
    stack
        .redis
        .cli(&["XADD", &key("log"), &next, "snapshot", payload]);
    stack.redis.cli(&[
        "HSET",
        &key("meta"),
        "cursor",
        &next,
        "snapshots_count",
        "2",
    ]);
    assert_eq!(
        stack.api.document(id).await["state"],
        json!({"n": 0, "_status": 3})
    );
    stack.api.append(id, json!({"merge": {"n": 1}})).await;
    stack
        .api
        .append(id, json!({"merge": {"_status": "active"}}))
        .await;
    assert_eq!(
        stack.api.document(id).await["state"],
        json!({"n": 1, "_status": "active"})
    );
}

#[test]
fn the_recorded_histories_follow_the_schema() {
    let root = schema();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let (mut snapshots, mut errors) = (0, 0);
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file = path.display().to_string();
        let trace: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for recorded in trace["documents"].as_array().into_iter().flatten() {
            let document = recorded.get("document").unwrap_or(recorded);
            for name in ["structure", "concurrent_instances"] {
                check(&file, name, &document[name], &root);
            }
            for snapshot in document["snapshots"].as_array().into_iter().flatten() {
                for name in ["item", "execute_queue", "transitions_queue"] {
                    check(&file, name, &snapshot[name], &root);
                }
                snapshots += 1;
            }
            for error in document["errors"].as_array().into_iter().flatten() {
                check(&file, "error", error, &root);
                errors += 1;
            }
        }
    }
    assert!(snapshots > 50 && errors > 0, "{snapshots}, {errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_accept_the_examples_and_give_them_back() {
    let stack = Stack::start();
    let all = sections();
    let examples = |name: &str| {
        let section = all
            .iter()
            .find(|(names, _)| names.iter().any(|it| it == name));
        section.unwrap().1.clone()
    };
    let first = |name: &str| examples(name)[0].clone();
    let body = json!({
        "fqn": "app.Agent",
        "structure": first("structure"),
        "concurrent_instances": first("concurrent_instances"),
        "params": first("params"),
        "payload": first("payload"),
        "playground": first("playground"),
        "state": first("_status"),
    });
    let id = stack.api.post("/ltm", &body).await.expect(200)["id"].clone();
    let id = id.as_u64().unwrap();
    let queue = first("execute_queue");
    for item in examples("item") {
        let step =
            json!({"item": item, "merge": {}, "execute_queue": queue, "transitions_queue": queue});
        let snapshot = stack.api.append(id, step).await["snapshot"].clone();
        assert_eq!(snapshot["item"], item);
        assert_eq!(snapshot["execute_queue"], queue);
    }
    for item in [
        "0",
        "-7",
        "0.50",
        "true",
        "\"plan\"",
        "[1]",
        "123456789012345678901234567890",
    ] {
        let item: Value = serde_json::from_str(item).unwrap();
        let step = json!({"item": item, "merge": {}, "execute_queue": [item]});
        let snapshot = stack.api.append(id, step).await["snapshot"].clone();
        assert_eq!(snapshot["item"], item);
    }
    let error = first("error");
    let path = format!("/ltm/{id}/errors");
    let recorded = stack.api.post(&path, &error).await.expect(200);
    for (key, value) in error.as_object().unwrap() {
        assert_eq!(&recorded["error"][key], value, "{key}");
    }
    let document = stack.api.document(id).await;
    for name in ["structure", "concurrent_instances", "params"] {
        assert_eq!(document[name], body[name], "{name}");
    }
    let listed = stack.api.get("/ltm?playground=true").await.expect(200);
    assert_eq!(listed[0]["status"], "active");
}
