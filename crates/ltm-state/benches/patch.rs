//! The cost of making a patch from two states, and of applying one: `cargo bench --package ltm-state`

#![allow(clippy::unwrap_used, reason = "as in tests")]

use std::hint::black_box;

use divan::{Bencher, counter::BytesCount};
use json_patch::PatchOperation;
use ltm_state::{
    diff,
    patch::{self, Limits, Tree},
};
use serde_json::{Map, Value, json};

const SIZES: [usize; 3] = [1_000, 100_000, 10_000_000];
const LIMITS: Limits = Limits::UNLIMITED;

fn main() {
    divan::main();
}

/// A state of about `bytes` bytes. Most of it is an array of objects.
fn state(bytes: usize) -> Map<String, Value> {
    let item = |n| json!({"id": n, "role": "agent", "text": "x".repeat(150)});
    let items: Vec<Value> = (0..bytes.div_ceil(200)).map(item).collect();
    Map::from_iter([("n".into(), json!(0)), ("items".into(), json!(items))])
}

fn bench_diff(bencher: Bencher<'_, '_>, bytes: usize, change: impl Fn(&mut Vec<Value>)) {
    let from = state(bytes);
    let mut to = from.clone();
    if let Some(Value::Array(items)) = to.get_mut("items") {
        change(items);
    }
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| diff::diff(black_box(&from), black_box(&to)));
}

/// The patch for an element that is inserted at the front.
#[divan::bench(args = SIZES)]
fn diff_of_an_insertion(bencher: Bencher<'_, '_>, bytes: usize) {
    bench_diff(bencher, bytes, |items| {
        items.insert(0, json!({"id": "new"}))
    });
}

/// The patch for a text in the middle that grows.
#[divan::bench(args = SIZES)]
fn diff_of_a_growth(bencher: Bencher<'_, '_>, bytes: usize) {
    bench_diff(bencher, bytes, |items| {
        let middle = items.len() / 2;
        items[middle]["text"] = json!("y".repeat(200));
    });
}

/// The patch for elements that are added, removed and changed in many positions.
#[divan::bench(args = SIZES)]
fn diff_of_many_changes(bencher: Bencher<'_, '_>, bytes: usize) {
    bench_diff(bencher, bytes, |items| {
        for index in (0..items.len()).step_by(items.len().div_ceil(20)) {
            items[index]["text"] = json!("another");
            items.insert(index, json!({"id": "new"}));
            items.pop();
        }
    });
}

/// The patch for a reversed array, which is the most work for finding equal elements.
#[divan::bench(args = SIZES)]
fn diff_of_a_reversal(bencher: Bencher<'_, '_>, bytes: usize) {
    bench_diff(bencher, bytes, |items| items.reverse());
}

/// The patch for an array in which each element changes and also shifts.
#[divan::bench(args = SIZES)]
fn diff_of_a_rewrite(bencher: Bencher<'_, '_>, bytes: usize) {
    bench_diff(bencher, bytes, |items| {
        for item in items.iter_mut() {
            item["text"] = json!("another");
        }
        items.insert(0, json!({"id": "new"}));
    });
}

fn bench_apply(bencher: Bencher<'_, '_>, bytes: usize, patch: &Value) {
    let mut tree = Tree::new(Value::Object(state(bytes)));
    let text = patch.to_string();
    bencher.bench_local(|| {
        let operations: Vec<PatchOperation> = patch::parse(black_box(&text), &LIMITS).unwrap();
        let undo = tree.apply(&operations, &LIMITS).unwrap();
        tree.undo(undo);
    });
}

/// A small patch, parsed, applied and undone. The cost depends on the change and not on the state.
#[divan::bench(args = SIZES)]
fn apply_a_replacement(bencher: Bencher<'_, '_>, bytes: usize) {
    bench_apply(
        bencher,
        bytes,
        &json!([{"op": "replace", "path": "/n", "value": 1}]),
    );
}

/// The same for a change in the last element of the array.
#[divan::bench(args = SIZES)]
fn apply_a_growth(bencher: Bencher<'_, '_>, bytes: usize) {
    let last = bytes.div_ceil(200) - 1;
    let path = format!("/items/{last}/text");
    let value = "y".repeat(200);
    bench_apply(
        bencher,
        bytes,
        &json!([{"op": "replace", "path": path, "value": value}]),
    );
}
