use json_patch::patch_unsafe;
use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..3).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c~/]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

pub(crate) fn objects() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-c~/]{0,2}", values(), 0..4)
        .prop_map(|map| map.into_iter().collect())
}

fn pointers() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-c]|~0|~1|-|[0-3]|", 1..4)
        .prop_map(|tokens| format!("/{}", tokens.join("/")))
}

/// Operations whose paths often exist in a small state, and often fail.
fn patches() -> impl Strategy<Value = Vec<Value>> {
    let operation = prop_oneof![
        (pointers(), values())
            .prop_map(|(path, value)| json!({"op": "add", "path": path, "value": value})),
        (pointers(), values())
            .prop_map(|(path, value)| json!({"op": "replace", "path": path, "value": value})),
        pointers().prop_map(|path| json!({"op": "remove", "path": path})),
        (pointers(), pointers())
            .prop_map(|(from, path)| json!({"op": "move", "from": from, "path": path})),
        (pointers(), pointers())
            .prop_map(|(from, path)| json!({"op": "copy", "from": from, "path": path})),
    ];
    prop::collection::vec(operation, 0..5)
}

const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_depth: 64,
    max_operations: 100,
    ..Limits::UNLIMITED
};

fn parsed(patch: &Value) -> Vec<PatchOperation> {
    parse(&patch.to_string(), &LIMITS).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn a_patch_has_the_effect_of_the_library_or_none(state in objects(), patch in patches()) {
        let operations = parsed(&json!(patch));
        let before = Value::Object(state);
        let mut expected = before.clone();
        let library = patch_unsafe(&mut expected, &operations);
        let mut tree = Tree::new(before.clone());
        match tree.apply(&operations, &LIMITS) {
            Ok(undo) => {
                prop_assert_eq!(tree.value(), &expected);
                let mut replayed = before.clone();
                replay(&mut replayed, &json!(patch).to_string()).unwrap();
                prop_assert_eq!(&replayed, &expected);
                prop_assert_eq!(tree.bytes(), Tree::new(expected.clone()).bytes());
                let mut back = tree.clone();
                back.undo(undo);
                prop_assert_eq!(back, Tree::new(before.clone()));
            }
            Err(_) => prop_assert_eq!(tree.value(), &before),
        }
        prop_assert_eq!(tree.bytes(), Tree::new(tree.value().clone()).bytes());
        // In one case the library lets `move` put a value into itself, which RFC 6902 forbids.
        if tree.value() == &before && library.is_ok() {
            let into_itself = patch.iter().any(|op| op["op"] == "move");
            prop_assert!(expected == before || into_itself);
        }
    }

    #[test]
    fn the_size_is_that_of_the_text(state in objects()) {
        let value = Value::Object(state);
        let text = value.to_string().len();
        let bytes = Tree::new(value).bytes();
        prop_assert!(bytes >= text && bytes <= 2 * text + 2, "{} for {}", bytes, text);
    }
}

fn rejected(state: Value, patch: Value, limits: &Limits) -> PatchError {
    let mut tree = Tree::new(state.clone());
    let error = tree.apply(&parsed(&patch), limits).unwrap_err();
    assert_eq!(tree, Tree::new(state));
    error
}

