//! Connections on which nothing happens: what each takes in memory.

use std::time::Instant;

use serde_json::json;

use crate::{
    crowd::Crowd,
    error::Error,
    fan_out::THREADS,
    progress::Progress,
    report::Row,
    target::{Kind, Target},
};

/// How much is asked of the target.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Connections.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) subscribers: usize,
    /// The LTMs that they follow.
    #[arg(long, default_value_t = 100)]
    pub(crate) ltms: usize,
}

/// Connects everybody, and looks at the memory before and after.
pub(crate) fn run(kind: Kind, target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(load.ltms, &json!({"text": ""}))?;
    // What is made at the first connection is not counted.
    let began = Instant::now();
    let first = vec![target.seat(&channels[0])];
    let first = Crowd::connect(first, 1, began, &|_| {})?;
    let before = memory(target);
    let seats: Vec<_> = (0..load.subscribers)
        .map(|number| target.seat(&channels[number % load.ltms]))
        .collect();
    let what = format!("idle, {}: connecting", kind.name());
    let progress = Progress::new(what, seats.len() as u64);
    let crowd = Crowd::connect(seats, THREADS, began, &|count| progress.at(count))?;
    let after = memory(target);
    let mut row = Row::new(
        "idle",
        kind.name(),
        format!("{} connections", load.subscribers),
    );
    for ((name, after), (_, before)) in after.into_iter().zip(before) {
        let grown = after.saturating_sub(before) as f64;
        row = row.with(name, grown / 1024.0 / load.subscribers as f64);
    }
    crowd.leave()?;
    first.leave()?;
    Ok(row.with("Redis connections", target.redis_connections()?))
}

fn memory(target: &Target) -> Vec<(&'static str, u64)> {
    let processes = target.processes.iter();
    processes
        .map(|process| (process.name(), process.memory()))
        .collect()
}
