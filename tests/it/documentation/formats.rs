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
