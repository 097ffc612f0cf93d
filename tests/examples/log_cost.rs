//! What the ways to write cost in the log: the tables of `docs/guide-engine.md` on messages and on tokens.
//!
//! `cargo run --release --example log_cost` prints them, within a minute.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use ltm_tests::{Api, RedisServer, Service};
use serde_json::{Value, json};

/// The messages of a chat, and the bytes of each.
const MESSAGES: usize = 300;
const MESSAGE: usize = 1000;
/// The tokens of an answer, and the bytes of each.
const TOKENS: usize = 2000;
const TOKEN: &str = "token ";
/// The most that streaming a text may cost, as a multiple of the text.
const MOST: f64 = 10.0;

/// The services.
struct World {
    api: Api,
    _service: Service,
    redis: RedisServer,
}

/// The cost of one way to write.
struct Cost {
    requests: usize,
    /// Bytes of all bodies.
    sent: usize,
    took: Duration,
    last: Duration,
    /// Bytes of the payloads in the log, which each subscriber gets.
    log: usize,
    /// Bytes of the document.
    document: usize,
}

#[tokio::main]
async fn main() {
    let redis = RedisServer::start(&[]);
    let service = Service::api(&redis.url(), &[]);
    let world = World {
        api: Api::at(&service),
        _service: service,
        redis,
    };
    println!(
        "| {MESSAGES} messages of 1 KB | requests | sent | log, and to each subscriber | document | all appends | last append |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let message = |n: usize| json!({"id": n, "role": "user", "content": "x".repeat(MESSAGE - 40)});
    let messages: Vec<Value> = (0..MESSAGES).map(message).collect();
    let upto = |n: usize| json!({"messages": &messages[..n]});
    let add = |n: usize| json!([{"op": "add", "path": "/messages/-", "value": messages[n - 1]}]);
    let steps = |step: &dyn Fn(usize) -> Value| (1..=MESSAGES).map(step).collect::<Vec<_>>();
    let patches = steps(&|n| json!({"reason": "execute", "patch": add(n)}));
    for (how, bodies) in [
        (
            "`merge` of the whole list",
            steps(&|n| json!({"reason": "execute", "merge": upto(n)})),
        ),
        (
            "`state`",
            steps(&|n| json!({"reason": "execute", "state": upto(n)})),
        ),
        ("`patch`", patches.clone()),
        ("`patch`, 50 in a batch", batches(&patches, 50)),
    ] {
        let cost = world.write(json!({"messages": []}), &bodies).await;
        cost.print(how);
    }

    let text = TOKEN.repeat(TOKENS);
    println!(
        "\n| {TOKENS} tokens, {} KB | requests | sent | log, and to each subscriber | document | all appends | last append | log / text |",
        text.len() / 1000
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let whole =
        |n: usize| json!({"reason": "tokens", "merge": {"answer": &text[..n * TOKEN.len()]}});
    let merges: Vec<Value> = (1..=TOKENS).map(whole).collect();
    let cost = world.write(json!({"answer": ""}), &merges).await;
    cost.print_with("`merge` of the whole text with each token", text.len());
    for tokens in [1, 5, 20] {
        let cost = world
            .write(json!({"answer": {"chunks": []}}), &chunks(tokens, &text))
            .await;
        cost.print_with(&format!("{tokens} tokens in a chunk"), text.len());
        let times = cost.log as f64 / text.len() as f64;
        assert!(tokens == 1 || times <= MOST, "{times}");
    }
    let single = chunks(5, &text);
    let cost = world
        .write(json!({"answer": {"chunks": []}}), &batches(&single, 10))
        .await;
    cost.print_with("5 tokens in a chunk, 10 chunks in a batch", text.len());
}

/// A text in chunks of so many tokens, and at the end as a whole.
fn chunks(tokens: usize, text: &str) -> Vec<Value> {
    let chunk = TOKEN.repeat(tokens);
    let add = json!([{"op": "add", "path": "/answer/chunks/-", "value": chunk}]);
    let add = json!({"reason": "tokens", "patch": add});
    let mut steps = vec![add; TOKENS / tokens];
    steps.push(json!({"reason": "execute", "merge": {"answer": text}}));
    steps
}

fn batches(steps: &[Value], most: usize) -> Vec<Value> {
    let batch = |steps: &[Value]| json!({ "snapshots": steps });
    steps.chunks(most).map(batch).collect()
}

impl World {
    /// Writes to a new LTM.
    async fn write(&self, state: Value, bodies: &[Value]) -> Cost {
        let (id, _) = self.api.create(state).await;
        let path = format!("/ltm/{id}/snapshots");
        let bodies: Vec<String> = bodies.iter().map(Value::to_string).collect();
        let (began, mut last) = (Instant::now(), Duration::ZERO);
        for body in &bodies {
            let sent = Instant::now();
            self.api.post_text(&path, body, &[]).await.expect(201);
            last = sent.elapsed();
        }
        let took = began.elapsed();
        let log = format!("ltm:{{{id}}}:log");
        let log = self.redis.cli(&["--json", "XRANGE", &log, "-", "+"]);
        let entries: Vec<(String, [String; 2])> = serde_json::from_str(&log).unwrap();
        Cost {
            requests: bodies.len(),
            sent: bodies.iter().map(String::len).sum(),
            took,
            last,
            log: entries.iter().map(|(_, [_, payload])| payload.len()).sum(),
            document: self.api.get(&format!("/ltm/{id}")).await.text.len(),
        }
    }
}

impl Cost {
    fn row(&self, how: &str) -> String {
        format!(
            "| {how} | {} | {} | {} | {} | {:.2} s | {:.1} ms |",
            self.requests,
            shown(self.sent),
            shown(self.log),
            shown(self.document),
            self.took.as_secs_f64(),
            self.last.as_secs_f64() * 1000.0,
        )
    }

    fn print(&self, how: &str) {
        println!("{}", self.row(how));
    }

    /// The same with the log as a multiple of a text.
    fn print_with(&self, how: &str, text: usize) {
        println!("{} {:.1} |", self.row(how), self.log as f64 / text as f64);
    }
}

fn shown(bytes: usize) -> String {
    let kib = bytes as f64 / 1024.0;
    if kib < 1000.0 {
        format!("{kib:.0} KiB")
    } else {
        format!("{:.1} MiB", kib / 1024.0)
    }
}
