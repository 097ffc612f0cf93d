//! Snapshots in batches, compared with the same snapshots one by one.
//!
//! One run measures both in turns, so that other work of the machine affects both.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    error::Error,
    load::producer::Producer,
    report::{Row, progress::Progress},
    targets::{Channel, Target, usage::Usage},
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Snapshots in a batch.
    #[arg(long, default_value_t = 50)]
    pub(crate) snapshots: usize,
    /// Batches, and as many snapshots one by one as they have.
    #[arg(long, default_value_t = 200)]
    pub(crate) batches: usize,
    /// Bytes of the text in each snapshot: some tokens of a model, by default.
    #[arg(long, default_value_t = 30)]
    pub(crate) text: usize,
}

/// Batches of one turn.
const TURN: usize = 10;
/// Work after the last answer of a turn still belongs to the turn.
const REST: Duration = Duration::from_millis(20);
/// The processes whose CPU time counts.
const WRITERS: [&str; 2] = ["ltm-api", "redis"];

/// Appends to two LTMs in turns.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(2, &json!({"text": ""}))?;
    let snapshot = json!({"reason": "tokens", "patch": [
        {"op": "replace", "path": "/text", "value": "x".repeat(load.text)},
    ]});
    let batch = json!({ "snapshots": vec![&snapshot; load.snapshots] });
    let mut producer = target.producer()?;
    let progress = Progress::new("batch".into(), load.batches as u64);
    let (mut single, mut batched, mut done) = (0.0, 0.0, 0);
    while done < load.batches {
        let count = TURN.min(load.batches - done);
        let singles = count * load.snapshots;
        single += turn(target, &mut producer, &channels[0], &snapshot, singles)?;
        batched += turn(target, &mut producer, &channels[1], &batch, count)?;
        done += count;
        progress.at(done as u64);
    }
    target.check(&channels)?;
    let count = (load.batches * load.snapshots) as f64;
    let shown = format!("{} snapshots each, {} B", load.snapshots, load.text);
    Ok(Row::new("batch", target.kind, shown)
        .with("single CPU µs each", single / count)
        .with("batched CPU µs each", batched / count)
        .with("single / batched", single / batched))
}

/// Sends a body `count` times; returns the CPU time in microseconds.
fn turn(
    target: &Target,
    producer: &mut Producer,
    channel: &Channel,
    body: &Value,
    count: usize,
) -> Result<f64, Error> {
    let body = body.to_string();
    let usage = Usage::begin(target);
    for _ in 0..count {
        producer.snapshot(channel, body.as_bytes())?;
    }
    std::thread::sleep(REST);
    Ok(usage.of(target, &WRITERS))
}