#[test]
fn a_move_that_fails_loses_nothing() {
    let error = rejected(
        json!({"a": {"deep": 1}, "list": [1, 2]}),
        json!([{"op": "remove", "path": "/list/0"}, {"op": "move", "from": "/a", "path": "/nowhere/b"}]),
        &LIMITS,
    );
    let PatchError::Failed {
        operation, text, ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((operation, text.as_str()), (1, "move /a to /nowhere/b"));
}

#[test]
fn a_patch_bomb_stops_at_the_limit() {
    let mut patch = vec![json!({"op": "add", "path": "/a", "value": ["x".repeat(20)]})];
    patch.resize(20, json!({"op": "copy", "from": "/a", "path": "/a/-"}));
    let limits = Limits {
        max_bytes: 10_000,
        ..LIMITS
    };
    let error = rejected(json!({}), json!(patch), &limits);
    assert!(matches!(error, PatchError::TooLarge { .. }), "{error}");
}

#[test]
fn the_result_is_never_deeper_than_allowed() {
    let limits = Limits {
        max_depth: 4,
        ..LIMITS
    };
    let state = json!({"a": {"b": {}}, "c": [[]]});
    for patch in [
        json!([{"op": "add", "path": "/a/b/x", "value": [[]]}]),
        json!([{"op": "move", "from": "/c", "path": "/a/b/c"}]),
        json!([{"op": "copy", "from": "/a", "path": "/c/0/-"}]),
    ] {
        let error = rejected(state.clone(), patch, &limits);
        assert!(matches!(error, PatchError::TooLarge { .. }), "{error}");
    }
    let mut tree = Tree::new(state);
    let fits = json!([{"op": "add", "path": "/a/b/x", "value": []}]);
    drop(tree.apply(&parsed(&fits), &limits).unwrap());
}

#[test]
fn a_state_over_the_limit_can_still_shrink() {
    let limits = Limits {
        max_bytes: 10,
        ..LIMITS
    };
    let mut tree = Tree::new(json!({"long": "x".repeat(100)}));
    let patch = json!([{"op": "replace", "path": "/long", "value": "y".repeat(50)}]);
    drop(tree.apply(&parsed(&patch), &limits).unwrap());
}

#[test]
fn numbers_keep_their_digits_and_compare_by_value() {
    let text = r#"[{"op":"add","path":"/a","value":[0.10,9007199254740993]},{"op":"test","path":"/a/0","value":1e-1}]"#;
    let mut tree = Tree::default();
    drop(tree.apply(&parse(text, &LIMITS).unwrap(), &LIMITS).unwrap());
    assert_eq!(tree.value().to_string(), r#"{"a":[0.10,9007199254740993]}"#);
}

#[test]
fn a_malformed_patch_is_rejected_and_the_wrong_member_named() {
    for (text, field) in [
        (r#"{"op":"add"}"#, "."),
        (r#"[{"op":"add","path":"/a"}]"#, "[0].value"),
        (r#"[{"op":"move","path":"/a"}]"#, "[0].from"),
        (r#"[{"op":"spam","path":"/a"}]"#, "[0].op"),
        (r#"[{"op":"remove","path":"a"}]"#, "[0].path"),
        (r#"[{"op":"remove","path":"/~2"}]"#, "[0].path"),
        (r#"[{"op":"replace","path":"","value":{}}]"#, "[0].path"),
        (r#"[{"op":"add","path":7}]"#, "[0].path"),
    ] {
        match parse(text, &LIMITS) {
            Err(PatchError::Malformed { field: named, .. }) => assert_eq!(named, field, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let null = parse(r#"[{"op":"add","path":"/a","value":null}]"#, &LIMITS);
    assert!(null.is_ok());
}

#[test]
fn a_replay_applies_each_operation_and_skips_tests() {
    let mut state = json!({"a": 1, "list": [1, 2]});
    let patch = r#"[
        {"op": "test", "path": "/a", "value": 1.0},
        {"op": "add", "path": "/list/-", "value": null},
        {"op": "replace", "path": "/a", "value": 0.10},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "move", "from": "/list/0", "path": "/c"},
        {"op": "remove", "path": "/list/0"}
    ]"#;
    replay(&mut state, patch).unwrap();
    assert_eq!(
        state.to_string(),
        r#"{"a":0.10,"b":0.10,"c":1,"list":[null]}"#
    );
    let misfit = r#"[{"op":"add","path":"/d","value":1},{"op":"remove","path":"/none"}]"#;
    let error = replay(&mut state, misfit).unwrap_err();
    assert!(
        error.to_string().starts_with("operation 1 (remove /none)"),
        "{error}"
    );
    assert!(matches!(
        replay(&mut state, "{}"),
        Err(PatchError::Malformed { .. })
    ));
}

#[test]
fn more_operations_than_allowed_are_rejected() {
    let limits = Limits {
        max_operations: 1,
        ..LIMITS
    };
    let text = r#"[{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}]"#;
    assert!(matches!(
        parse(text, &limits),
        Err(PatchError::TooLarge { .. })
    ));
}

/// A state with an array of `count` numbers, which takes 10 times its text in memory at least.
fn numbers(count: usize) -> Value {
    json!({"a": vec![0; count]})
}

#[test]
fn copies_onto_each_other_are_refused_before_they_fill_the_memory() {
    let limits = Limits {
        max_bytes: 1 << 20,
        max_work: 1 << 20,
        ..LIMITS
    };
    let copy = |to: &str| json!({"op": "copy", "from": "/a", "path": to});
    // Each copy replaces another one, so the state does not grow.
    let patch: Vec<Value> = ["/b", "/c"]
        .iter()
        .cycle()
        .take(40)
        .map(|to| copy(to))
        .collect();
    let error = rejected(numbers(1000), json!(patch), &limits);
    let PatchError::TooLarge { operation, .. } = error else {
        panic!("{error}")
    };
    assert!((10..25).contains(&operation), "{operation}");
}

#[test]
fn what_a_patch_takes_out_of_a_state_is_kept_and_not_copied() {
    let mut tree = Tree::new(json!({"a": {"text": "x".repeat(1000)}, "b": [1]}));
    let text = |value: &Value| value["text"].as_str().unwrap().as_ptr();
    let before = text(&tree.value()["a"]);
    let patch = json!([{"op": "move", "from": "/a", "path": "/b/0"}]);
    let undo = tree.apply(&parsed(&patch), &LIMITS).unwrap();
    assert_eq!(text(&tree.value()["b"][0]), before);
    tree.undo(undo);
    assert_eq!(text(&tree.value()["a"]), before);
    let patch = json!([{"op": "remove", "path": "/a"}]);
    let undo = tree.apply(&parsed(&patch), &LIMITS).unwrap();
    tree.undo(undo);
    assert_eq!(text(&tree.value()["a"]), before);
}

#[test]
fn elements_that_are_shifted_again_and_again_are_refused() {
    let limits = Limits {
        max_work: 100_000,
        ..LIMITS
    };
    for patch in [
        json!({"op": "add", "path": "/a/0", "value": 1}),
        json!({"op": "move", "from": "/a/9999", "path": "/a/0"}),
        json!({"op": "move", "from": "/a/0", "path": "/a/-"}),
    ] {
        let patch = vec![patch; 50];
        let error = rejected(numbers(10_000), json!(patch), &limits);
        assert!(matches!(error, PatchError::TooLarge { .. }), "{error}");
        let (mut state, text) = (numbers(10_000), json!(patch).to_string());
        // In the log the same patch is read.
        replay(&mut state, &text).unwrap();
    }
}

#[test]
fn values_that_would_take_too_much_memory_are_refused_unparsed() {
    let limits = Limits {
        max_memory: 100_000,
        ..LIMITS
    };
    let objects = vec![json!({"a": 0}); 1000];
    let patch = json!([{"op": "add", "path": "/a", "value": objects}]).to_string();
    assert!(patch.len() < 10_000);
    let error = parse(&patch, &limits).unwrap_err();
    assert!(matches!(error, PatchError::TooLarge { .. }), "{error}");
    let patch = json!([{"op": "copy", "from": "/a", "path": "/b"}]);
    let error = rejected(json!({"a": &objects[..100]}), patch, &limits);
    assert!(matches!(error, PatchError::TooLarge { .. }), "{error}");
}

#[test]
fn a_path_that_leads_deeper_than_a_state_may_be_is_refused_unread() {
    let path = "/a".repeat(1000);
    for patch in [
        json!([{"op": "test", "path": path, "value": 1}]),
        json!([{"op": "copy", "from": path, "path": "/b"}]),
    ] {
        let error = parse(&patch.to_string(), &LIMITS).unwrap_err();
        assert!(matches!(error, PatchError::TooLarge { .. }), "{error}");
    }
}

#[test]
fn an_error_quotes_only_the_beginning_of_a_long_text() {
    let long = "x".repeat(100_000);
    for patch in [
        json!([{"op": long, "path": "/a"}]),
        json!([{"op": "add", "path": "/a", "value": 1, "from": 7}, long]),
        json!([{"op": "remove", "path": long}]),
        json!([long]),
        json!([{"op": "remove", "path": format!("/{long}~2")}]),
    ] {
        let error = parse(&patch.to_string(), &LIMITS).unwrap_err();
        assert!(error.to_string().len() < 500, "{error}");
    }
    for patch in [
        json!([{"op": "remove", "path": format!("/{long}")}]),
        json!([{"op": "add", "path": format!("/{long}/b"), "value": 1}]),
        json!([{"op": "move", "from": format!("/a/{long}"), "path": format!("/{long}")}]),
        json!([{"op": "add", "path": format!("/a/{long}"), "value": 1}]),
    ] {
        let error = rejected(json!({"a": [1]}), patch, &LIMITS);
        assert!(error.to_string().len() < 1000, "{error}");
    }
}
