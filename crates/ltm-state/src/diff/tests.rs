use json_patch::patch_unsafe;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::patch::{
    Limits, Tree,
    tests::{objects, values},
};

const LIMITS: Limits = Limits::UNLIMITED;

/// A change of an array of objects.
#[derive(Clone, Debug)]
enum ArrayChange {
    Insert(usize, Value),
    Remove(usize),
    Grow(usize, String),
    Set(usize, Value),
    Swap(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<ArrayChange>> {
    let index = 0_usize..50;
    let change = prop_oneof![
        (index.clone(), values()).prop_map(|(at, value)| ArrayChange::Insert(at, value)),
        index.clone().prop_map(ArrayChange::Remove),
        (index.clone(), "[a-z]{1,40}").prop_map(|(at, text)| ArrayChange::Grow(at, text)),
        (index.clone(), values()).prop_map(|(at, value)| ArrayChange::Set(at, value)),
        (index.clone(), index).prop_map(|(a, b)| ArrayChange::Swap(a, b)),
    ];
    prop::collection::vec(change, 0..8)
}

/// An array of `count` objects, no two of them equal.
fn items(count: usize) -> Vec<Value> {
    let text = "a text that an agent says";
    (0..count)
        .map(
            |n| json!({"id": n, "text": format!("{text} {n}"), "tags": ["a", n], "more": {"n": n}}),
        )
        .collect()
}

impl ArrayChange {
    fn apply_to(&self, items: &mut Vec<Value>) {
        let count = items.len();
        match self {
            Self::Insert(at, value) => items.insert(at % (count + 1), value.clone()),
            _ if count == 0 => {}
            Self::Remove(at) => drop(items.remove(at % count)),
            Self::Grow(at, more) => {
                if let Some(Value::String(text)) = items[at % count].get_mut("text") {
                    text.push_str(more);
                }
            }
            Self::Set(at, value) => {
                if let Some(members) = items[at % count].as_object_mut() {
                    members.insert("more".into(), value.clone());
                }
            }
            Self::Swap(a, b) => items.swap(a % count, b % count),
        }
    }

    /// The length of the operations that make the change, in bytes.
    fn length(&self) -> usize {
        let around = 60;
        match self {
            Self::Insert(_, value) | Self::Set(_, value) => around + value.to_string().len(),
            Self::Remove(_) => around,
            Self::Grow(_, more) => around + 30 + more.len(),
            // Two moves, or a remove and an add of a small element, twice.
            Self::Swap(..) => 2 * (around + 30),
        }
    }
}

fn state(items: &[Value]) -> Map<String, Value> {
    [("items".to_owned(), json!({"list": items}))]
        .into_iter()
        .collect()
}

/// The patch from one state to the other. Checks that it leads there.
fn checked_diff(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<PatchOperation> {
    let operations = diff(from, to);
    let mut tree = Tree::new(Value::Object(from.clone()));
    let _ = tree.apply(&operations, &LIMITS).unwrap();
    assert_eq!(tree.value(), &Value::Object(to.clone()));
    assert!(
        operations
            .iter()
            .all(|operation| !operation.path().is_root())
    );
    operations
}

fn length_of(operations: &[PatchOperation]) -> usize {
    json!(operations).to_string().len()
}

/// The length of the patch that replaces each changed member as a whole, in bytes.
fn whole(from: &Map<String, Value>, to: &Map<String, Value>) -> usize {
    let around = "{'op':'replace','path':'/','value':},".len();
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    let new = to
        .iter()
        .filter(|(key, value)| from.get(*key) != Some(*value));
    gone.map(|key| around + 2 * key.len()).sum::<usize>()
        + new
            .map(|(key, value)| around + 2 * key.len() + value.to_string().len())
            .sum::<usize>()
        + 2
}

proptest! {
    #[test]
    fn a_diff_leads_from_one_state_to_the_other(from in objects(), to in objects()) {
        let operations = checked_diff(&from, &to);
        let mut value = Value::Object(from);
        patch_unsafe(&mut value, &operations).unwrap();
        prop_assert_eq!(value, Value::Object(to));
    }

    #[test]
    fn a_diff_is_no_longer_than_what_replaces_each_member(from in objects(), to in objects()) {
        prop_assert!(length_of(&diff(&from, &to)) <= whole(&from, &to));
    }

    #[test]
    fn a_diff_is_no_longer_than_the_operations_that_made_the_change(
        count in 0_usize..60, changes in changes(),
    ) {
        let from = items(count);
        let mut to = from.clone();
        for change in &changes {
            change.apply_to(&mut to);
        }
        let (from, to) = (state(&from), state(&to));
        let length = length_of(&checked_diff(&from, &to));
        let expected: usize = changes.iter().map(ArrayChange::length).sum();
        // An element that moves and also changes is a new element.
        let moves = changes.iter().any(|it| matches!(it, ArrayChange::Swap(..)));
        let expected = expected + if moves { 250 * changes.len() } else { 0 };
        prop_assert!(length <= expected + 2, "{length} of {expected}");
        prop_assert!(length <= whole(&from, &to));
    }

    #[test]
    fn elements_that_only_move_are_moved(count in 0_usize..30, seed in prop::collection::vec(any::<u32>(), 30)) {
        let from = items(count);
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|index| seed[*index]);
        let to: Vec<Value> = order.iter().map(|index| from[*index].clone()).collect();
        let operations = checked_diff(&state(&from), &state(&to));
        prop_assert!(operations.len() <= count);
        prop_assert!(operations.iter().all(|operation| matches!(operation, PatchOperation::Move(_))));
    }

    #[test]
    fn a_merge_has_the_effect_that_rfc_7396_defines(state in objects(), with in objects()) {
        let operations = merge(&state, &with);
        let mut value = Value::Object(state.clone());
        patch_unsafe(&mut value, &operations).unwrap();
        let mut expected = Value::Object(state);
        json_patch::merge(&mut expected, &Value::Object(with));
        prop_assert_eq!(value, expected);
    }

    #[test]
    fn a_merge_is_no_longer_than_the_diff_to_the_merged_state(
        state in objects(), with in objects(), count in 0_usize..20, changes in changes(),
    ) {
        let is_bounded = |state: &Map<String, Value>, with: &Map<String, Value>| {
            let mut merged = Value::Object(state.clone());
            json_patch::merge(&mut merged, &Value::Object(with.clone()));
            let (merge, diff) = (merge(state, with), diff(state, merged.as_object().unwrap()));
            length_of(&merge) <= length_of(&diff)
        };
        prop_assert!(is_bounded(&state, &with));
        let from = items(count);
        let mut to = from.clone();
        for change in &changes {
            change.apply_to(&mut to);
        }
        prop_assert!(is_bounded(&self::state(&from), &self::state(&to)));
    }
}

#[test]
fn the_patch_for_a_large_array_names_only_the_changed_elements() {
    let from = items(1000);
    let mut to = from.clone();
    to.insert(0, json!({"id": "new"}));
    to.drain(500..503);
    to[700]["text"] = json!("another text");
    to.splice(900..900, [json!(1), json!(2)]);
    // A changed element next to a new one is found, too.
    to[902]["more"] = json!(null);
    let operations = checked_diff(&state(&from), &state(&to));
    assert_eq!(
        json!(operations),
        json!([
            {"op": "add", "path": "/items/list/0", "value": {"id": "new"}},
            {"op": "remove", "path": "/items/list/500"},
            {"op": "remove", "path": "/items/list/500"},
            {"op": "remove", "path": "/items/list/500"},
            {"op": "replace", "path": "/items/list/700/text", "value": "another text"},
            {"op": "add", "path": "/items/list/900", "value": 1},
            {"op": "add", "path": "/items/list/901", "value": 2},
            {"op": "replace", "path": "/items/list/902/more", "value": null},
        ])
    );
}

#[test]
fn two_swapped_elements_are_two_moves() {
    let from = items(100);
    let mut to = from.clone();
    to.swap(10, 90);
    let operations = checked_diff(&state(&from), &state(&to));
    assert_eq!(
        json!(operations),
        json!([
            {"op": "move", "from": "/items/list/10", "path": "/items/list/90"},
            {"op": "move", "from": "/items/list/89", "path": "/items/list/10"},
        ])
    );
}

#[test]
fn taking_from_a_queue_is_one_operation() {
    let from = json!({"queue": [{"n": 1}, {"n": 2}, {"n": 3}], "same": [1, 2]});
    let to = json!({"queue": [{"n": 2}, {"n": 3}], "same": [1, 2]});
    let operations = diff(from.as_object().unwrap(), to.as_object().unwrap());
    assert_eq!(
        json!(operations),
        json!([{"op": "remove", "path": "/queue/0"}])
    );
}

#[test]
fn a_value_is_replaced_if_that_is_shorter_and_the_state_never_is() {
    let numbers = |from: i32, to: i32| json!({"a": (from..to).collect::<Vec<_>>()});
    let (from, to) = (numbers(0, 20), numbers(1000, 1020));
    let operations = checked_diff(from.as_object().unwrap(), to.as_object().unwrap());
    assert_eq!(operations.len(), 1);
    let (from, to) = (json!({"a": 1, "b": 2}), json!({"c": 3, "d": 4}));
    let operations = checked_diff(from.as_object().unwrap(), to.as_object().unwrap());
    assert_eq!(operations.len(), 4);
}

#[test]
fn a_large_array_that_loses_every_other_element_is_replaced() {
    let from = items(20_000);
    let to: Vec<Value> = from.iter().step_by(2).cloned().collect();
    let operations = checked_diff(&state(&from), &state(&to));
    assert_eq!(operations.len(), 1);
    let operations = checked_diff(&state(&from[..2000]), &state(&to[..1000]));
    assert_eq!(operations.len(), 1000);
}

#[test]
fn nested_arrays_are_compared_at_any_depth() {
    let nested =
        |levels: usize, core: Value| (0..levels).fold(core, |value, _| json!([1, value, 2]));
    let from = state(&[nested(200, json!([1, 2, 3]))]);
    let to = state(&[nested(200, json!([2, 3]))]);
    assert!(length_of(&checked_diff(&from, &to)) < 1000);
}

#[test]
fn a_change_of_spelling_is_a_change() {
    let from: Map<String, Value> = serde_json::from_str(r#"{"a":1.0}"#).unwrap();
    let to: Map<String, Value> = serde_json::from_str(r#"{"a":1}"#).unwrap();
    assert_eq!(diff(&from, &to).len(), 1);
}

#[test]
fn a_member_that_is_named_like_a_prototype_is_never_in_a_path() {
    let words = |words: Value, more: i32| json!({"words": words, "list": [[{"constructor": {"prototype": more}}, 1]]});
    let from = words(json!({"the": 1, "__proto__": {"a": 1}}), 1);
    let to = words(json!({"the": 1, "__proto__": {"a": 2}}), 2);
    let gone = words(json!({"the": 1}), 1);
    let object = |value: &Value| value.as_object().unwrap().clone();
    let mut all = Vec::new();
    for [from, to] in [[&from, &to], [&to, &gone], [&gone, &from]] {
        all.extend(checked_diff(&object(from), &object(to)));
    }
    let with = json!({"words": {"__proto__": {"a": 3}, "end": 3}});
    let operations = merge(&object(&from), &object(&with));
    let mut value = from.clone();
    patch_unsafe(&mut value, &operations).unwrap();
    let expected = json!({"the": 1, "__proto__": {"a": 3}, "end": 3});
    assert_eq!(value["words"], expected);
    all.extend(operations);
    assert!(!all.is_empty());
    for operation in all {
        assert!(
            !crate::prototype::is_rejected(operation.path()),
            "{operation:?}"
        );
    }
    // A change beside it is as small as ever.
    let mut beside = from.clone();
    beside["words"]["the"] = json!(2);
    let operations = checked_diff(&object(&from), &object(&beside));
    assert_eq!(operations[0].path().as_str(), "/words/the");
}

#[test]
fn long_arrays_that_differ_in_few_places_have_a_short_patch() {
    let from: Vec<Value> = (0..300_000).map(|n| json!(n % 3)).collect();
    let mut to = from.clone();
    to.insert(10, json!("new"));
    to.remove(150_000);
    to[250_000] = json!("changed");
    let operations = checked_diff(&state(&from), &state(&to));
    assert_eq!(operations.len(), 3);
}

#[test]
fn the_work_for_long_arrays_that_differ_everywhere_is_bounded() {
    let mut seed = 7_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed >> 33
    };
    let mut bits = || -> Vec<Value> { (0..50_000).map(|_| json!(random() % 2)).collect() };
    let mut budget = alignment::Budget {
        steps: 2_000_000,
        ..alignment::Budget::default()
    };
    let (from, to) = (bits(), bits());
    drop(align(&from, &to, 0, &mut budget));
    assert!(budget.steps < 2_000_000);
    let operations = checked_diff(&state(&from), &state(&to));
    assert!(length_of(&operations) <= whole(&state(&from), &state(&to)));
    // The library searches short arrays, too, for as long as they have few elements.
    let mut budget = alignment::Budget::default();
    let before = budget.steps;
    let numbers =
        |seed: u64| -> Vec<Value> { (0..500_u64).map(|n| json!((n * seed) % 503)).collect() };
    drop(align(&numbers(7), &numbers(300), 0, &mut budget));
    assert!(before - budget.steps > 200_000);
    // Many arrays share the budget of shifts.
    let half = |items: &Vec<Value>| items.iter().step_by(2).cloned().collect::<Vec<Value>>();
    let from: Vec<Vec<Value>> = (0..40).map(|_| items(2000)).collect();
    let to: Vec<Vec<Value>> = from.iter().map(half).collect();
    let members = |all: &[Vec<Value>]| -> Map<String, Value> {
        let name = |(n, items): (usize, &Vec<Value>)| (n.to_string(), json!(items));
        all.iter().enumerate().map(name).collect()
    };
    let operations = checked_diff(&members(&from), &members(&to));
    assert!(operations.len() < 36_000, "{}", operations.len());
}
