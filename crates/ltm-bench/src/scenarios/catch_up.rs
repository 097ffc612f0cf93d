//! Many subscribers that reconnect at once, with cursors far back in the log.

use std::time::Instant;

use serde_json::json;

use crate::{
    error::Error,
    load::{
        fill::fill,
        handshake::Subscription,
        redis::{Counted, Redis},
        subscribers::Subscribers,
        subscribers::THREADS,
    },
    report::{Row, progress::Progress},
    targets::{
        Target,
        usage::{Peak, Usage},
    },
};

/// The load.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Subscribers in total.
    #[arg(long, default_value_t = 5000)]
    pub(crate) subscribers: usize,
    /// LTMs that the subscribers follow.
    #[arg(long, default_value_t = 1)]
    pub(crate) ltms: usize,
    /// Entries that each subscriber is behind.
    #[arg(long, default_value_t = 1000)]
    pub(crate) entries: u64,
    /// Bytes per message.
    #[arg(long, default_value_t = 500)]
    pub(crate) size: usize,
}

/// Connects all subscribers with a cursor far back, and waits until each has all entries.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let channels = target.channels(load.ltms, &json!({"text": ""}))?;
    fill(target, &channels, load.entries, load.size)?;
    let subscriptions: Vec<Subscription> = (0..load.subscribers)
        .map(|number| target.subscription(&channels[number % load.ltms]))
        .collect();
    let all = load.subscribers as u64 * load.entries;
    let peak = Peak::begin(target.holder());
    let mut redis = target.redis()?;
    let before = counted(&mut redis)?;
    let usage = Usage::begin(target);
    let subscribers = Subscribers::begin(subscriptions, THREADS, Instant::now())?;
    let progress = Progress::new(format!("catch-up, {}", target.kind.name()), all);
    subscribers.wait(all, |count| progress.at(count))?;
    let (seconds, cpu) = (usage.seconds(), usage.cpu(target));
    let after = counted(&mut redis)?;
    let peak = peak.grown() / 1_048_576.0;
    let bytes = subscribers.bytes() as f64;
    subscribers.leave()?;
    let shown = format!(
        "{} × {} entries of {} LTMs",
        load.subscribers, load.entries, load.ltms
    );
    let mut row = Row::new("catch-up", target.kind, shown)
        .with("deliveries/s", all as f64 / seconds)
        .with("peak MiB", peak)
        .costs(&cpu, all as f64);
    if redis.is_some() {
        let each = |after: u64, before: u64| (after - before) as f64 / load.subscribers as f64;
        let logs = bytes / load.subscribers as f64 * load.ltms as f64;
        row = row
            .with("scripts a subscriber", each(after.scripts, before.scripts))
            .with("XRANGEs a subscriber", each(after.ranges, before.ranges))
            .with(
                "reads of each log",
                (after.sent - before.sent) as f64 / logs,
            );
    }
    Ok(row)
}

fn counted(redis: &mut Option<Redis>) -> Result<Counted, Error> {
    let asked = redis.as_mut().map(Redis::counted).transpose()?;
    Ok(asked.unwrap_or_default())
}
