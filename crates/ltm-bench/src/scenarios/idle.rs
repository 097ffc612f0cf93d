//! The memory of an idle connection.

use std::time::Instant;

use serde_json::json;

use crate::{
    error::Error,
    load::{subscribers::Subscribers, subscribers::THREADS},
    report::{MEMORY, Row, progress::Progress},
    targets::{Target, usage::kib_each},
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Connections.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) subscribers: usize,
    /// LTMs that the subscribers follow.
    #[arg(long, default_value_t = 100)]
    pub(crate) ltms: usize,
}

/// Connects all subscribers, and reads the memory before and after.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(load.ltms, &json!({"text": ""}))?;
    // Memory that the first connection sets up is not counted.
    let began = Instant::now();
    let first = vec![target.subscription(&channels[0])];
    let first = Subscribers::connect(first, 1, began, &|_| {})?;
    let before = target.memory();
    let subscriptions: Vec<_> = (0..load.subscribers)
        .map(|number| target.subscription(&channels[number % load.ltms]))
        .collect();
    let what = format!("idle, {}: connecting", target.kind.name());
    let progress = Progress::new(what, subscriptions.len() as u64);
    let subscribers =
        Subscribers::connect(subscriptions, THREADS, began, &|count| progress.at(count))?;
    let after = target.memory();
    let shown = format!("{} connections", load.subscribers);
    let each = kib_each(before, after, load.subscribers);
    let row = Row::new("idle", target.kind, shown).with(MEMORY, each);
    subscribers.leave()?;
    first.leave()?;
    Ok(match target.redis()? {
        Some(mut redis) => row.with("Redis connections", redis.connections()? as f64),
        None => row,
    })
}
