//! Appends late in a long history, compared with appends early in a short one.
//!
//! One run measures both in turns, so that other work of the machine affects both. Each round begins a short
//! history and appends as many entries to it as to the long one, so that work for many entries at once
//! (checkpoints) affects both, too.

use std::time::Duration;

use serde_json::json;

use crate::{
    error::Error,
    load::{fill::fill, producer::Producer},
    report::{Row, progress::Progress},
    targets::{Channel, Target, usage::Usage},
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Entries in the long history before it is measured.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) entries: u64,
    /// Entries per round that are measured, at the end of the long history and from the beginning of a short one.
    #[arg(long, default_value_t = 2000)]
    pub(crate) window: u64,
    /// Number of rounds.
    #[arg(long, default_value_t = 4)]
    pub(crate) rounds: u64,
    /// Bytes per message.
    #[arg(long, default_value_t = 500)]
    pub(crate) size: usize,
}

/// Entries of one turn.
const TURN: u64 = 250;
/// Work after the last answer of a turn still belongs to the turn.
const REST: Duration = Duration::from_millis(20);
/// The processes whose CPU time counts.
const WRITERS: [&str; 2] = ["ltm-api", "redis"];

/// Appends to the long history and to short ones in turns.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let long = target.channels(1, &json!({"text": ""}))?;
    fill(target, &long, load.entries, load.size)?;
    let mut producer = target.producer()?;
    let progress = Progress::new("late".into(), load.rounds * load.window);
    let (mut early, mut late) = (0.0, 0.0);
    for round in 0..load.rounds {
        let short = target.channels(1, &json!({"text": ""}))?;
        let mut done = 0;
        while done < load.window {
            let count = TURN.min(load.window - done);
            early += turn(target, &mut producer, &short[0], count, load.size)?;
            late += turn(target, &mut producer, &long[0], count, load.size)?;
            done += count;
            progress.at(round * load.window + done);
        }
    }
    target.check(&long)?;
    let count = (load.rounds * load.window) as f64;
    let shown = format!("entries from {} on, and 1 to {}", load.entries, load.window);
    Ok(Row::new("late", target.kind, shown)
        .with("early CPU µs each", early / count)
        .with("late CPU µs each", late / count)
        .with("late / early", late / early))
}

/// Appends `count` entries; returns their CPU time in microseconds.
fn turn(
    target: &Target,
    producer: &mut Producer,
    channel: &Channel,
    count: u64,
    size: usize,
) -> Result<f64, Error> {
    let usage = Usage::begin(target);
    for _ in 0..count {
        producer.append(channel, 0, size)?;
    }
    std::thread::sleep(REST);
    Ok(usage.of(target, &WRITERS))
}
