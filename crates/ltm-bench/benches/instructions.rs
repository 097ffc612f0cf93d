//! Counts the instructions of the paths that each entry takes, and fails if one of them needs 5 % more than its figure
//! in [`PATHS`]: `make guard`.
//!
//! Callgrind counts a process that prepares the input of a path, and another one that also takes the path. The
//! difference varies by about 1 %, whatever else the machine does.
//!
//! The figures are those of a development build, because CI has one. An optimized build needs far fewer instructions, but
//! a path that does more needs more in both.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "as in tests")]
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::{
    hint::black_box,
    process::{Command, ExitCode},
};

use bytestring::ByteString;
use ltm_gateway::bench::Delivery;
use ltm_state::{
    State, diff,
    patch::{self, Limits, Tree},
};
use ltm_store::{Append, Idempotency, Redis, RedisSettings, bench::append_command};
use ltm_types::{Cursor, Entry, Kind, LtmId, entry_message};
use serde_json::{Map, Value, json};

/// A path, and the instructions that it needs. If a change needs fewer, or is worth more of them, change the figure and
/// give the reason in the commit.
struct Path {
    name: &'static str,
    figure: u64,
    /// Prepares the input. Takes the path only if asked to.
    run: fn(bool),
}

const PATHS: [Path; 10] = [
    Path::new("API: the command that appends", 88_794, |takes| {
        counted(takes, Writer::new(), |writer| writer.command());
    }),
    Path::new("API: diff of two states", 378_833, |takes| {
        counted(takes, states(), |(from, to)| diff::diff(from, to));
    }),
    Path::new("API: read and apply a patch", 39_145, |takes| {
        counted(takes, tree(), |(tree, patch)| {
            let operations = patch::parse(patch, &Limits::UNLIMITED).unwrap();
            tree.apply(&operations, &Limits::UNLIMITED).unwrap()
        });
    }),
    Path::new("fold an entry", 108_232, |takes| {
        counted(
            takes,
            (state(), snapshot(Cursor::ORIGIN)),
            |(state, entry)| {
                state.fold(entry).unwrap();
            },
        );
    }),
    Path::new("gateway: decode a live entry", 8594, |takes| {
        let text = ByteString::from(snapshot(Cursor::ORIGIN).to_live(0));
        counted(takes, text, |text| Entry::from_live(text));
    }),
    Path::new("gateway: encode a message", 3352, |takes| {
        counted(takes, snapshot(Cursor::ORIGIN), |entry| {
            entry_message(id(), Cursor::ORIGIN, entry)
        });
    }),
    Path::new("gateway: deliver to 1", 63_336, |takes| {
        deliver(takes, 1, false)
    }),
    Path::new("gateway: deliver to 100", 206_266, |takes| {
        deliver(takes, 100, false)
    }),
    Path::new("gateway: deliver to 1, compressed", 357_017, |takes| {
        deliver(takes, 1, true);
    }),
    Path::new("gateway: deliver to 100, compressed", 543_245, |takes| {
        deliver(takes, 100, true);
    }),
];

/// Set for the processes that Callgrind counts: the index of the path, and whether to take it.
const PART: &str = "LTM_GUARD";
/// The most growth, in percent.
const MOST: u64 = 5;

impl Path {
    const fn new(name: &'static str, figure: u64, run: fn(bool)) -> Self {
        Self { name, figure, run }
    }
}

fn main() -> ExitCode {
    if let Ok(part) = std::env::var(PART) {
        let (index, takes) = part.split_once(' ').unwrap();
        (PATHS[index.parse::<usize>().unwrap()].run)(takes == "true");
        return ExitCode::SUCCESS;
    }
    println!("{:>9} {:>9}        instructions", "figure", "now");
    let mut has_grown = false;
    for (index, Path { name, figure, .. }) in PATHS.iter().enumerate() {
        let now = instructions(index, true).saturating_sub(instructions(index, false));
        let change = 100.0 * (now as f64 / *figure as f64 - 1.0);
        let is_more = now > figure + figure * MOST / 100;
        let note = match is_more {
            true => ": TOO MANY",
            // A later growth up to the old figure would not be noticed.
            false if now < figure - figure * MOST / 100 => ": fewer, so lower the figure",
            false => "",
        };
        println!("{figure:>9} {now:>9} {change:>+5.1} % {name}{note}");
        has_grown |= is_more;
    }
    if has_grown {
        println!(
            "If the growth is worth it, write the new figure into PATHS, and the reason into the commit."
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The instructions of a process that prepares the input of a path, and takes it if `takes`.
fn instructions(index: usize, takes: bool) -> u64 {
    let program = std::env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        // Nothing else of the environment: its length would count.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env(PART, format!("{index} {takes}"))
        .output()
        .expect("Valgrind is installed: deploy/setup.sh --guard");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let count = text.lines().find_map(|line| line.split_once("Collected :"));
    count
        .expect("Callgrind prints the count")
        .1
        .trim()
        .parse()
        .unwrap()
}

/// Takes a path, if asked to. Freeing the input and the outcome does not count.
fn counted<I, O>(takes: bool, input: I, path: impl FnOnce(&mut I) -> O) {
    let mut input = black_box(input);
    if takes {
        std::mem::forget(black_box(path(&mut input)));
    }
    std::mem::forget(input);
}

fn deliver(takes: bool, subscribers: usize, compressed: bool) {
    let delivery = Delivery::new(id(), subscribers, compressed);
    // All have received an entry before.
    let first = snapshot(Cursor::ORIGIN);
    assert!(delivery.deliver(&first));
    counted(
        takes,
        (delivery, snapshot(first.cursor)),
        |(delivery, entry)| {
            assert!(delivery.deliver(entry));
        },
    );
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

fn states() -> (Members, Members) {
    let (from, mut to) = (members(), members());
    to["_status"] = json!("active");
    to["messages"][50]["text"] = json!("y".repeat(200));
    (from, to)
}

fn tree() -> (Tree, String) {
    let patch = json!([{"op": "replace", "path": "/messages/99/text", "value": "y".repeat(200)}]);
    (Tree::new(Value::Object(members())), patch.to_string())
}
