//! Counts the instructions of the paths that every entry takes, and fails if one of them needs 5 % more than the
//! figure here: `make guard`.
//!
//! If a change is worth its price, write the new figure here, and the reason into the commit. If one needs fewer, write
//! that, too. The figures are those of a development build, which CI has. An optimized build needs far fewer, but what
//! a path does more shows in both.

#![allow(clippy::unwrap_used, reason = "as in tests")]
#![allow(missing_docs, reason = "the macros make public items")]

use std::hint::black_box;

use bytestring::ByteString;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use json_patch::PatchOperation;
use ltm_gateway::bench::Delivery;
use ltm_state::{
    State, diff,
    patch::{self, Limits, Tree, Undo},
};
use ltm_store::{Append, Idempotency, Redis, RedisSettings, bench::append_command};
use ltm_types::{Cursor, EncodedMessage, Entry, Kind, LtmId, entry_message};
use serde_json::{Map, Value, json};

/// At most 5 % more instructions than this.
fn about(figure: u64) -> LibraryBenchmarkConfig {
    let most = figure + figure / 20;
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, most)]);
    LibraryBenchmarkConfig::default().tool(callgrind).clone()
}

type Members = Map<String, Value>;

fn id() -> LtmId {
    LtmId::new(42).unwrap()
}

/// A snapshot of an agent that has written some words.
fn snapshot(previous: Cursor) -> Entry {
    let payload = json!({
        "time": "2026-01-01T00:00:00.000000Z", "reason": "execute", "item": {"fqn": "agent.write", "id": 17},
        "patch": [
            {"op": "replace", "path": "/messages/99/text", "value": "The report has three parts. ".repeat(8)},
            {"op": "replace", "path": "/_status", "value": "active"},
        ],
        "execute_queue": [], "transitions_queue": [],
    });
    Entry::after(previous, Kind::Snapshot, payload.to_string().into())
}

/// The state of an agent with a hundred messages: 20 kB.
fn members() -> Members {
    let message = |n| json!({"id": n, "role": "agent", "text": "x".repeat(150)});
    let messages: Vec<Value> = (0..100).map(message).collect();
    Map::from_iter([
        ("_status".into(), json!("queued")),
        ("messages".into(), json!(messages)),
    ])
}

fn state() -> State {
    let text = Value::Object(members()).to_string();
    let index = serde_json::to_string(&ltm_state::HistoryIndex::default()).unwrap();
    State::restore(Cursor::ORIGIN, &text, &index).unwrap()
}

// The API. What a benchmark takes, it returns: to free it does not count.

struct Writer {
    redis: Redis,
    entry: Entry,
}

impl Writer {
    /// A writer that has written before: the first command computes the hash of its script.
    fn new() -> Self {
        let redis = Redis::open(&RedisSettings::default()).unwrap();
        let entry = snapshot(Cursor::ORIGIN);
        let writer = Self { redis, entry };
        writer.command();
        writer
    }

    fn command(&self) -> Vec<u8> {
        let append = Append {
            entries: std::slice::from_ref(&self.entry),
            expected: Cursor::ORIGIN,
            now: "2026-01-01T00:00:00.000000Z",
            snapshots_count: 1,
            status: Some("active"),
            changes_lists: false,
            idempotency: Some(Idempotency {
                key: "step-17",
                fingerprint: 17,
            }),
            producer: None,
        };
        append_command(id(), black_box(&append), &self.redis)
    }
}

#[library_benchmark(config = about(88_764))]
#[bench::snapshot(Writer::new())]
fn append_command_of(writer: Writer) -> (Writer, Vec<u8>) {
    let command = writer.command();
    (writer, command)
}

fn states() -> (Members, Members) {
    let (from, mut to) = (members(), members());
    to["_status"] = json!("active");
    to["messages"][50]["text"] = json!("y".repeat(200));
    (from, to)
}

#[library_benchmark(config = about(378_015))]
#[bench::two_changes(states())]
fn diff_states(states: (Members, Members)) -> (Vec<PatchOperation>, (Members, Members)) {
    let (from, to) = black_box(&states);
    (diff::diff(from, to), states)
}

fn tree() -> (Tree, String) {
    let patch = json!([{"op": "replace", "path": "/messages/99/text", "value": "y".repeat(200)}]);
    (Tree::new(Value::Object(members())), patch.to_string())
}

#[library_benchmark(config = about(39_173))]
#[bench::one_value(tree())]
fn read_and_apply_patch((mut tree, patch): (Tree, String)) -> (Tree, Undo, String) {
    let operations = patch::parse(black_box(&patch), &Limits::UNLIMITED).unwrap();
    let undo = tree.apply(&operations, &Limits::UNLIMITED).unwrap();
    (tree, undo, patch)
}

fn log() -> (State, Entry) {
    (state(), snapshot(Cursor::ORIGIN))
}

#[library_benchmark(config = about(108_362))]
#[bench::snapshot(log())]
fn fold_entry((mut state, entry): (State, Entry)) -> (State, Entry) {
    state.fold(black_box(&entry)).unwrap();
    (state, entry)
}

// The gateway.

fn published() -> ByteString {
    ByteString::from(snapshot(Cursor::ORIGIN).to_live(0))
}

#[library_benchmark(config = about(8609))]
#[bench::snapshot(published())]
fn decode_live_entry(text: ByteString) -> (Option<(Entry, u64)>, ByteString) {
    (Entry::from_live(black_box(&text)), text)
}

#[library_benchmark(config = about(3399))]
#[bench::snapshot(snapshot(Cursor::ORIGIN))]
fn encode_message(entry: Entry) -> (EncodedMessage, Entry) {
    (
        entry_message(id(), Cursor::ORIGIN, black_box(&entry)),
        entry,
    )
}

/// An LTM with subscribers who have received an entry, and the next one.
fn delivery(subscribers: usize, compressed: bool) -> (Delivery, Entry) {
    let delivery = Delivery::new(id(), subscribers, compressed);
    let first = snapshot(Cursor::ORIGIN);
    assert!(delivery.deliver(&first));
    (delivery, snapshot(first.cursor))
}

#[library_benchmark]
#[bench::to_1(config = about(64_325), args = (1, false), setup = delivery)]
#[bench::to_100(config = about(207_256), args = (100, false), setup = delivery)]
#[bench::compressed_to_1(config = about(362_394), args = (1, true), setup = delivery)]
#[bench::compressed_to_100(config = about(548_656), args = (100, true), setup = delivery)]
fn deliver_entry((delivery, entry): (Delivery, Entry)) -> (Delivery, Entry) {
    assert!(delivery.deliver(black_box(&entry)));
    (delivery, entry)
}

library_benchmark_group!(
    name = api;
    benchmarks = append_command_of, diff_states, read_and_apply_patch, fold_entry
);
library_benchmark_group!(
    name = gateway;
    benchmarks = decode_live_entry, encode_message, deliver_entry
);
main!(library_benchmark_groups = api, gateway);
